import { describe, expect, it } from 'vitest';
import type {
  AgentFile,
  AgentRun,
  AgentRunInput,
  Agents,
  Person,
} from '../../../src/runtime/agents/contract.ts';
import { RosterFile, type ToolFile, type WebProgramFile } from '../../../src/runtime/agents/contract.ts';
import { Tool, WebProgram } from '../../../src/runtime/agents/roster-schema.ts';
import type {
  Config,
  GlobalConfig,
  ResolveInput,
  RunSettings,
} from '../../../src/runtime/config/contract.ts';
import { NotFoundError } from '../../../src/runtime/core/errors.ts';
import { ProjectId } from '../../../src/runtime/core/ids.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { type Project, ProjectFile, type Projects } from '../../../src/runtime/projects/contract.ts';
import type { CreateTaskInput } from '../../../src/runtime/tasks/contract.ts';
import { TaskPlanner } from '../../../src/runtime/tasks/task-planner.ts';
import type { GrantPlan } from '../../../src/runtime/vault/contract.ts';
import { exampleTask } from '../../support/example-spec.ts';

const run: AgentRun = {
  command: ['run'],
  prompt: 'hello',
  environment: {},
  phantomEnvironment: {},
  files: [],
  state: [],
  firstState: [],
  session: 's1',
  warnings: ['no turns'],
};

const phantom = {
  route: {
    prefix: 'claude',
    upstream: 'https://api.example',
    auth: { api_key: { header: 'x-api-key' } },
  },
  phantom: { api_key: { env: { API_KEY: '{token}', API_URL: '{base_url}' } } },
};

function agentFile(name: string, more: Readonly<Record<string, unknown>> = {}): AgentFile {
  const entry = RosterFile.parse({
    kind: 'agent',
    name,
    title: name,
    description: name,
    binary: name,
    install: {},
    git: { name, email: `${name}@agent.invalid` },
    headless: { command: [name] },
    ...more,
  });
  if (entry.kind !== 'agent') throw new Error('a tool');
  return entry;
}

const tool: ToolFile = Tool.parse({
  kind: 'tool',
  name: 'rabbit',
  title: 'Rabbit',
  description: 'Reviews.',
  binary: 'rabbit-cli',
  install: {},
  files: [{ path: '/etc/rabbit.json', content: '{}' }],
  sidecar: { env: { RABBIT_KEY: 'key' } },
});
const webProgram: WebProgramFile = WebProgram.parse({
  kind: 'web',
  name: 'toad',
  title: 'Toad',
  description: 'In the browser.',
  binary: 'toad',
  install: {},
  command: ['toad', 'serve', '--port={port}', '--url={public_url}'],
  env: { TOAD_THEME: 'dark' },
});

/** A planner on small stand-ins that remember what they were asked. */
function planner(given: {
  readonly project?: Readonly<Record<string, unknown>>;
  readonly global?: Partial<GlobalConfig>;
  readonly resolved?: Partial<RunSettings>;
  readonly human?: Person;
  readonly key?: string;
  readonly access?: GrantPlan;
}) {
  const asked: {
    resolve: ResolveInput[];
    plan: AgentRunInput[];
    repositories: string[];
    grants: unknown[];
    credentials: string[];
  } = { resolve: [], plan: [], repositories: [], grants: [], credentials: [] };
  const project: Project = {
    id: ProjectId.parse('demo'),
    file: '/config/projects/demo/project.yml',
    directory: '/config/projects/demo',
    isRepository: false,
    settings: ProjectFile.parse({ git: { upstream_url: 'https://git.example/x.git' }, ...given.project }),
  };
  const agents: Agents = {
    roster: async () => ({ entries: [agentFile('claude', phantom), agentFile('codex'), tool], broken: [] }),
    agent: async (name) => {
      if (name === 'nobody') throw new NotFoundError('No agent named "nobody"');
      return agentFile(name);
    },
    tool: async () => tool,
    webProgram: async () => webProgram,
    plan: (input) => {
      asked.plan.push(input);
      return { ...run, command: input.prompt === undefined ? undefined : ['run'], prompt: input.prompt };
    },
  };
  const config: Config = {
    global: async () => ({
      file: '/config/config.yml',
      sections: {},
      defaultAgent: undefined,
      agent: undefined,
      ...given.global,
    }),
    preset: async (name) => {
      if (name !== 'careful') throw new NotFoundError(`No preset named "${name}"`);
      return {
        level: 'preset',
        source: '/config/presets/careful.yml',
        directory: '/config/presets',
        layer: { model: 'small' },
      };
    },
    presets: async () => ['careful'],
    resolve: async (input) => {
      asked.resolve.push(input);
      return {
        model: undefined,
        maxTurns: undefined,
        timeoutS: 900,
        instructions: 'x',
        hasCustomInstructions: false,
        isUnrestricted: true,
        subagents: [],
        ...given.resolved,
      };
    },
    merge: () => ({}),
  };
  const projects: Pick<Projects, 'get'> = { get: async () => project };
  return {
    asked,
    planner: new TaskPlanner({
      projects: {
        ...projects,
        list: async () => ({ projects: [], broken: [] }),
        create: async () => project,
        forRepository: async (url) => {
          asked.repositories.push(url);
          return { ...project, id: ProjectId.parse('repo-x'), isRepository: true };
        },
      },
      agents,
      config,
      identity: { of: async () => given.human },
      vault: {
        credential: async (provider, project) => {
          asked.credentials.push(`${provider} of ${project}`);
          return given.key === undefined ? undefined : new Map([['key', new Secret(given.key)]]);
        },
        planGrants: async (wanted) => {
          asked.grants.push({ ...wanted, project: wanted.project.id });
          return given.access ?? { grants: [], hasSshAgent: false, warnings: [] };
        },
      },
      sshHosts: {
        containerFile: async () => 'git.example ssh-ed25519 AAAA\n',
        warnings: async () => ['git@new.example is not known'],
      },
    }),
  };
}

describe('the agent of a task', () => {
  it.each([
    ['what the call says', { agent: 'codex' }, { default_agent: 'vibe' }, 'codex'],
    ['that of the project or config.yml', {}, { default_agent: 'vibe' }, 'vibe'],
    ['claude', {}, {}, 'claude'],
  ])('is %s', async (_, input, project, expected) => {
    const plan = await planner({ project }).planner.plan({ project: 'demo', ...input });
    expect(plan.agent).toBe(expected);
  });

  it('is refused when nobody knows it', async () => {
    await expect(planner({}).planner.plan({ project: 'demo', agent: 'nobody' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

describe('the layers of a task', () => {
  it('are, from the lowest: run.timeout, config.yml, the project, the preset, the task', async () => {
    const { planner: plans, asked } = planner({
      project: { run: { timeout: 77 }, agent: { max_turns: 9 }, preset: 'careful' },
      global: { agent: { model: 'global-model' } },
    });
    const plan = await plans.plan({
      project: 'demo',
      prompt: 'go',
      model: 'big',
      maxTurns: 3,
      timeoutS: 60,
      restricted: true,
      instructions: 'Only this.',
      subagents: ['reviewer'],
    });
    expect(asked.resolve[0]).toMatchObject({
      agent: 'claude',
      projectDirectory: '/config/projects/demo',
      instructions: 'Only this.',
      selectedSubagents: ['reviewer'],
    });
    expect(asked.resolve[0]?.scopes.map(({ level, layer }) => [level, layer])).toEqual([
      ['global', { timeout: { _default: 77 } }],
      ['global', { model: 'global-model' }],
      ['project', { max_turns: 9 }],
      ['preset', { model: 'small' }],
      ['task', { model: 'big', max_turns: 3, timeout: 60, unrestricted: false }],
    ]);
    expect(plan.settings).toEqual({
      preset: 'careful',
      model: 'big',
      maxTurns: 3,
      timeoutS: 60,
      instructions: 'Only this.',
      subagents: ['reviewer'],
      restricted: true,
    });
  });

  it('of a task that says nothing leave those below as they are', async () => {
    const { planner: plans, asked } = planner({});
    const plan = await plans.plan({ project: 'demo', prompt: 'go' });
    expect(asked.resolve[0]?.scopes.at(-1)?.layer).toEqual({});
    expect(plan).toMatchObject({ mode: 'headless', timeoutS: 900, restricted: false });
  });

  it('name the preset of the call before that of the project, and refuse one that is not there', async () => {
    const { planner: plans } = planner({ project: { preset: 'careful' } });
    await expect(plans.plan({ project: 'demo', preset: 'gone' })).rejects.toThrow('No preset named "gone"');
  });
});

describe('a task is restricted', () => {
  it.each<[boolean, boolean | undefined, boolean, boolean]>([
    // run.restricted, what the call says, unrestricted of the layers → restricted
    [false, undefined, true, false],
    [true, undefined, true, true],
    [false, undefined, false, true],
    [true, false, true, false],
    [false, true, true, true],
  ])('project %j, call %j, layers unrestricted %j: %j', async (project, call, isUnrestricted, expected) => {
    const { planner: plans, asked } = planner({
      project: { run: { restricted: project } },
      resolved: { isUnrestricted },
    });
    const plan = await plans.plan({ project: 'demo', restricted: call });
    expect([plan.restricted, asked.plan[0]?.isRestricted]).toEqual([expected, expected]);
  });
});

describe('a debugging shell', () => {
  const human = { name: 'Ada', email: 'ada@example.org' };

  it('is a mode of its own, whose commits are the work of the person', async () => {
    const { planner: plans, asked } = planner({ human });
    expect((await plans.plan({ project: 'demo', mode: 'dev' })).mode).toBe('dev');
    expect(asked.plan[0]).toMatchObject({ authorship: 'human', human, prompt: undefined });
  });

  it('of a person nobody knows falls back to what the project says', async () => {
    const { planner: plans, asked } = planner({
      project: { git: { upstream_url: '/x.git', authorship: 'agent' } },
    });
    await plans.plan({ project: 'demo', mode: 'dev' });
    expect(asked.plan[0]).toMatchObject({ authorship: 'agent', human: undefined });
  });

  it('takes no prompt', async () => {
    await expect(
      planner({}).planner.plan({ project: 'demo', mode: 'dev', prompt: 'x' }),
    ).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });
});

describe('what a task is asked to be', () => {
  const project = 'demo';
  it.each<[string, CreateTaskInput, string]>([
    ['neither project nor repository', {}, 'needs a project, or a repository'],
    ['both', { project, repo: '/x.git' }, 'not both'],
    ['headless without a prompt', { project, mode: 'headless' }, 'needs a prompt'],
    ['interactive with one', { project, mode: 'interactive', prompt: 'x' }, 'takes no prompt'],
    ['web with one', { project, mode: 'web', prompt: 'x' }, 'takes no prompt'],
    ['headless with a port', { project, prompt: 'x', web: { port: 20_000 } }, 'no address for a browser'],
    ['a tool without a name', { project, mode: 'tool' }, 'needs a tool'],
    ['headless with a tool', { project, prompt: 'x', tool: { name: 'rabbit', args: [] } }, 'runs no tool'],
    [
      'a tool with a model',
      { project, mode: 'tool', tool: { name: 'rabbit', args: [] }, model: 'big' },
      'takes no model',
    ],
    ['a repository with a debugging shell', { repo: '/x.git', mode: 'dev' }, 'no debugging image'],
    ['a branch that is an option', { project, branch: '--upload-pack=x' }, 'begins with "-"'],
  ])('is refused when it is %s', async (_, input, message) => {
    await expect(planner({}).planner.plan(input)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(message),
    });
  });

  it.each<[CreateTaskInput, string]>([
    [{ project, prompt: 'x' }, 'headless'],
    [{ project }, 'interactive'],
    [{ project, mode: 'web' }, 'web'],
  ])('%j is %s', async (input, mode) => {
    expect((await planner({}).planner.plan(input)).mode).toBe(mode);
  });

  it('of a repository without a project, is a task of the project that stands for it', async () => {
    const { planner: plans, asked } = planner({});
    const plan = await plans.plan({ repo: 'https://git.example/y.git', prompt: 'x', branch: 'work' });
    expect(asked.repositories).toEqual(['https://git.example/y.git']);
    expect(plan).toMatchObject({
      project: { id: 'repo-x', isRepository: true },
      settings: { branch: 'work' },
    });
  });
});

describe('a model server of this machine', () => {
  it('is where every agent is pointed to that takes a key, with a token worth nothing', async () => {
    const relay = { relay: { endpoint: 'tcp://127.0.0.1:8090' } };
    const { planner: plans, asked } = planner({ project: relay });
    await plans.plan({ project: 'demo', prompt: 'x' });
    expect([...(asked.plan[0]?.endpoints ?? [])]).toEqual([
      ['claude', { baseUrl: 'http://localhost:9419', token: 'terok-relay', kind: 'api_key' }],
    ]);
    const { planner: without, asked: askedWithout } = planner({});
    await without.plan({ project: 'demo', prompt: 'x' });
    expect(askedWithout.plan[0]?.endpoints.size).toBe(0);
  });
});

describe('the credentials of a task', () => {
  const token = new Secret(`terokp${'0'.repeat(64)}`);
  const access: GrantPlan = {
    grants: [
      { provider: 'claude', set: 'default', kind: 'api_key', token },
      { provider: 'gone', set: 'default', kind: 'api_key', token },
    ],
    hasSshAgent: false,
    warnings: ['The vault is locked.'],
  };
  const proxied = {
    baseUrl: 'http://localhost:9420/claude',
    baseAddress: 'localhost:9420',
    token: token.reveal(),
    kind: 'api_key',
    socket: '/run/terok/vault.sock',
  };

  it('stand for the vendors at its own proxy, as the vault grants them', async () => {
    const { planner: plans, asked } = planner({ access });
    const plan = await plans.plan({ project: 'demo', prompt: 'x', agent: 'codex' });
    expect(asked.grants).toEqual([{ project: 'demo', agent: 'codex', mode: 'headless' }]);
    expect([...(asked.plan[0]?.endpoints ?? [])]).toEqual([['claude', proxied]]);
    expect(plan).toMatchObject({ access, homeOf: 'codex' });
    expect(JSON.stringify(plan)).not.toContain(token.reveal());
  });

  it('are asked for once more at each start, and for whichever agent a web task has', async () => {
    const { planner: plans, asked } = planner({});
    await plans.planAgain(exampleTask({ agent: 'codex' }), {
      settings: {},
      prompt: 'more',
      session: undefined,
    });
    const web = await plans.plan({ project: 'demo', mode: 'web', agent: 'codex' });
    expect(asked.grants).toMatchObject([{ mode: 'headless' }, { agent: 'codex', mode: 'web' }]);
    expect(web.homeOf).toBe('codex');
  });

  it('are not those of a vendor where a model server of this machine stands in its place', async () => {
    const { planner: plans, asked } = planner({
      access,
      project: { relay: { endpoint: 'tcp://127.0.0.1:8090' } },
    });
    await plans.plan({ project: 'demo', prompt: 'x' });
    expect(asked.plan[0]?.endpoints.get('claude')).toMatchObject({ baseUrl: 'http://localhost:9419' });
  });

  it('come, where there is an SSH agent, with the host keys that the person trusts', async () => {
    const plan = await planner({ access: { ...access, hasSshAgent: true } }).planner.plan({
      project: 'demo',
      prompt: 'x',
    });
    expect(plan.run.files).toEqual([
      expect.objectContaining({
        mountedAt: '/etc/ssh/ssh_known_hosts',
        content: 'git.example ssh-ed25519 AAAA\n',
      }),
    ]);
    expect(plan.access.warnings).toEqual([...access.warnings, 'git@new.example is not known']);
  });
});

describe('a tool', () => {
  const input = {
    project: 'demo',
    mode: 'tool',
    tool: { name: 'rabbit', args: ['review', '--', '$(x)'] },
  } as const;

  it('gets its arguments as they are, its own files, and its real credential, which nothing prints', async () => {
    const { planner: plans, asked } = planner({ key: 's3cret' });
    const plan = await plans.plan(input);
    // By the project's own set first; and nothing of the proxy is for it.
    expect([asked.credentials, asked.grants]).toEqual([['rabbit of demo'], []]);
    expect(plan.access).toEqual({ grants: [], hasSshAgent: false, warnings: [] });
    expect(plan).toMatchObject({
      agent: 'rabbit',
      program: ['rabbit-cli', 'review', '--', '$(x)'],
      timeoutS: 600,
      prompt: undefined,
      settings: { toolArgs: ['review', '--', '$(x)'] },
    });
    expect(plan.run).toMatchObject({
      environment: {},
      state: [],
      files: [{ path: 'managed/etc/rabbit.json', mountedAt: '/etc/rabbit.json' }],
    });
    expect(plan.secrets.get('RABBIT_KEY')?.reveal()).toBe('s3cret');
    expect(JSON.stringify([plan, [...plan.secrets]])).not.toContain('s3cret');
  });

  it('without a credential is refused, with what to do', async () => {
    await expect(planner({}).planner.plan(input)).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      hint: expect.stringContaining('terok-mcp auth rabbit'),
    });
  });
});

describe('a web task', () => {
  it('runs its program, told where to listen, among everything that agents are told', async () => {
    const plan = await planner({}).planner.plan({ project: 'demo', mode: 'web', agent: 'codex' });
    expect(plan).toMatchObject({
      agent: 'toad',
      webAgent: 'codex',
      program: ['toad', 'serve', '--port=8080', '--url={public_url}'],
      settings: { agent: 'codex' },
    });
    expect(plan.run.environment).toEqual({ TOAD_THEME: 'dark' });
  });
});

describe('a task that starts again', () => {
  it('is planned from the files of now, with what was said of it and the conversation to go on with', async () => {
    const { planner: plans, asked } = planner({ project: { run: { timeout: 77 } } });
    const plan = await plans.planAgain(exampleTask({ agent: 'codex' }), {
      settings: { model: 'big', restricted: true, gate: false },
      prompt: 'more',
      session: 's0',
    });
    expect(plan).toMatchObject({
      agent: 'codex',
      mode: 'headless',
      restricted: true,
      prompt: 'more',
      resumed: 's0',
      settings: { model: 'big', gate: false },
    });
    expect(asked.plan[0]).toMatchObject({ session: 's0', prompt: 'more', agent: { name: 'codex' } });
    expect(asked.resolve[0]?.scopes[0]?.layer).toEqual({ timeout: { _default: 77 } });
  });
});

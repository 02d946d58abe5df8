import { describe, expect, it } from 'vitest';
import type {
  AgentFile,
  AgentRun,
  AgentRunInput,
  Agents,
  Person,
} from '../../../src/runtime/agents/contract.ts';
import { RosterFile } from '../../../src/runtime/agents/contract.ts';
import type {
  Config,
  GlobalConfig,
  ResolveInput,
  RunSettings,
} from '../../../src/runtime/config/contract.ts';
import { NotFoundError } from '../../../src/runtime/core/errors.ts';
import { ProjectId } from '../../../src/runtime/core/ids.ts';
import { type Project, ProjectFile, type Projects } from '../../../src/runtime/projects/contract.ts';
import { TaskPlanner } from '../../../src/runtime/tasks/task-planner.ts';

const run: AgentRun = {
  command: ['run'],
  prompt: 'hello',
  environment: {},
  files: [],
  session: 's1',
  warnings: ['no turns'],
};

function agentFile(name: string): AgentFile {
  const entry = RosterFile.parse({
    kind: 'agent',
    name,
    title: name,
    description: name,
    binary: name,
    install: {},
    git: { name, email: `${name}@agent.invalid` },
    headless: { command: [name] },
  });
  if (entry.kind !== 'agent') throw new Error('a tool');
  return entry;
}

/** A planner on small stand-ins that remember what they were asked. */
function planner(given: {
  readonly project?: Readonly<Record<string, unknown>>;
  readonly global?: Partial<GlobalConfig>;
  readonly resolved?: Partial<RunSettings>;
  readonly human?: Person;
}) {
  const asked: { resolve: ResolveInput[]; plan: AgentRunInput[] } = { resolve: [], plan: [] };
  const project: Project = {
    id: ProjectId.parse('demo'),
    file: '/config/projects/demo/project.yml',
    directory: '/config/projects/demo',
    settings: ProjectFile.parse({ git: { upstream_url: 'https://git.example/x.git' }, ...given.project }),
  };
  const agents: Agents = {
    roster: async () => ({ entries: [agentFile('claude'), agentFile('codex')], broken: [] }),
    agent: async (name) => {
      if (name === 'nobody') throw new NotFoundError('No agent named "nobody"');
      return agentFile(name);
    },
    tool: async () => {
      throw new NotFoundError('no tools here');
    },
    plan: (input) => {
      asked.plan.push(input);
      return { ...run, prompt: input.prompt };
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
      },
      agents,
      config,
      identity: { of: async () => given.human },
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
    expect(plan.agent.name).toBe(expected);
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
    expect((await plans.plan({ project: 'demo', dev: true })).mode).toBe('dev');
    expect(asked.plan[0]).toMatchObject({ authorship: 'human', human, prompt: undefined });
  });

  it('of a person nobody knows falls back to what the project says', async () => {
    const { planner: plans, asked } = planner({
      project: { git: { upstream_url: '/x.git', authorship: 'agent' } },
    });
    await plans.plan({ project: 'demo', dev: true });
    expect(asked.plan[0]).toMatchObject({ authorship: 'agent', human: undefined });
  });

  it('takes no prompt', async () => {
    await expect(planner({}).planner.plan({ project: 'demo', dev: true, prompt: 'x' })).rejects.toMatchObject(
      {
        code: 'INVALID_INPUT',
      },
    );
  });
});

import { describe, expect, it } from 'vitest';
import type { AgentFile } from '../../../src/runtime/agents/contract.ts';
import {
  agentOf,
  agentText,
  bundledAgent,
  bundledAgents,
  bundledRoster,
  contentOf,
  plan,
  SESSION,
  settings,
} from './roster-fixture.ts';

const roster = bundledRoster();
const plain = agentOf(agentText('plain'));
const subagents = [{ name: 'reviewer', fields: { description: 'Reviews', prompt: 'Review.' } }];

describe('what an agent cannot be told otherwise', () => {
  it('goes into its prompt: instructions in front, the limit of turns behind, the prompt itself byte for byte', () => {
    const run = plan(plain, { settings: settings({ maxTurns: 3, instructions: 'One.\n\nTwo.' }) });
    expect(run.prompt).toBe(
      'One.\n\nTwo.\n\n-x "do" it\n\n\nImportant: complete this task in no more than 3 steps.',
    );
    expect(run.warnings).toEqual([
      'Title knows no limit of turns; its prompt asks for no more than 3 steps.',
    ]);
  });

  it('is left out with a warning when nothing can stand for it', () => {
    const run = plan(plain, { settings: settings({ model: 'big\u001b[2J', subagents }), session: 'abc' });
    expect(run.warnings).toEqual([
      'Title cannot be told which model to use; "big" is ignored.',
      'Title knows no sub-agents; those chosen are ignored.',
      'Title cannot go on with an earlier conversation; this is a new one.',
    ]);
    expect(run.command).toEqual(['/etc/terok/bin/plain', '--now']);
    expect(run.files.map(({ path }) => path)).not.toContain('agents.json');
  });

  it('is nothing when instructions were emptied on purpose, though their file is there', () => {
    for (const agent of bundledAgents()) {
      const run = plan(agent, { roster, settings: settings({ instructions: '' }) });
      expect(run.prompt).toBe('-x "do" it\n');
      expect(run.command?.join(' ')).not.toContain('instructions.md');
      expect(contentOf(run, 'instructions.md')).toMatch(/^Follow the project's .*\.$/);
      expect(contentOf(run, 'managed/etc/codex/managed_config.toml')).not.toContain('developer_instructions');
      expect(contentOf(run, 'bin/claude')).not.toContain('append-system-prompt');
    }
  });

  it('warns a person who starts an agent by hand that reads custom instructions with a prompt only', () => {
    const custom = settings({ hasCustomInstructions: true });
    expect(plan(plain, { prompt: undefined, settings: custom }).warnings).toHaveLength(1);
    expect(plan(plain, { prompt: undefined }).warnings).toEqual([]);
    expect(plan(bundledAgent('claude'), { prompt: undefined, settings: custom }).warnings).toEqual([]);
  });

  it('warns them of a model and of sub-agents that only a headless run is told of', () => {
    const asked = { prompt: undefined, settings: settings({ model: 'big', subagents }) };
    expect(plan(bundledAgent('claude'), asked).warnings).toEqual([
      'Claude takes its model when it is started: "--model big".',
      'Claude takes sub-agents with a prompt only.',
    ]);
    expect(plan(plain, asked).warnings).toEqual([
      'Title cannot be told which model to use; "big" is ignored.',
      'Title knows no sub-agents; those chosen are ignored.',
    ]);
    const vibe = plan(bundledAgent('vibe'), { prompt: undefined, settings: settings({ model: 'big' }) });
    expect(vibe.environment).toHaveProperty('VIBE_ACTIVE_MODEL', 'big');
    expect(vibe.warnings).toEqual([]);
  });
});

describe('a model', () => {
  const named = bundledAgents().filter(({ headless }) => headless.options.model !== undefined);
  it.each(named.map((agent) => [agent.name, agent] as const))('never becomes a flag of %s', (_, agent) => {
    for (const model of [
      '-c',
      '--dangerously-skip-permissions',
      '',
      ' ',
      ' -x',
      'a\nb',
      'a\0b',
      'x'.repeat(257),
    ])
      expect(() => plan(agent, { settings: settings({ model }) })).toThrow(
        expect.objectContaining({ code: 'INVALID_INPUT' }),
      );
    const { command } = plan(agent, { settings: settings({ model: 'a "b" $(c) {session} {options}' }) });
    const holding = command?.filter((argument) => argument.includes('$(c)'));
    expect(holding).toHaveLength(1);
    expect(holding?.[0]).toMatch(/a "b" \$\(c\) \{session\} \{options\}$/);
  });

  it('may go by a variable', () => {
    const vibe = bundledAgent('vibe');
    const run = plan(vibe, { settings: settings({ model: 'devstral' }) });
    expect(run.environment).toHaveProperty('VIBE_ACTIVE_MODEL', 'devstral');
    expect(run.warnings).toEqual([]);
    expect(() => plan(vibe, { settings: settings({ model: '-x' }) })).toThrow('cannot be a model');
  });

  it('is listed for an agent that is OpenCode with another endpoint, which refuses others', () => {
    const run = plan(bundledAgent('kisski'), { roster, settings: settings({ model: 'new-one' }) });
    expect(JSON.parse(contentOf(run, 'opencode/kisski.json'))).toHaveProperty([
      'provider',
      'kisski',
      'models',
      'new-one',
    ]);
    expect(contentOf(run, 'opencode/blablador.json')).not.toContain('new-one');
    expect(run.command).toContain('kisski/new-one');
  });
});

describe('a conversation', () => {
  it.each(bundledAgents().map((agent) => [agent.name, agent] as const))(
    'of %s gets our id where the agent takes one, and only a new one',
    (_, agent: AgentFile) => {
      const fresh = plan(agent);
      const isOurs = agent.session.id === 'host';
      expect(fresh.session).toBe(isOurs ? SESSION : undefined);
      expect(fresh.command?.some((argument) => argument.includes(SESSION))).toBe(isOurs);
      const resumed = plan(agent, { session: 'ses_1' });
      expect(resumed.session).toBeUndefined();
      const canResume = agent.headless.resume !== undefined;
      expect(resumed.command?.some((argument) => argument.includes('ses_1'))).toBe(canResume);
      expect(resumed.warnings.length).toBe(canResume ? 0 : 1);
    },
  );

  it('id is never a flag', () => {
    for (const session of ['--yolo', '-', '', 'a\nb'])
      expect(() => plan(bundledAgent('codex'), { session })).toThrow('cannot be a session id');
  });

  it('is not begun without a prompt', () => {
    const run = plan(bundledAgent('claude'), { roster, prompt: undefined });
    expect([run.command, run.prompt, run.session]).toEqual([undefined, undefined, undefined]);
    expect(run.files.length).toBeGreaterThan(10);
  });
});

describe('a restricted task', () => {
  it('has no approval anywhere, of any agent', () => {
    for (const agent of bundledAgents()) {
      const restricted = plan(agent, { roster, isRestricted: true });
      const open = plan(agent, { roster });
      const all = (run: typeof open) => JSON.stringify([run.command, run.environment, run.files]);
      for (const word of [
        /bypassPermissions/,
        /danger-full-access/,
        /COPILOT_ALLOW_ALL/,
        /yolo/,
        /BYPASS_TOOL_PERMISSIONS":"true/,
        /agent-full-access/,
        /"OPENCODE_PERMISSION":"{\\"\*\\":\\"allow/,
      ]) {
        expect(all(open)).toMatch(word);
        expect(all(restricted)).not.toMatch(word);
      }
      expect(restricted.environment).not.toHaveProperty('TEROK_UNRESTRICTED');
      expect(open.environment).toHaveProperty('TEROK_UNRESTRICTED', '1');
    }
    const claude = contentOf(
      plan(bundledAgent('claude'), { roster, isRestricted: true }),
      'managed/etc/claude-code/managed-settings.json',
    );
    expect(JSON.parse(claude)).toEqual({
      hooks: expect.anything(),
      permissions: { disableBypassPermissionsMode: 'disable' },
      allowManagedPermissionRulesOnly: true,
      allowManagedHooksOnly: true,
    });
  });

  it('begins with nothing accepted that a person would be asked', () => {
    const claude = bundledAgent('claude');
    const first = (isRestricted: boolean): unknown =>
      JSON.parse(plan(claude, { roster, isRestricted }).firstState[0]?.content ?? '');
    expect(first(true)).toEqual({ hasCompletedOnboarding: true });
    expect(first(false)).toEqual({
      hasCompletedOnboarding: true,
      bypassPermissionsModeAccepted: true,
      projects: { '/workspace': { hasTrustDialogAccepted: true } },
    });
  });

  it('keeps asking where a repository could say otherwise, by the wrapper and by any other way', () => {
    for (const agent of bundledAgents()) {
      const { environment, files } = plan(agent, { roster, isRestricted: true });
      expect(environment).toMatchObject({
        OPENCODE_PERMISSION: '{"bash":"ask","edit":"ask","webfetch":"ask"}',
        OPENCODE_DISABLE_PROJECT_CONFIG: '1',
        VIBE_BYPASS_TOOL_PERMISSIONS: 'false',
      });
      expect(files.map(({ mountedAt }) => mountedAt)).toContain('/etc/qwen-code/settings.json');
    }
    const run = plan(bundledAgent('opencode'), { roster, isRestricted: true });
    expect(JSON.parse(contentOf(run, 'managed/etc/qwen-code/settings.json'))).toHaveProperty(
      'tools.approvalMode',
      'default',
    );
    // What the repository says in words is no configuration.
    expect(JSON.parse(contentOf(run, 'opencode/opencode.json'))).toHaveProperty('instructions', [
      '/etc/terok/instructions.md',
      '/workspace/AGENTS.md',
    ]);
  });

  it('has no sub-agent that works without asking, and says so', () => {
    const modes = ['bypassPermissions', 'acceptEdits', 'auto', 7, 'plan', 'default', undefined];
    const team = modes.map((permissionMode, index) => ({
      name: `s${index}`,
      fields: { prompt: 'x', permissionMode },
    }));
    const claude = bundledAgent('claude');
    const told = (isRestricted: boolean) =>
      plan(claude, { roster, isRestricted, settings: settings({ subagents: team }) });
    expect(contentOf(told(false), 'agents.json').match(/permissionMode/g)).toHaveLength(6);
    expect(contentOf(told(true), 'agents.json').match(/"permissionMode": "\w+"/g)).toEqual([
      '"permissionMode": "plan"',
      '"permissionMode": "default"',
    ]);
    expect(told(true).warnings).toEqual([
      'This task is restricted: s0, s1, s2, s3 may not work without asking either.',
    ]);
    expect(told(false).warnings).toEqual([]);
  });

  it('follows the task and not the settings it came from', () => {
    const run = plan(bundledAgent('copilot'), {
      isRestricted: true,
      settings: settings({ isUnrestricted: true }),
    });
    expect(run.environment).not.toHaveProperty('COPILOT_ALLOW_ALL');
  });
});

describe('the environment of a container', () => {
  it('is refused when two agents give one variable different values', () => {
    const a = agentOf(agentText('a', 'unrestricted: [{ via: env, env: { ALLOW: "1" } }]\n'));
    const b = agentOf(agentText('b', 'unrestricted: [{ via: env, env: { ALLOW: "2" } }]\n'));
    const c = agentOf(agentText('c', 'env: { ALLOW: "3" }\n'));
    expect(() => plan(a, { roster: [a, b] })).toThrow('a and b give ALLOW different values');
    expect(() => plan(c, { roster: [a, c] })).toThrow('a and c give ALLOW different values');
    expect(plan(a, { roster: [a, b], isRestricted: true }).environment).not.toHaveProperty('ALLOW');
  });

  it.each([
    'PATH',
    'BASH_ENV',
    'SHELLOPTS',
    'LD_PRELOAD',
    'LD_AUDIT',
    'GIT_OBJECT_DIRECTORY',
    'GIT_EXEC_PATH',
    'GIT_AUTHOR_NAME',
    'GIT_CONFIG_COUNT',
    'HUMAN_GIT_NAME',
    'TEROK_AGENT',
    'TEROK_UNRESTRICTED',
    'TEROK_SERVICES',
    'CODE_REPO',
  ])('is not turned from what is ours: a file of the roster sets no %s', (name) => {
    for (const [key, more] of [
      ['env', `env: { ${name}: x }`],
      ['unrestricted.0.env', `unrestricted: [{ via: env, env: { ${name}: x } }]`],
      ['headless.env', `  env: { ${name}: x }`],
      ['headless.model_env', `  model_env: ${name}`],
      ['headless.log_env', `  log_env: ${name}`],
      ['phantom.api_key.env', `phantom: { api_key: { env: { ${name}: x } } }`],
      ['acp.env', `acp: { command: [x], env: { ${name}: x } }`],
      ['instructions.env', `instructions: { via: env_dir, env: ${name}, file: A.md }`],
    ])
      expect(() => agentOf(agentText('evil', `${more}\n`))).toThrow(`/x/evil.yaml:11: ${key}`);
  });

  it('has what an agent wants for headless runs in these only', () => {
    const agent = agentOf(agentText('a', '  env: { QUIET: "1" }\n'));
    expect(plan(agent).environment).toHaveProperty('QUIET', '1');
    expect(plan(agent, { prompt: undefined }).environment).not.toHaveProperty('QUIET');
  });

  it('turns off what each agent tells others, in any mode and whoever starts it', () => {
    for (const [agent, prompt] of bundledAgents().flatMap((one) => [
      [one, 'x'] as const,
      [one, undefined] as const,
    ])) {
      const run = plan(agent, { roster, prompt });
      expect(run.environment).toMatchObject(agent.env);
      for (const other of bundledAgents())
        for (const name of Object.keys(other.env))
          expect(contentOf(run, `bin/${other.name}`)).toContain(`export ${name}=`);
      const mounted = run.files.flatMap(({ mountedAt }) => mountedAt ?? []);
      expect(mounted).toEqual(
        expect.arrayContaining([
          '/etc/codex/managed_config.toml',
          '/etc/gemini-cli/settings.json',
          '/etc/qwen-code/settings.json',
        ]),
      );
    }
  });

  it('names the endpoint of every agent that has one, with a dash as underscore', () => {
    const agent = agentOf(
      agentText(
        'my-ai',
        'opencode: { display_name: My, base_url: "https://a.example.org/v1", preferred_model: p, fallback_model: f, key_env: MY_API_KEY, config_dir: .my }\n',
      ),
    );
    expect(plan(plain, { roster: [plain, agent] }).environment).toMatchObject({
      TEROK_OC_MY_AI_BASE_URL: 'https://a.example.org/v1',
      TEROK_OC_MY_AI_PREFERRED_MODEL: 'p',
      TEROK_OC_MY_AI_FALLBACK_MODEL: 'f',
      TEROK_OC_MY_AI_DISPLAY_NAME: 'My',
      TEROK_OC_MY_AI_ENV_VAR_PREFIX: 'MY',
      TEROK_OC_MY_AI_CONFIG_DIR: '.my',
    });
  });
});

it('keeps prompt, instructions and keys out of command lines and environment', () => {
  const secretive = settings({ instructions: 'INSTRUCTION-TEXT', maxTurns: 2 });
  for (const agent of bundledAgents()) {
    const run = plan(agent, { roster, prompt: 'PROMPT-TEXT', settings: secretive });
    const outside = JSON.stringify([run.command, run.environment]);
    expect(outside).not.toMatch(/PROMPT-TEXT|INSTRUCTION-TEXT/);
    expect(JSON.stringify(run.files)).not.toContain('PROMPT-TEXT');
    expect(run.prompt).toContain('PROMPT-TEXT');
    for (const name of Object.keys(run.environment)) expect(name).not.toMatch(/(?:KEY|TOKEN|SECRET)$/);
  }
});

it('writes each file once, at a place of its own', () => {
  const { files } = plan(bundledAgent('claude'), { roster, settings: settings({ subagents }) });
  expect(new Set(files.map(({ path }) => path)).size).toBe(files.length);
  const mounted = files.flatMap(({ mountedAt }) => mountedAt ?? []);
  expect(new Set(mounted).size).toBe(mounted.length);
  for (const { path } of files) expect(path).not.toMatch(/^\/|(?:^|\/)\.\.(?:\/|$)/);
});

it('has sub-agents by name, whatever the name', () => {
  const odd = [{ name: '__proto__', fields: { prompt: 'x' } }, ...subagents];
  const run = plan(bundledAgent('claude'), { settings: settings({ subagents: odd }) });
  expect(Object.keys(JSON.parse(contentOf(run, 'agents.json')))).toEqual(['__proto__', 'reviewer']);
  expect(run.command?.slice(2, 4)).toEqual(['--agents', '/etc/terok/agents.json']);
});

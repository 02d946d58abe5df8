import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Authorship, RosterEntry } from '../../../src/runtime/agents/contract.ts';
import { gitIdentity, usablePerson } from '../../../src/runtime/agents/git-identity.ts';
import { renderWrapper } from '../../../src/runtime/agents/wrapper-script.ts';
import { agentOf, agentText, bundledRoster } from './roster-fixture.ts';

/** Says who it is and what it got, each argument ended by a NUL. */
const FAKE = `#!/bin/sh
printf '%s\\n' "$GIT_AUTHOR_NAME <$GIT_AUTHOR_EMAIL>" "$GIT_COMMITTER_NAME <$GIT_COMMITTER_EMAIL>" >&2
printf '%s\\n' "$OPENCODE_CONFIG" >&2
for argument in "$@"; do printf '%s\\0' "$argument"; done
exit 7
`;

const roster = bundledRoster();
const entry = (name: string): RosterEntry => {
  const found = roster.find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe('the wrapper', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'wrapper '));
    mkdirSync(path.join(root, "bin's"));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const run = (
    one: RosterEntry,
    args: readonly string[],
    options: {
      readonly env?: Readonly<Record<string, string>>;
      readonly isRestricted?: boolean;
      readonly isAbsent?: boolean;
      readonly program?: string;
    } = {},
  ) => {
    const directory = path.join(root, "bin's");
    const program = path.join(directory, one.binary);
    const wrapper = path.join(root, 'wrapper');
    if (options.isAbsent !== true) writeFileSync(program, options.program ?? FAKE, { mode: 0o755 });
    const text = renderWrapper(one, {
      isRestricted: options.isRestricted ?? true,
      hasInstructions: one.name === 'claude',
      directories: ['/nonexistent', directory],
    });
    writeFileSync(wrapper, text);
    chmodSync(wrapper, 0o755);
    const done = spawnSync(wrapper, args, {
      encoding: 'utf8',
      env: {
        PATH: '/usr/bin:/bin',
        HUMAN_GIT_NAME: 'Ada "A" O\'Hara',
        HUMAN_GIT_EMAIL: 'ada@example.org',
        GIT_AUTHOR_NAME: 'stale',
        GIT_AUTHOR_EMAIL: 'stale@x',
        GIT_COMMITTER_NAME: 'stale',
        GIT_COMMITTER_EMAIL: 'stale@x',
        ...options.env,
      },
    });
    const [author, committer, opencode] = done.stderr.split('\n');
    return {
      status: done.status,
      stderr: done.stderr,
      args: done.stdout.split('\0').slice(0, -1),
      author,
      committer,
      opencode,
    };
  };

  it.each(roster.map((one) => [one.name, one] as const))(
    'of %s is sound to bash, and holds no shell function',
    (_, one) => {
      for (const isRestricted of [true, false]) {
        const text = renderWrapper(one, { isRestricted, hasInstructions: true });
        expect(spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' })).toMatchObject({
          status: 0,
          stderr: '',
        });
        expect(text).not.toMatch(/\w+\s*\(\)\s*\{|^function /m);
      }
    },
  );

  const AGENT = 'Claude <noreply@anthropic.com>';
  const HUMAN = 'Ada "A" O\'Hara <ada@example.org>';
  it.each<[string, string, string]>([
    ['agent-human', AGENT, HUMAN],
    ['human-agent', HUMAN, AGENT],
    ['agent', AGENT, AGENT],
    ['human', HUMAN, HUMAN],
    ['whatever', AGENT, HUMAN],
    ['', AGENT, HUMAN],
  ])('sets all four variables of git in mode "%s"', (mode, author, committer) => {
    const result = run(entry('claude'), [], { env: { TEROK_GIT_AUTHORSHIP: mode } });
    expect(result).toMatchObject({ author, committer, status: 7 });
  });

  it('agrees with the environment of the container in each mode', () => {
    const human = { name: 'Ada "A" O\'Hara', email: 'ada@example.org' };
    const modes: readonly Authorship[] = ['agent-human', 'human-agent', 'agent', 'human'];
    for (const mode of modes) {
      const env = gitIdentity(mode, { agent: { name: 'Claude', email: 'noreply@anthropic.com' }, human });
      const result = run(entry('claude'), [], { env: { TEROK_GIT_AUTHORSHIP: mode } });
      expect(result.author).toBe(`${env.GIT_AUTHOR_NAME} <${env.GIT_AUTHOR_EMAIL}>`);
      expect(result.committer).toBe(`${env.GIT_COMMITTER_NAME} <${env.GIT_COMMITTER_EMAIL}>`);
    }
  });

  it('takes nobody for a person who is unknown', () => {
    const env = { HUMAN_GIT_NAME: '', HUMAN_GIT_EMAIL: '' };
    expect(run(entry('claude'), [], { env }).committer).toBe('Nobody <nobody@localhost>');
  });

  it.each(['gh', 'glab'])('of %s acts as the person, in any mode', (name) => {
    for (const mode of ['agent', 'agent-human', 'human'])
      expect(run(entry(name), ['pr', 'create'], { env: { TEROK_GIT_AUTHORSHIP: mode } })).toMatchObject({
        author: HUMAN,
        committer: HUMAN,
        args: ['pr', 'create'],
      });
  });

  it('hands over arguments and the exit code as they are', () => {
    const args = ['-p', '', 'two words', "it's", '"', '$(touch x) `id` \\', 'a\nb\n', '*', '--', '-n'];
    expect(run(entry('codex'), args)).toMatchObject({ args, status: 7 });
  });

  it('adds instructions and approvals unless they are given', () => {
    const told = [
      '--append-system-prompt-file',
      '/etc/terok/instructions.md',
      '--system-prompt-snapshot',
      'off',
    ];
    expect(run(entry('claude'), ['mcp', 'list']).args).toEqual([...told, 'mcp', 'list']);
    expect(run(entry('claude'), ['-p', ...told]).args).toEqual(['-p', ...told]);
    const gemini = (args: readonly string[], isRestricted: boolean) =>
      run(entry('gemini'), args, { isRestricted }).args;
    expect(gemini(['x'], false)).toEqual(['--approval-mode', 'yolo', 'x']);
    expect(gemini(['--approval-mode=plan', 'x'], false)).toEqual(['--approval-mode=plan', 'x']);
    expect(gemini(['x'], true)).toEqual(['x']);
  });

  it('gives each agent that is OpenCode a configuration of its own', () => {
    for (const name of ['opencode', 'blablador', 'kisski'])
      expect(run(entry(name), [], { env: { OPENCODE_CONFIG: '/other' } }).opencode).toBe(
        `/etc/terok/opencode/${name}.json`,
      );
  });

  it.each<[string, readonly string[]]>([
    ['claude', ['auth', 'login']],
    ['claude', ['auth', 'logout']],
    ['claude', ['setup-token']],
    ['claude', ['auth', '--verbose', 'login', '--console']],
    ['claude', ['--debug', 'auth', 'login']],
    ['codex', ['login']],
    ['codex', ['logout']],
    ['codex', ['-c', 'model="x"', 'login', '--with-api-key']],
    ['opencode', ['auth', 'login']],
    ['copilot', ['login']],
    ['vibe', ['--setup']],
    ['vibe', ['-c', '--setup']],
  ])('of %s refuses %j with a reason', (name, args) => {
    const result = run(entry(name), args);
    expect(result.status).toBe(1);
    expect(result.args).toEqual([]);
    expect(result.stderr).toMatch(new RegExp(`^${name}: ".*" is not done here: the host looks after `));
  });

  it.each<[string, readonly string[]]>([
    ['claude', ['auth', 'status']],
    ['claude', ['-p', 'auth login']],
    ['claude', ['explain', 'auth', 'login']],
    ['codex', ['exec', 'login']],
    ['codex', ['--', 'login']],
    ['opencode', ['run', 'auth', 'login']],
  ])('of %s does not mistake %j for a login', (name, args) => {
    expect(run(entry(name), args).status).toBe(7);
  });

  it('says when the program is not in the image', () => {
    const result = run(entry('claude'), [], { isAbsent: true });
    expect(result).toMatchObject({ status: 127, stderr: 'claude: not in this image\n' });
  });

  it('makes a file that its program writes a part of what it says, when a headless run asks for that', () => {
    const logging = agentOf(
      agentText('logging').replace('[run-it, --now]', '[run-it, --now]\n  log_env: LOG_FILE'),
    );
    const program = `#!/bin/sh\nprintf 'named: %s\\0' "\${LOG_FILE-none}"\nif [ -n "$LOG_FILE" ]; then echo told >> "$LOG_FILE"; fi\n`;
    const asked = run(logging, [], { env: { LOG_FILE: 'stderr' }, program });
    expect(asked.stderr).toContain('told');
    expect(asked.args.join('')).toMatch(/named: \/\S+\/log/);
    expect(run(logging, [], { program }).args.join('')).toContain('named: none');
  });

  describe('of a program with such a file', () => {
    const logging = agentOf(
      agentText('logging').replace('[run-it, --now]', '[run-it, --now]\n  log_env: LOG_FILE'),
    );
    const asked = (program: string, wrapped = '"$0"') => {
      run(logging, [], {});
      writeFileSync(path.join(root, "bin's", logging.binary), program);
      return spawnSync('bash', ['--norc', '-c', wrapped, path.join(root, 'wrapper')], {
        encoding: 'utf8',
        timeout: 10_000,
        killSignal: 'SIGKILL',
        env: { PATH: '/usr/bin:/bin', LOG_FILE: 'stderr' },
      });
    };

    it('lets it open the file as often as it likes, or never', () => {
      const often = 'for i in 1 2 3; do echo "told $i" >> "$LOG_FILE"; sleep 0.05; done; exit 5';
      expect(asked(`#!/bin/sh\n${often}\n`)).toMatchObject({
        status: 5,
        stderr: 'told 1\ntold 2\ntold 3\n',
      });
      expect(asked('#!/bin/sh\nexit 6\n')).toMatchObject({ status: 6, stderr: '' });
    });

    it('never has it wait for somebody who reads, also where nobody takes its standard error', () => {
      const much = '#!/bin/sh\nhead -c 1000000 /dev/zero >> "$LOG_FILE"; echo on >> "$LOG_FILE"; exit 5\n';
      expect(asked(much, '"$0" 2>&-')).toMatchObject({ status: 5 });
      expect(asked(much, '"$0" 2> >(head -c 1 > /dev/null)')).toMatchObject({ status: 5 });
    });

    it('passes signals on, and what it writes then', () => {
      const program = `#!/bin/bash
trap 'echo last >> "$LOG_FILE"; exit 3' TERM
echo first >> "$LOG_FILE"
while true; do sleep 0.05; done
`;
      // As terok-init does it: the whole group gets the signal.
      expect(asked(program, 'timeout 1 "$0"')).toMatchObject({
        status: 124,
        stderr: expect.stringMatching(/^first\n(?:.*\n)*last\n$/),
      });
    });

    it('leaves no process behind', () => {
      const { stdout } = asked('#!/bin/sh\necho done\n', '"$0"; ps -o comm= --ppid $$ | grep -c cat');
      expect(stdout).toBe('done\n0\n');
    });
  });

  it('takes nothing of a file of the roster for shell', () => {
    const evil = agentOf(
      agentText('evil')
        .replace('name: Runner', 'name: "a\'; touch pwned; $(touch pwned) \'"')
        .concat('env: { A: "\'; exit 3; $(exit 3)" }\nrefuse: [["\'; exit 4; #"]]\n'),
    );
    const result = run(evil, ['x'], { env: { TEROK_GIT_AUTHORSHIP: 'agent' } });
    expect(result).toMatchObject({ status: 7, args: ['x'] });
    expect(result.author).toBe("a'; touch pwned; $(touch pwned) ' <run@example.org>");
  });
});

describe('a person', () => {
  it.each([
    [undefined, 'Nobody', 'nobody@localhost'],
    [{ name: '', email: '' }, 'Nobody', 'nobody@localhost'],
    [{ name: ' <> ', email: 'a@b' }, 'Nobody', 'a@b'],
    [{ name: 'A\nB', email: 'a@b' }, 'A B', 'a@b'],
    [{ name: 'Ада', email: ' ' }, 'Ада', 'nobody@localhost'],
  ])('%j is one whom git accepts', (person, name, email) => {
    expect(usablePerson(person)).toEqual({ name, email });
  });
});

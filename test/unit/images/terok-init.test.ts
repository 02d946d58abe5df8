import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunningScript, runScript, type ScriptResult } from '../../support/container-script.ts';
import { Terminal } from '../../support/terminal.ts';

const container = path.resolve(import.meta.dirname, '../../../resources/container');

let root: string;
let workspace: string;
let services: string;
let gate: string;

const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
    cwd,
    encoding: 'utf8',
  }).trim();

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'init-'));
  workspace = path.join(root, 'workspace');
  services = path.join(root, 'services');
  gate = path.join(root, 'gate');
  for (const directory of [workspace, services, gate]) mkdirSync(directory);
  git(gate, 'init', '-q', '-b', 'main', '.');
  commitToGate('a.txt', 'one\n');
  writeFileSync(path.join(services, 'prompt'), 'say hi\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function commitToGate(file: string, text: string): string {
  writeFileSync(path.join(gate, file), text);
  git(gate, 'add', '.');
  git(gate, 'commit', '-q', '-m', `change ${file}`);
  return git(gate, 'rev-parse', 'HEAD');
}

function environment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { REPO_ROOT: workspace, CODE_REPO: gate, GIT_BRANCH: 'main', TEROK_SERVICES: services, ...extra };
}

/** What is to run, as the host writes it. */
const writeRun = (...fields: readonly string[]): void =>
  writeFileSync(path.join(services, 'run'), fields.map((field) => `${field}\0`).join(''));

const start = (mode: string, env: Readonly<Record<string, string>> = {}): Promise<ScriptResult> =>
  runScript('terok-init', { args: [mode], env: environment(env) });

async function headless(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  timeoutS = '20',
): Promise<ScriptResult> {
  writeRun(timeoutS, ...command);
  return await start('headless', env);
}

const read = (file: string): string => readFileSync(path.join(workspace, file), 'utf8');
const write = (file: string, text: string): void => writeFileSync(path.join(workspace, file), text);
const rescued = (kind: 'work' | 'commits'): string =>
  git(workspace, 'for-each-ref', '--format=%(refname)', 'refs/terok/rescue')
    .split('\n')
    .find((ref) => ref.endsWith(`/${kind}`)) ?? '';

describe('a first start', () => {
  it('clones the branch into the workspace, says so, and runs the agent there with the prompt', async () => {
    const result = await headless(['bash', '-c', 'pwd; cat; exit 5']);
    expect(result).toMatchObject({ code: 5, stderr: '' });
    expect(result.stdout).toBe(`>> cloning ${gate}\n>> init complete\n${workspace}\nsay hi\n`);
    expect(read('a.txt')).toBe('one\n');
    expect(git(workspace, 'status', '--branch', '--porcelain')).toBe('## main...origin/main');
    expect(readdirSync(workspace).sort()).toEqual(['.git', 'a.txt']);
  });

  it('starts on the branch it is told, and fails with 70 on one that is not there', async () => {
    git(gate, 'branch', 'fix/y');
    expect((await headless(['git', 'branch', '--show-current'], { GIT_BRANCH: 'fix/y' })).stdout).toContain(
      'fix/y\n',
    );
    rmSync(workspace, { recursive: true });
    mkdirSync(workspace);
    const missing = await headless(['true'], { GIT_BRANCH: 'nope' });
    expect(missing.code).toBe(70);
    expect(missing.stderr).toBe(`terok-init: ${gate} has no branch "nope"\n`);
  });

  it('makes an unborn branch of an upstream without commits', async () => {
    git(root, 'init', '-q', '--bare', 'empty.git');
    const result = await headless(['git', 'symbolic-ref', 'HEAD'], {
      CODE_REPO: path.join(root, 'empty.git'),
    });
    expect(result).toMatchObject({ code: 0 });
    expect(result.stdout).toContain('refs/heads/main\n');
  });

  it('names what is in the way of a clone, and touches none of it', async () => {
    write('precious.txt', 'mine');
    const result = await headless(['true']);
    expect(result.code).toBe(128);
    expect(result.stderr).toContain('precious.txt');
    expect(read('precious.txt')).toBe('mine');
  });

  it('says in one line that the gate cannot be cloned, with a code of its own', async () => {
    const result = await headless(['true'], { CODE_REPO: path.join(root, 'absent') });
    expect(result.code).toBe(70);
    expect(result.stderr.trim().split('\n').at(-1)).toBe(`terok-init: cloning ${root}/absent failed`);
    expect(readdirSync(workspace)).toEqual([]);
  });
});

describe('after a kill -9', () => {
  it('starts a clone anew whose staging directory was left behind', async () => {
    mkdirSync(path.join(workspace, '.terok-clone/.git/objects'), { recursive: true });
    expect((await headless(['true'])).code).toBe(0);
    expect(readdirSync(workspace).sort()).toEqual(['.git', 'a.txt']);
  });

  it('finishes a checkout that was cut short, even with an index lock in place', async () => {
    await headless(['true']);
    rmSync(path.join(workspace, 'a.txt'));
    write('.git/terok-checkout-unfinished', '');
    write('.git/index.lock', '');
    expect((await headless(['true'])).code).toBe(0);
    expect(read('a.txt')).toBe('one\n');
    expect(existsSync(path.join(workspace, '.git/terok-checkout-unfinished'))).toBe(false);
  });

  it('recovers wherever the kill falls', async () => {
    for (let file = 0; file < 200; file++)
      writeFileSync(path.join(gate, `f${file}`), `${file}\n`.repeat(2000));
    commitToGate('last.txt', 'x');
    for (const delayMs of [5, 15, 30, 45, 60, 90]) {
      writeRun('20', 'true');
      const victim = new RunningScript('terok-init', { args: ['headless'], env: environment() });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      victim.killAll();
      await victim.result;
      expect(await headless(['git', 'status', '--porcelain'])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/init complete\n$/),
      });
      rmSync(workspace, { recursive: true });
      mkdirSync(workspace);
    }
  });
});

describe('a restart', () => {
  beforeEach(async () => {
    await headless(['true']);
  });

  it('only fetches: work tree, index, branch and HEAD stay as they are', async () => {
    const head = git(workspace, 'rev-parse', 'HEAD');
    write('a.txt', 'edited\n');
    write('new.txt', 'new\n');
    const fetched = commitToGate('b.txt', 'two\n');
    expect((await headless(['true'])).code).toBe(0);
    expect(git(workspace, 'rev-parse', 'HEAD', 'origin/main').split('\n')).toEqual([head, fetched]);
    expect(git(workspace, 'status', '--porcelain')).toBe('M a.txt\n?? new.txt');
  });

  it('goes on with what is there when the gate is closed, and points origin at the gate again', async () => {
    git(workspace, 'remote', 'set-url', 'origin', '/elsewhere');
    const closed = path.join(root, 'closed');
    const result = await headless(['git', 'remote', 'get-url', 'origin'], { CODE_REPO: closed });
    expect(result.code).toBe(0);
    expect(result.stderr).toContain('going on with what is here');
    expect(result.stdout).toContain(`${closed}\n`);
  });

  it('keeps index and work tree in a soft reset, and unpushed commits under a rescue ref', async () => {
    write('mine.txt', 'mine\n');
    git(workspace, 'add', '.');
    git(workspace, 'commit', '-q', '-m', 'unpushed');
    const mine = git(workspace, 'rev-parse', 'HEAD');
    const target = commitToGate('b.txt', 'two\n');
    const result = await headless(['true'], { GIT_RESET_MODE: 'soft' });
    expect(result.stdout).toContain('kept commits');
    expect(git(workspace, 'rev-parse', 'HEAD', rescued('commits')).split('\n')).toEqual([target, mine]);
    expect(read('mine.txt')).toBe('mine\n');
  });

  it('keeps every kind of uncommitted work in a hard reset', async () => {
    write('.git/info/exclude', '*.ignored\n');
    write('a.txt', 'staged\n');
    git(workspace, 'add', 'a.txt');
    write('a.txt', 'edited\n');
    write('new.txt', 'untracked\n');
    write('c.ignored', 'in the way\n');
    write('other.ignored', 'not in the way\n');
    writeFileSync(path.join(gate, 'c.ignored'), 'theirs\n');
    const target = commitToGate('new.txt', 'theirs\n');
    const result = await headless(['true'], { GIT_RESET_MODE: 'hard' });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(git(workspace, 'rev-parse', 'HEAD')).toBe(target);
    expect(read('new.txt')).toBe('theirs\n');
    expect(read('other.ignored')).toBe('not in the way\n');
    const work = rescued('work');
    const shown = (spec: string): string => git(workspace, 'show', spec);
    expect(['a.txt', 'new.txt', 'c.ignored'].map((file) => shown(`${work}:${file}`))).toEqual([
      'edited',
      'untracked',
      'in the way',
    ]);
    expect(shown(`${work}^2:a.txt`)).toBe('staged');
  });

  it('makes no rescue where nothing would be lost', async () => {
    commitToGate('b.txt', 'two\n');
    const result = await headless(['true'], { GIT_RESET_MODE: 'hard' });
    expect(result.stdout).not.toContain('kept');
    expect(git(workspace, 'for-each-ref', 'refs/terok')).toBe('');
    expect(read('b.txt')).toBe('two\n');
  });

  it('refuses to reset to a branch that the gate does not have, and to a mode it does not know', async () => {
    write('a.txt', 'edited\n');
    expect((await headless(['true'], { GIT_RESET_MODE: 'hard', GIT_BRANCH: 'nope' })).code).toBe(71);
    expect((await headless(['true'], { GIT_RESET_MODE: 'harder' })).code).toBe(65);
    expect(read('a.txt')).toBe('edited\n');
  });

  it('resets nothing when the work cannot be kept', async () => {
    write('a.txt', 'edited\n');
    rmSync(path.join(workspace, '.git/objects'), { recursive: true });
    write('.git/objects', 'not a directory');
    const result = await headless(['true'], { GIT_RESET_MODE: 'hard' });
    expect(result.code).not.toBe(0);
    expect(read('a.txt')).toBe('edited\n');
  });
});

describe('the agent process', () => {
  it('exits with 124 when its time is over', async () => {
    expect((await headless(['sleep', '30'], {}, '1')).code).toBe(124);
  });

  it('exits with 124 as well when it had to be killed', async () => {
    // As `timeout` ends when its grace is over: by KILL, itself included.
    const stubborn = 'trap "" TERM; sleep 1.5; kill -KILL $PPID';
    expect((await headless(['bash', '-c', stubborn], {}, '1')).code).toBe(124);
  });

  it('that ends with 124 by itself is not taken for one that ran out of time', async () => {
    const result = await headless(['bash', '-c', 'exit 124']);
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('though it had time left') });
  });

  it('that is killed by somebody else is not, either', async () => {
    expect((await headless(['bash', '-c', 'kill -KILL $$'])).code).toBe(137);
  });

  it('gets the TERM that the container gets, and its own exit code counts', async () => {
    const agent = 'trap "echo ending; exit 42" TERM; echo working; while :; do sleep 0.05; done';
    writeRun('20', 'bash', '-c', agent);
    const script = new RunningScript('terok-init', { args: ['headless'], env: environment() });
    await script.printed('working');
    script.process.kill('SIGTERM');
    expect(await script.result).toMatchObject({ code: 42, stdout: expect.stringContaining('ending') });
  });

  it('has no time limit where that is 0', async () => {
    expect(await headless(['bash', '-c', 'sleep 1.2; echo late; exit 6'], {}, '0')).toMatchObject({
      code: 6,
      stdout: expect.stringContaining('late'),
    });
    expect((await headless(['bash', '-c', 'exit 124'], {}, '0')).code).toBe(1);
  });

  it('gets its arguments and its prompt byte for byte', async () => {
    const args = ['', '-x', '--', 'a b', '"\'', '$(id)', '`id`', 'line\nbreak', '*', '\\', 'ü\u{1f600}'];
    const prompt = Buffer.concat([
      Buffer.from('-n $(id) "q" \n\n'),
      Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
      Buffer.from('x'.repeat(1_000_000)),
    ]);
    writeFileSync(path.join(services, 'prompt'), prompt);
    const program = 'sha256sum; printf "%s\\0" "$@" | base64 -w0';
    const { stdout } = await headless(['bash', '-c', program, 'name', ...args]);
    const [digest, encoded] = stdout.trim().split('\n').slice(-2);
    expect(digest).toBe(`${createHash('sha256').update(prompt).digest('hex')}  -`);
    expect(Buffer.from(encoded ?? '', 'base64').toString()).toBe(args.map((arg) => `${arg}\0`).join(''));
  });

  it('leaves no image of its memory where it crashes', async () => {
    const { stdout } = await headless(['bash', '-c', 'ulimit -Sc; ulimit -Hc; kill -SEGV $$']);
    expect(stdout).toMatch(/complete\n0\n0\n/);
    expect(readdirSync(workspace).filter((name) => name.startsWith('core'))).toEqual([]);
  });

  it('that is not there has the code a shell gives', async () => {
    expect((await headless(['no-such-program'])).code).toBe(127);
  });

  it.each([[[]], [['headless', '20', 'true']], [['interactive', 'more']], [['sing']]])(
    'refuses %j',
    async (args) => {
      writeRun('20', 'true');
      expect((await runScript('terok-init', { args, env: environment() })).code).toBe(64);
    },
  );

  it.each([
    ['is empty', ''],
    ['names no program', '20\0'],
    ['names an empty program', '20\0\0'],
    ['has no limit', 'true\0x\0'],
    ['has a limit that is none', '-1\0true\0'],
    ['has a limit that is computed', 'a[$(id>&2)]\0true\0'],
    ['was cut off', '20\0true\0hal'],
  ])('does not run when the file that says what to run %s', async (_what, content) => {
    for (const mode of ['headless', 'tool', 'web']) {
      writeFileSync(path.join(services, 'run'), content);
      const result = await start(mode);
      expect(result).toMatchObject({ code: 67, stdout: '' });
      expect(result.stderr).toBe(`terok-init: ${services}/run is not as it should be\n`);
    }
  });

  it('says which part of its environment is missing', async () => {
    for (const mode of ['headless', 'tool', 'web']) expect((await start(mode)).code).toBe(67);
    rmSync(path.join(services, 'prompt'));
    expect((await headless(['true'])).code).toBe(66);
    const bare = await runScript('terok-init', { args: ['interactive'], env: { TEROK_SERVICES: services } });
    expect(bare).toMatchObject({ code: 65, stderr: 'terok-init: REPO_ROOT is not set\n' });
  });
});

describe('a tool', () => {
  const secret = (name: string, value: string | Uint8Array): void => {
    mkdirSync(path.join(services, 'environment'), { recursive: true });
    writeFileSync(path.join(services, 'environment', name), value);
  };

  it('has nothing on standard input, and the variables of its directory, neither trimmed nor added to', async () => {
    const values = {
      A_KEY: ' sp ace\n\n',
      _b: '',
      name: '$(id) "q" \'',
      seconds: '-n',
      LONG: 'k'.repeat(100_000),
    };
    for (const [name, value] of Object.entries(values)) secret(name, value);
    writeRun(
      '20',
      'bash',
      '-c',
      `cat; for v in A_KEY _b name seconds LONG; do printf %s "\${!v}" | sha256sum; done; exit 3`,
    );
    const { code, stdout } = await start('tool');
    expect(code).toBe(3);
    const digests = Object.values(values).map(
      (value) => `${createHash('sha256').update(value).digest('hex')}  -`,
    );
    expect(stdout.split('init complete\n')[1]).toBe(`${digests.join('\n')}\n`);
  });

  it('is the only one to see them: not the process around it, nor git, nor the bridges', async () => {
    secret('A_KEY', 'sesame-open');
    const bin = path.join(root, 'bin');
    mkdirSync(bin);
    writeFileSync(
      path.join(bin, 'git'),
      `#!/bin/bash\ntr '\\0' '\\n' < /proc/$$/environ >> ${root}/git-environment\nPATH=\${PATH#*:}; exec git "$@"\n`,
      { mode: 0o755 },
    );
    const look =
      'tr "\\0" "\\n" < /proc/$PPID/environ; for up in $(ps -o ppid= $PPID); do tr "\\0" "\\n" < /proc/$up/environ; done; echo "own: $A_KEY"; tr "\\0" " " < /proc/*/cmdline 2>/dev/null | grep -c sesame-open';
    writeRun('20', 'bash', '-c', look);
    const { stdout } = await start('tool', { PATH: `${bin}:${process.env['PATH']}` });
    // `timeout` is what becomes of the process that hands them over.
    expect(stdout.match(/^A_KEY=/gm)).toHaveLength(1);
    expect(stdout).toContain('own: sesame-open\n0\n');
    expect(readFileSync(path.join(root, 'git-environment'), 'utf8')).toContain('REPO_ROOT=');
    expect(readFileSync(path.join(root, 'git-environment'), 'utf8')).not.toContain('A_KEY');
  });

  it('has them when the files are gone as soon as the workspace is ready', async () => {
    secret('A_KEY', 'value');
    writeRun('20', 'bash', '-c', 'sleep 0.5; echo "got $A_KEY"');
    const script = new RunningScript('terok-init', { args: ['tool'], env: environment() });
    await script.printed('init complete');
    rmSync(path.join(services, 'environment'), { recursive: true });
    expect((await script.result).stdout).toContain('got value\n');
  });

  it('does not start with a variable that cannot be one', async () => {
    writeRun('20', 'echo', 'ran');
    for (const [name, value] of [
      ['A-B', 'x'],
      ['1A', 'x'],
      ['A=B', 'x'],
      ['A', 'x\0y'],
    ] as const) {
      secret(name, value);
      const result = await start('tool');
      expect(result).toMatchObject({ code: 65, stdout: '' });
      expect(result.stderr).not.toContain('x\n');
      rmSync(path.join(services, 'environment'), { recursive: true });
    }
    mkdirSync(path.join(services, 'environment/A'), { recursive: true });
    expect((await start('tool')).code).toBe(65);
  });

  it('ends at its time limit', async () => {
    writeRun('1', 'sleep', '30');
    expect((await start('tool')).code).toBe(124);
  });
});

describe('a web program', () => {
  it('takes the place of the main process in the ready workspace, whatever limit is named', async () => {
    mkdirSync(path.join(services, 'environment'));
    writeFileSync(path.join(services, 'environment/A_KEY'), 'value');
    writeRun('1', 'bash', '-c', 'sleep 1.5; pwd; echo "$1 $A_KEY"; cat; exit 4', 'name', '--port=8080');
    const script = new RunningScript('terok-init', { args: ['web'], env: environment() });
    await script.printed('init complete');
    // It says so a moment before it becomes the program.
    await expect
      .poll(() => readFileSync(`/proc/${script.process.pid}/cmdline`, 'utf8'))
      .toContain('--port=8080');
    expect(await script.result).toMatchObject({
      code: 4,
      stdout: expect.stringContaining(`init complete\n${workspace}\n--port=8080 value\n`),
    });
  });

  it('that is not there is the end', async () => {
    writeRun('0', 'no-such-program');
    expect((await start('web')).code).toBe(127);
  });
});

describe('an interactive task', () => {
  it('idles without a terminal until it is told to stop, and then stops at once', async () => {
    rmSync(path.join(services, 'prompt'));
    const script = new RunningScript('terok-init', { args: ['interactive'], env: environment() });
    await script.printed('init complete');
    const started = Date.now();
    script.process.kill('SIGTERM');
    await script.result;
    expect(Date.now() - started).toBeLessThan(500);
  });

  const onTerminal = (extra: Readonly<Record<string, string>> = {}): Terminal =>
    new Terminal(['bash', path.join(container, 'terok-init'), 'interactive'], {
      ...environment(),
      PATH: process.env['PATH'] ?? '',
      HOME: root,
      LANG: 'C.UTF-8',
      TERM: 'xterm',
      TMUX_TMPDIR: root,
      PS1: '$ ',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      ...extra,
    });
  const initPid = '$(ps -o ppid= $(tmux display -p "#{client_pid}"))';

  it('shows one session in the ready workspace, and draws it anew for whoever comes to the terminal', async () => {
    await using terminal = onTerminal();
    const ready = await terminal.sees(/init complete/);
    await terminal.sees(/[#$] /, { from: ready });
    expect(await terminal.run('pwd; tmux list-clients | wc -l')).toMatch(new RegExp(`${workspace}\\s+1\\s`));
    terminal.type('echo remem""bered\r');
    await terminal.sees(/remembered/);
    const from = terminal.shown.length;
    // As the host does when somebody attaches: a WINCH, and the terminal is as large as it was.
    terminal.type(`echo seen; kill -WINCH ${initPid}\r`);
    // Without a new size, nobody came; the screen is back all the same.
    const detached = await terminal.sees(/detached/, { from });
    await terminal.sees(/remembered[\s\S]*seen/, { from: detached });
    await terminal.settles();
    expect(await terminal.run('stty size')).toContain('39 120');
    expect(await terminal.run('echo still $((40 + 2))')).toContain('still 42');
  });

  it('says when the last shell has ended, to whoever comes later too, and opens another one', async () => {
    await using terminal = onTerminal();
    await terminal.sees(/[#$] /, { from: await terminal.sees(/init complete/) });
    const told = await terminal.run(`echo ${initPid}`);
    const pid = Number(/\n\s*(\d+)\s*\n/.exec(told)?.[1]);
    terminal.type('exit\r');
    const ended = await terminal.sees(/The last shell has ended\. .*Enter/);
    process.kill(pid, 'SIGWINCH');
    const again = await terminal.sees(/The last shell has ended\. /, { from: ended });
    terminal.type('no, not yet');
    terminal.type('\r');
    await terminal.sees(/[#$] /, { from: again });
    expect(await terminal.run('echo back $((40 + 2))')).toContain('back 42');
  });

  it('ends when it is told to, and gives what runs in it the time to end', async () => {
    await using terminal = onTerminal();
    await terminal.sees(/[#$] /, { from: await terminal.sees(/init complete/) });
    terminal.type(
      `exec bash -c 'trap "sleep 0.5; echo saved > ${root}/saved; exit" HUP; echo set; while :; do sleep 0.05; done'\r`,
    );
    await terminal.sees(/\nset/);
    const client = execFileSync('tmux', ['display', '-p', '#{client_pid}'], {
      encoding: 'utf8',
      env: { ...process.env, TMUX_TMPDIR: root },
    });
    const pid = Number(execFileSync('ps', ['-o', 'ppid=', client.trim()], { encoding: 'utf8' }));
    const started = Date.now();
    process.kill(pid, 'SIGTERM');
    expect(await terminal.exited()).toBe(143);
    expect(Date.now() - started).toBeLessThan(5_000);
    expect(readFileSync(path.join(root, 'saved'), 'utf8')).toBe('saved\n');
  });

  it('hears whoever comes, whenever that is: while its client starts, ends, or is about to be waited for', async () => {
    await using terminal = onTerminal();
    await terminal.sees(/[#$] /, { from: await terminal.sees(/init complete/) });
    const pid = Number(/\n\s*(\d+)\s*\n/.exec(await terminal.run(`echo ${initPid}`))?.[1]);
    for (const delayMs of [0, 3, 10, 30, 100, 300]) {
      process.kill(pid, 'SIGWINCH');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
    await terminal.settles(4_000);
    const from = terminal.raw.length;
    process.kill(pid, 'SIGWINCH');
    await expect.poll(() => terminal.raw.slice(from), { timeout: 10_000 }).toContain('\u001b[?1049h');
    await terminal.settles();
    expect(await terminal.run('echo still $((40 + 2))')).toContain('still 42');
  }, 60_000);

  describe('in an image without tmux', () => {
    let bin: string;
    beforeEach(() => {
      bin = path.join(root, 'bin');
      mkdirSync(bin);
      for (const directory of ['/usr/bin', '/bin'])
        for (const name of readdirSync(directory))
          if (name !== 'tmux' && !existsSync(path.join(bin, name)))
            symlinkSync(path.join(directory, name), path.join(bin, name));
    });
    const shellOn = async (terminal: Terminal): Promise<number> => {
      await terminal.sees(/[#$] /, { from: await terminal.sees(/init complete/) });
      return Number(/\n\s*(\d+)\s*\n/.exec(await terminal.run('echo; ps -o ppid= $$'))?.[1]);
    };

    it('has a shell on the terminal itself, in which Ctrl-C and jobs work, and another one after it', async () => {
      await using terminal = onTerminal({ PATH: bin });
      const pid = await shellOn(terminal);
      expect(await terminal.run('command -v tmux || pwd')).toContain(workspace);
      const from = terminal.shown.length;
      terminal.type('sleep 60\r');
      await terminal.settles();
      terminal.type('\u0003');
      await terminal.sees(/\^C/, { from });
      expect(await terminal.run('echo interrupted $((50 + 6))')).toContain('interrupted 56');
      expect(await terminal.run('sleep 60 & jobs; kill %1')).toContain('Running');
      const before = terminal.shown.length;
      process.kill(pid, 'SIGWINCH');
      await terminal.sees(/[#$] /, { from: before });
      // Nobody came after all, which is noticed in three seconds.
      await terminal.settles(4_000);
      expect(await terminal.run('stty size')).toContain('40 120');
      terminal.type('exit\r');
      const ended = await terminal.sees(/The last shell has ended\. .*Enter/);
      terminal.type('\r');
      await terminal.sees(/[#$] /, { from: ended });
      expect(await terminal.run('echo back $((40 + 2))')).toContain('back 42');
    });

    it('ends, and does not spin, when its shell was killed and took the terminal with it', async () => {
      await using terminal = onTerminal({ PATH: bin });
      await shellOn(terminal);
      terminal.type('kill -KILL $$\r');
      await terminal.sees(/The last shell has ended\. /);
      terminal.type('\r');
      expect(await terminal.exited()).toBe(73);
      expect(terminal.shown).toContain('the terminal is lost');
      expect(terminal.shown).not.toContain('read error');
    });

    it('ends when it is told to, and gives what runs in it the time to end', async () => {
      await using terminal = onTerminal({ PATH: bin });
      const pid = await shellOn(terminal);
      terminal.type(
        `bash -c 'trap "sleep 0.5; echo saved > ${root}/saved; exit" HUP; echo set; while :; do sleep 0.05; done'\r`,
      );
      await terminal.sees(/\nset/);
      const started = Date.now();
      process.kill(pid, 'SIGTERM');
      expect(await terminal.exited()).toBe(143);
      expect(Date.now() - started).toBeLessThan(5_000);
      await expect.poll(() => existsSync(path.join(root, 'saved')), { timeout: 3_000 }).toBe(true);
    });
  });

  it('has a configuration that tmux takes, with a prefix and colour of its own', () => {
    const tmux = (...args: string[]): string =>
      execFileSync('tmux', ['-L', 'conf', '-f', path.join(container, 'container-tmux.conf'), ...args], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], TMUX_TMPDIR: root, TERM: 'xterm', HOME: root },
      });
    try {
      tmux('new-session', '-d');
      const shown = tmux('show-options', '-g');
      for (const line of [
        'prefix C-a',
        'mouse on',
        'history-limit 10000',
        'base-index 1',
        'status-style bg=green,fg=black',
      ])
        expect(shown).toContain(`${line}\n`);
      expect(tmux('show-options', '-g', 'status-left')).toContain('#H');
      expect(tmux('source-file', path.join(container, 'container-tmux.conf'))).toBe('');
    } finally {
      tmux('kill-server');
    }
  });
});

describe('a debugging shell', () => {
  it('is a shell in the ready workspace, and its code is that of the whole', async () => {
    const result = await runScript('terok-init', {
      args: ['dev'],
      env: environment(),
      input: 'pwd; cat a.txt; exit 9\n',
    });
    expect(result).toMatchObject({ code: 9 });
    expect(result.stdout).toBe(`>> cloning ${gate}\n>> init complete\n${workspace}\none\n`);
  });

  it('does not come up without a workspace', async () => {
    const result = await runScript('terok-init', {
      args: ['dev'],
      env: environment({ CODE_REPO: path.join(root, 'absent') }),
      input: 'echo never\n',
    });
    expect(result.code).toBe(70);
    expect(result.stdout).not.toContain('never');
  });
});

describe('what stands for a credential', () => {
  const PHANTOMS = { A_KEY: 'sk-terokp00', OTHER_TOKEN: 'terokp11' } as const;
  const SHOW = 'echo "$A_KEY $OTHER_TOKEN"';
  const SHOWN = `${PHANTOMS.A_KEY} ${PHANTOMS.OTHER_TOKEN}\n`;
  beforeEach(() => {
    mkdirSync(path.join(services, 'phantoms'));
    for (const [name, value] of Object.entries(PHANTOMS))
      writeFileSync(path.join(services, 'phantoms', name), value);
  });

  it.each(['headless', 'tool', 'web'])('is in the environment of what a %s task runs', async (mode) => {
    writeRun('20', 'bash', '-c', SHOW);
    const { code, stdout } = await start(mode);
    expect(code).toBe(0);
    expect(stdout.split('init complete\n')[1]).toBe(SHOWN);
  });

  it('is there for a person at a debugging shell', async () => {
    const { stdout } = await runScript('terok-init', {
      args: ['dev'],
      env: environment(),
      input: `${SHOW}\n`,
    });
    expect(stdout.split('init complete\n')[1]).toBe(SHOWN);
  });

  it('is there for a person in an interactive task', async () => {
    const script = new RunningScript('terok-init', { args: ['interactive'], env: environment() });
    try {
      await script.printed('init complete');
      // It becomes `sleep`, in whose environment one can look.
      await expect
        .poll(() => readFileSync(`/proc/${script.process.pid}/environ`, 'utf8').split('\0'))
        .toContain(`A_KEY=${PHANTOMS.A_KEY}`);
    } finally {
      script.killAll();
      await script.result;
    }
  });

  it('of another start takes the place of the earlier one', async () => {
    writeRun('20', 'bash', '-c', SHOW);
    await start('headless');
    rmSync(path.join(services, 'phantoms'), { recursive: true });
    mkdirSync(path.join(services, 'phantoms'));
    writeFileSync(path.join(services, 'phantoms', 'A_KEY'), 'next');
    expect((await start('headless')).stdout).toContain('next \n');
  });

  it('with a name that is none is a reason not to start', async () => {
    writeFileSync(path.join(services, 'phantoms', 'a b'), 'x');
    writeRun('20', 'true');
    expect((await start('headless')).code).toBe(65);
  });
});

describe('bridges', () => {
  it.each([
    { socket: 'relay.sock', port: 39_419, env: { TEROK_RELAY: '1', TEROK_RELAY_PORT: '39419' } },
    { socket: 'vault.sock', port: 39_420, env: { TEROK_VAULT: '1', TEROK_VAULT_PORT: '39420' } },
  ])('offer $socket on a loopback port before anything uses it, and reach one made anew', async (bridged) => {
    const socket = path.join(services, bridged.socket);
    const serve = async (answer: string): Promise<() => Promise<unknown>> => {
      const server = createServer((client) => client.end(answer)).listen(socket);
      await new Promise((resolve) => server.once('listening', resolve));
      return () => new Promise((resolve) => server.close(resolve));
    };
    const ask = async (): Promise<string> => {
      const client = connect(bridged.port, '127.0.0.1');
      let text = '';
      for await (const chunk of client) text += String(chunk);
      return text;
    };
    const stop = await serve('first');
    const script = new RunningScript('terok-init', {
      args: ['interactive'],
      env: environment(bridged.env),
    });
    try {
      await script.printed('init complete');
      expect(await ask()).toBe('first');
      await stop();
      const later = ask();
      const stopAgain = await serve('second');
      expect(await later).toBe('second');
      await stopAgain();
    } finally {
      script.killAll();
      await script.result;
    }
  });

  it('give git the token of the service directory, and none to another host', async () => {
    writeFileSync(path.join(services, 'gate-token'), 'tok-123');
    const ask = (operation: string): Promise<ScriptResult> =>
      runScript('terok-git-credential', { args: [operation], env: { TEROK_SERVICES: services } });
    expect((await ask('get')).stdout).toBe('username=terok\npassword=tok-123\n');
    expect((await ask('store')).stdout).toBe('');
    const gitconfig = path.resolve(import.meta.dirname, '../../../resources/container/gitconfig');
    const helper = (url: string): string =>
      execFileSync(
        'bash',
        ['-c', `git config --file "$1" --get-urlmatch credential.helper "$2" || true`, '-', gitconfig, url],
        {
          encoding: 'utf8',
        },
      ).trim();
    expect(helper('http://localhost:9418/p.git')).toBe('/usr/local/bin/terok-git-credential');
    expect(helper('https://example.org/p.git')).toBe('');
  });
});

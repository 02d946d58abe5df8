import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunningScript, runScript, type ScriptResult } from '../../support/container-script.ts';

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

const headless = (
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  timeoutS = '20',
): Promise<ScriptResult> =>
  runScript('terok-init', { args: ['headless', timeoutS, ...command], env: environment(env) });

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
      const victim = new RunningScript('terok-init', {
        args: ['headless', '20', 'true'],
        env: environment(),
      });
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
    const script = new RunningScript('terok-init', {
      args: ['headless', '20', 'bash', '-c', agent],
      env: environment(),
    });
    await script.printed('working');
    script.process.kill('SIGTERM');
    expect(await script.result).toMatchObject({ code: 42, stdout: expect.stringContaining('ending') });
  });

  it('idles without a prompt until it is told to stop, and then stops at once', async () => {
    rmSync(path.join(services, 'prompt'));
    const script = new RunningScript('terok-init', { args: ['interactive'], env: environment() });
    await script.printed('init complete');
    const started = Date.now();
    script.process.kill('SIGTERM');
    await script.result;
    expect(Date.now() - started).toBeLessThan(500);
  });

  it.each([
    [[], 64],
    [['headless', '0', 'true'], 64],
    [['headless', '10'], 64],
    [['interactive', 'more'], 64],
  ])('refuses %j', async (args, code) => {
    expect((await runScript('terok-init', { args, env: environment() })).code).toBe(code);
  });

  it('says which part of its environment is missing', async () => {
    rmSync(path.join(services, 'prompt'));
    expect((await headless(['true'])).code).toBe(66);
    const bare = await runScript('terok-init', { args: ['interactive'], env: { TEROK_SERVICES: services } });
    expect(bare).toMatchObject({ code: 65, stderr: 'terok-init: REPO_ROOT is not set\n' });
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

describe('bridges', () => {
  it('offer the host sockets on loopback ports before anything uses them, and reach a socket made anew', async () => {
    const socket = path.join(services, 'relay.sock');
    const serve = async (answer: string): Promise<() => Promise<unknown>> => {
      const server = createServer((client) => client.end(answer)).listen(socket);
      await new Promise((resolve) => server.once('listening', resolve));
      return () => new Promise((resolve) => server.close(resolve));
    };
    const ask = async (): Promise<string> => {
      const client = connect(39_419, '127.0.0.1');
      let text = '';
      for await (const chunk of client) text += String(chunk);
      return text;
    };
    const stop = await serve('first');
    const script = new RunningScript('terok-init', {
      args: ['interactive'],
      env: environment({ TEROK_RELAY: '1', TEROK_RELAY_PORT: '39419' }),
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

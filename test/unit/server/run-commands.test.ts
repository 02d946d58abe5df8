import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DaemonInProcess } from '../../support/daemon-in-process.ts';
import { HOSTILE } from '../../support/fake-runtime.ts';

let daemon: DaemonInProcess;

beforeEach(async () => {
  daemon = await DaemonInProcess.start();
});
afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
});

const terok = async (...argv: string[]) => await daemon.run(...argv);
const created = () => daemon.runtime.tasks.created;
const taskOf = () => {
  const task = daemon.runtime.tasks.list().at(-1);
  if (task === undefined) throw new Error('no task');
  return task;
};

describe('run', () => {
  test('shows what the agent says and does, its usage, and exits with 0 when it completed', async () => {
    const { exitCode, stdout, stderr } = await terok(
      'run',
      'scripted',
      '.',
      '-p',
      'say one\nsleep 0.4\nsay two\nusage 1200 340 0.0213\nanswer done\nexit 0',
    );
    expect([exitCode, stdout]).toEqual([0, 'one\ntwo\n']);
    const { id } = taskOf();
    expect(stderr).toBe(
      `Task ${id} (scripted)\nRun 1: 3 turns, 2 tool calls, 1200 tokens in (0 cached), 340 out, $0.0213\n` +
        `Pushed ${id}/fix/greeting (1 commits ahead)\n`,
    );
    expect(created()).toMatchObject([{ mode: 'headless', agent: 'scripted', repo: daemon.host.cwd }]);
    expect(created()[0]).not.toHaveProperty('project');
  });

  test("exits with the agent's own code when it failed, and says why", async () => {
    const failed = await terok('run', 'scripted', '.', '-p', 'exit 3\nfailure the agent said no');
    expect(failed).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining(`terok-mcp: task ${taskOf().id} failed: the agent said no\n`),
    });
  });

  test('an exit code of 0 that nobody believes is 1', async () => {
    const denied = await terok('run', 'scripted', '.', '-p', 'deny Bash\nfailure a tool was denied');
    expect(denied).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('1 denied') });
  });

  test('a task that was stopped meanwhile is no success', async () => {
    const command = daemon.begin(['run', 'scripted', '.', '-p', 'say on\nsleep 60']);
    await expect.poll(() => command.said.stdout).toBe('on\n');
    await daemon.runtime.tasks.stop(taskOf().id);
    expect(await command.ended).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('is stopped'),
    });
  });

  test('Ctrl-C leaves it working, says so, and is 130', async () => {
    const command = daemon.begin(['run', 'scripted', '.', '-p', 'say on\nsleep 60']);
    await expect.poll(() => command.said.stdout).toBe('on\n');
    command.interrupt();
    const { id } = taskOf();
    expect(await command.ended).toMatchObject({
      exitCode: 130,
      stderr: expect.stringContaining(`Task ${id} goes on: "terok-mcp logs -f ${id}"`),
    });
    expect(taskOf().state).toBe('running');
  });

  test('a daemon that is replaced meanwhile changes neither what is shown nor the exit code', async () => {
    const prompt = 'say one\nsleep 1\nsay two\nexit 3\nfailure no';
    const command = daemon.begin(['run', 'scripted', '.', '-p', prompt]);
    await expect.poll(() => command.said.stdout).toBe('one\n');
    await daemon.replaceDaemon();
    expect(await command.ended).toMatchObject({
      exitCode: 3,
      stdout: 'one\ntwo\n',
      stderr: expect.stringContaining('failed: no\n'),
    });
  });

  test('a daemon that goes away before it answered leaves open whether the task runs, and says so', async () => {
    daemon.runtime.tasks.createGate = new Promise(() => {});
    const command = daemon.begin(['run', 'scripted', '.', '-p', 'say one']);
    await expect.poll(() => created().length).toBe(1);
    await daemon.replaceDaemon();
    expect(await command.ended).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Whether the task runs is not known ("terok-mcp task list"'),
    });
    expect(created()).toHaveLength(1);
  });

  test('Ctrl-C before it runs gives it up', async () => {
    let release = () => {};
    daemon.runtime.tasks.createGate = new Promise((resolve) => (release = resolve));
    const command = daemon.begin(['run', 'scripted', '.', '-p', 'sleep 60']);
    await expect.poll(() => created().length).toBe(1);
    command.interrupt();
    expect(await command.ended).toMatchObject({
      exitCode: 130,
      stderr: expect.stringContaining('Given up before the task ran'),
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    release();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(daemon.runtime.tasks.list()).toEqual([]);
  });

  test('--no-follow prints the task and leaves', async () => {
    const { exitCode, stdout } = await terok('run', 'scripted', '.', '-p', 'sleep 60', '--no-follow');
    expect([exitCode, stdout]).toEqual([0, `${taskOf().id}\n`]);
  });

  test('all options reach the task', async () => {
    await terok(
      ...['run', 'claude', '--project', 'demo', '--prompt=say x', '--branch', 'dev', '--model', 'sonnet'],
      ...['--max-turns', '7', '--timeout', '60', '--name', 'fix', '--no-gate', '--restricted', '--gpu'],
    );
    expect(created()).toEqual([
      {
        ...{
          mode: 'headless',
          agent: 'claude',
          project: 'demo',
          branch: 'dev',
          model: 'sonnet',
          name: 'fix',
        },
        ...{ prompt: 'say x', maxTurns: 7, timeoutS: 60, gate: false, restricted: true, gpus: true },
      },
    ]);
  });

  test('what could not be had is said', async () => {
    const { stderr } = await terok('run', 'scripted', '.', '-p', 'say x', '--model', 'sonnet');
    expect(stderr).toContain('! scripted has no models: "sonnet" is left out\n');
  });

  test("what a container says reaches the terminal without the container's escapes", async () => {
    const { stdout } = await terok('run', 'scripted', '.', '-p', `say ${HOSTILE}`);
    expect(stdout).toMatch(/^red /);
    expect(stdout).not.toMatch(/[\u001b\u202e]/);
  });

  test.each([
    ['a path of the caller', 'sub/repo', (cwd: string) => path.join(cwd, 'sub/repo')],
    ['a path above the caller', '../other', (cwd: string) => path.resolve(cwd, '../other')],
    ['a path with a colon', './a:b', (cwd: string) => path.join(cwd, 'a:b')],
    ['a URL', 'https://example.org/x.git', () => 'https://example.org/x.git'],
    ['an address of ssh', 'git@example.org:x.git', () => 'git@example.org:x.git'],
  ])('the repository may be %s', async (_what, repo, expected) => {
    await terok('run', 'scripted', repo, '-p', 'say x', '--no-follow');
    expect(created().at(-1)?.repo).toBe(expected(daemon.host.cwd));
  });

  test('a transport that runs programs is refused', async () => {
    const { exitCode, stderr } = await terok('run', 'scripted', 'ext::sh', '-p', 'say x');
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining('possible are https, http, ssh, git and file'),
    ]);
  });

  test.each([
    [['run'], '<agent> missing'],
    [['run', 'scripted', '-p', 'x'], '<repo> or --project <id> missing'],
    [['run', 'scripted', '.', '--project', 'demo', '-p', 'x'], '<repo> and --project exclude each other'],
    [['run', 'scripted', '', '-p', 'x'], '<repo> is empty'],
    [['run', 'scripted', '.'], 'the prompt is missing'],
    [['run', 'scripted', '.', '-p', 'x', '--prompt-file', 'f'], 'exclude each other'],
    [['run', 'scripted', '.', '-p', '--no-gate'], 'is ambiguous: a value that begins with "-"'],
    [['run', 'scripted', '.', '-p', 'x', '--timeout', '0'], '--timeout takes a whole number from 1 to 86400'],
    [['run', 'scripted', '.', '-p', 'x', '--timeout', '86401'], '--timeout takes'],
    [['run', 'scripted', '.', '-p', 'x', '--timeout', '1e3'], '--timeout takes'],
    [['run', 'scripted', '.', '-p', 'x', '--max-turns', '-1'], '--max-turns'],
    [['run', 'scripted', '.', '-p', 'x', '--yolo'], "Unknown option '--yolo'"],
    [['run', 'scripted', '.', 'more', '-p', 'x'], 'unexpected argument "more"'],
  ])('%j is a wrong call', async (argv, expected) => {
    const { exitCode, stderr } = await terok(...argv);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(expected)]);
    expect(stderr).toContain('usage: terok-mcp run <agent>');
    expect(created()).toEqual([]);
  });

  test.each([
    ['a name', ['--name', 'Bad Name\u001b[31m'], 'name: lower-case words joined by "-"'],
    ['a model', ['--model=--dangerously'], 'model: a model name: no control characters, no leading "-"'],
  ])('%s that a client could not give is refused, with its field', async (_what, options, expected) => {
    const { exitCode, stderr } = await terok('run', 'scripted', '.', '-p', 'x', ...options);
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining(`The daemon cannot take that: ${expected}`),
    ]);
    expect(stderr).not.toContain('dangerously');
    expect(created()).toEqual([]);
  });

  test('an unknown agent and an unknown project name the nearest', async () => {
    expect((await terok('run', 'cluade', '.', '-p', 'x')).stderr).toContain('Did you mean claude?');
    expect((await terok('run', 'claude', '--project', 'demmo', '-p', 'x')).stderr).toContain(
      'Did you mean demo?',
    );
  });
});

describe('a prompt', () => {
  const awkward = '-rf "quotes" \'single\' $(touch /tmp/x) `id`\n\nnewlines\r\n\u{1f600} \ufeffend \\u0000\n';
  const promptOf = () => created().at(-1)?.prompt;

  test('from standard input arrives byte for byte', async () => {
    const stdin = Readable.from([Buffer.from(`\ufeff${awkward}`)]);
    await daemon.begin(['run', 'scripted', '.', '-p', '-', '--no-follow'], stdin).ended;
    expect(promptOf()).toBe(`\ufeff${awkward}`);
  });

  test('from a file of the caller arrives byte for byte', async () => {
    await writeFile(path.join(daemon.host.cwd, 'prompt.md'), awkward);
    await terok('run', 'scripted', '.', '--prompt-file', 'prompt.md', '--no-follow');
    expect(promptOf()).toBe(awkward);
  });

  test('with a leading dash can be an argument', async () => {
    await terok('run', 'scripted', '.', `--prompt=${awkward}`, '--no-follow');
    expect(promptOf()).toBe(awkward);
  });

  test.each([
    ['letters', 'x'],
    ['characters that JSON spells in six bytes', '\u0001'],
    ['characters of three bytes', '\u20ac'],
  ])('of a megabyte of %s passes, one character more does not', async (_what, character) => {
    const megabyte = character.repeat(1024 * 1024);
    const give = async (text: string) =>
      await daemon.begin(
        ['run', 'scripted', '.', '-p', '-', '--no-follow'],
        Readable.from([Buffer.from(text)]),
      ).ended;
    expect(await give(megabyte)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(promptOf()).toHaveLength(megabyte.length);
    expect(await give(`${megabyte}y`)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('longer than 1048576 characters'),
    });
  });

  test('that never ends is not read to its end', async () => {
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(65_536, 'x'));
      },
    });
    expect(await daemon.begin(['run', 'scripted', '.', '-p', '-'], endless).ended).toMatchObject({
      exitCode: 1,
    });
    expect(endless.destroyed).toBe(true);
  });

  test.each([
    ['a NUL character', Buffer.from('a\0b'), 'The prompt has a NUL character'],
    ['bytes that are not UTF-8', Buffer.from([0x61, 0xff]), 'The prompt is not UTF-8 text'],
    ['nothing', Buffer.alloc(0), 'The prompt is empty'],
  ])('of %s is refused', async (_what, bytes, expected) => {
    const { exitCode, stderr } = await daemon.begin(
      ['run', 'scripted', '.', '-p', '-'],
      Readable.from([bytes]),
    ).ended;
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(expected)]);
    expect(created()).toEqual([]);
  });

  test('in a file that is not there, or is a directory, is an error that names it', async () => {
    for (const file of ['absent', '.']) {
      const { exitCode, stderr } = await terok('run', 'scripted', '.', '--prompt-file', file);
      expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/cannot be read \((?:ENOENT|EISDIR)\)/)]);
    }
  });
});

describe('follow-up', () => {
  test('goes on with the conversation, and shows only what is new', async () => {
    await terok('run', 'scripted', '.', '-p', 'say before');
    const { id } = taskOf();
    const { exitCode, stdout, stderr } = await terok('follow-up', id, '-p', 'say after', '--model', 'sonnet');
    expect([exitCode, stdout]).toEqual([0, 'after\n']);
    expect(stderr).toContain('Run 2: ');
    expect(daemon.runtime.tasks.followedUp).toEqual([{ task: id, prompt: 'say after', model: 'sonnet' }]);
  });

  test('--fresh begins another conversation; its failure is its exit code', async () => {
    await terok('run', 'scripted', '.', '-p', 'say before');
    expect(await terok('follow-up', taskOf().id, '--fresh', '-p', 'exit 4')).toMatchObject({ exitCode: 4 });
    expect(daemon.runtime.tasks.followedUp).toMatchObject([{ fresh: true }]);
  });

  test('a task that runs, or that has no prompts, is refused', async () => {
    await terok('run', 'scripted', '.', '-p', 'sleep 60', '--no-follow');
    const { exitCode, stderr } = await terok('follow-up', taskOf().id, '-p', 'x');
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('cannot be given a prompt')]);
  });
});

describe('run-tool', () => {
  test('what follows -- is given to the tool as it is', async () => {
    const args = ['--help', '-h', '', ' spaces ', '$(id)', '"', '--', '-p'];
    const { exitCode } = await terok('run-tool', 'gh', '.', '--timeout', '5', '--', ...args);
    expect(exitCode).toBe(0);
    expect(created()).toMatchObject([
      { mode: 'tool', tool: { name: 'gh', args }, timeoutS: 5, repo: daemon.host.cwd },
    ]);
  });

  test('it may take 600 seconds by default', async () => {
    await terok('run-tool', 'gh', '--project', 'demo');
    expect(created()).toMatchObject([{ project: 'demo', timeoutS: 600, tool: { name: 'gh', args: [] } }]);
  });

  test('an agent is no tool', async () => {
    expect(await terok('run-tool', 'claude', '.')).toMatchObject({ exitCode: 1 });
  });
});

describe('web', () => {
  test('prints the address with its token alone on standard output; task open makes a new one', async () => {
    const { stdout, stderr } = await terok(
      ...['web', '.', '--port', '18800', '--public-url', 'https://x.example/t'],
    );
    const { id } = taskOf();
    expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:18800\/\?token=\w+\n$/);
    expect(stderr).toContain(`"terok-mcp task open ${id}"`);
    expect(created()).toMatchObject([
      { mode: 'web', web: { port: 18800, publicUrl: 'https://x.example/t' } },
    ]);
    const opened = await terok('task', 'open', id);
    expect(opened.stdout).toMatch(/^http:\/\/127\.0\.0\.1:18800\/\?token=\w+\n$/);
    expect(opened.stdout).not.toBe(stdout);
  });

  test('a port that is none, and a task that is no web task, are errors', async () => {
    expect((await terok('web', '.', '--port', '80')).exitCode).toBe(2);
    await terok('run', 'scripted', '.', '-p', 'sleep 60', '--no-follow');
    expect(await terok('task', 'open', taskOf().id)).toMatchObject({ exitCode: 1 });
  });
});

describe('task restart', () => {
  test('starts an ended task again, in a new container when asked', async () => {
    await terok('run', 'scripted', '.', '-p', 'say x');
    const { id } = taskOf();
    const { exitCode, stdout, stderr } = await terok('task', 'restart', id, '--recreate');
    expect([exitCode, stdout, stderr]).toEqual([0, `${id} is starting\n`, '! The container is a new one\n']);
    expect(daemon.runtime.tasks.restarted).toEqual([{ id, recreate: true }]);
  });

  test('of a web task prints its new address; a running task is refused', async () => {
    await terok('web', '.');
    const { id } = taskOf();
    expect(await terok('task', 'restart', id)).toMatchObject({ exitCode: 1 });
    await terok('task', 'stop', id);
    expect((await terok('task', 'restart', id)).stdout).toMatch(/token=/);
  });
});

describe('logs', () => {
  test('shows the last lines; --raw as they were printed; task logs is the same', async () => {
    await terok('run', 'scripted', '.', '-p', 'say one\nsay two');
    const { id } = taskOf();
    expect((await terok('logs', id)).stdout).toBe('one\ntwo\n');
    expect((await terok('logs', id, '--tail', '1')).stdout).toBe('two\n');
    expect((await terok('task', 'logs', id, '--raw')).stdout).toBe('{"raw":"one"}\n{"raw":"two"}\n');
    expect((await terok('logs', id, '--tail', '0')).exitCode).toBe(2);
  });

  test('-f goes on until the task ends, and sums up', async () => {
    await terok('run', 'scripted', '.', '-p', 'say one\nsleep 0.5\nsay two', '--no-follow');
    const { stdout, stderr } = await terok('logs', '-f', taskOf().id);
    expect([stdout, stderr]).toEqual(['one\ntwo\n', 'Run 1: 0 tool calls\n']);
  });

  test('-f goes on from where it was with the next daemon, losing and repeating nothing', async () => {
    const script = ['one', 'two', 'three', 'four', 'five', 'six'].map((word) => `say ${word}\nsleep 0.4`);
    await terok('run', 'scripted', '.', '-p', script.join('\n'), '--no-follow');
    const command = daemon.begin(['logs', '-f', taskOf().id]);
    await expect.poll(() => command.said.stdout).toContain('two\n');
    await daemon.replaceDaemon();
    expect(await command.ended).toEqual({
      exitCode: 0,
      stdout: 'one\ntwo\nthree\nfour\nfive\nsix\n',
      stderr: expect.stringMatching(/^terok-mcp: the daemon went away.*\nRun 1: 0 tool calls\n$/),
    });
  });

  test('-f ends with Ctrl-C, and the task does not', async () => {
    await terok('run', 'scripted', '.', '-p', 'say one\nsleep 60', '--no-follow');
    const command = daemon.begin(['logs', '-f', taskOf().id]);
    await expect.poll(() => command.said.stdout).toBe('one\n');
    command.interrupt();
    expect(await command.ended).toMatchObject({ exitCode: 0 });
    expect(taskOf().state).toBe('running');
  });
});

test('task list says what kind of task each is', async () => {
  await terok('web', '.');
  expect((await terok('task', 'list')).stdout).toMatch(/^TASK +PROJECT +MODE .*\n\w{5} +repo-1 +web /);
});

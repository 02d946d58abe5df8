import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, Shipped } from '../support/shipped.ts';
import { Terminal } from '../support/terminal.ts';

const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');
const LEAVE = ['\u0001', 'd'];

let shipped: Shipped;
let task: string;
beforeAll(async () => {
  shipped = await Shipped.make();
  const client = await shipped.connect();
  const { object } = await client.call('create_task', { project: 'demo' });
  task = String(object?.['task']);
}, 600_000);
afterAll(() => shipped[Symbol.asyncDispose]());

const login = (...args: readonly string[]): Terminal =>
  new Terminal([process.execPath, main, 'login', ...args], shipped.environment({ TERM: 'xterm-256color' }));

/** A terminal with the task's shell on it. */
async function loggedIn(id = task): Promise<Terminal> {
  const terminal = login(id);
  await terminal.sees(/C-a d leaves/);
  await terminal.settles();
  return terminal;
}

async function leave(terminal: Terminal): Promise<void> {
  // As fingers do it: what arrives as one is not taken for the keys that leave.
  for (const key of LEAVE) {
    terminal.type(key);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(await terminal.exited()).toBe(0);
  expect(terminal.shown).toContain(`Task ${task} goes on`);
}

const stateOf = async (id: string): Promise<string> =>
  JSON.parse(await shipped.run(['task', 'list', '--json'])).find((one: { id: string }) => one.id === id)
    ?.state;

describe('terok-mcp login', () => {
  it('brings keys to the shell in the workspace and its output back; C-a d leaves it running', async () => {
    await using terminal = await loggedIn(task.slice(0, 3));
    expect(await terminal.run('pwd; id -un; command -v terok-scripted')).toMatch(
      /\/workspace[\s\S]*dev\s+\S*terok-scripted/,
    );
    expect(await terminal.run('tmux show -gv prefix; tmux show -gv status-style; echo $TERM')).toMatch(
      /C-a\s+bg=green,fg=black\s+tmux-256color/,
    );
    expect(terminal.shown).toContain(`terok ${task}`);
    await terminal.run(
      'touch ~/mine; (sleep 1; echo x > ~/later) & (for i in $(seq 1000); do echo $i > ~/.n && mv ~/.n ~/n; sleep 0.1; done) & true',
    );
    await leave(terminal);
    expect(await stateOf(task)).toBe('running');
    // What the program here left switched on is off again.
    expect(terminal.raw).toMatch(/\u001b\[\?1049l\u001b\[0m\u001b\[\?25h\s+Task [a-z0-9]+ goes on/);
  });

  it('shows the same session again, with what ran on meanwhile, though nothing about the window changed', async () => {
    await using first = await loggedIn();
    await first.run('clear; echo remem""bered; n=$(cat ~/n)');
    await leave(first);
    await using second = await loggedIn();
    await second.sees(/remembered/);
    expect(await second.run('[ "$(cat ~/n)" -gt "$n" ] && [ -e ~/later ] && echo went on')).toMatch(
      /\s+went on\s/,
    );
    expect(second.raw).toContain('\u001b[?1049h');
    await leave(second);
  });

  it('takes the size of the window that came last', async () => {
    await using terminal = await loggedIn();
    expect(await terminal.run('stty size')).toMatch(/39 120/);
    await terminal.resize({ rows: 30, columns: 90 });
    const size = await eventually(
      () => terminal.run('stty size'),
      (text) => text.includes('29 90'),
    );
    expect(size).toContain('29 90');
    await leave(terminal);
  });

  it('two at once see and type the same', async () => {
    await using one = await loggedIn();
    await using two = await loggedIn();
    const from = two.shown.length;
    await one.run('echo from $((30 + 4))');
    await two.sees(/from 34/, { from });
    const later = one.shown.length;
    await two.run('echo back $((50 + 6))');
    await one.sees(/back 56/, { from: later });
    await leave(one);
    expect(await two.run('echo alone $((70 + 8))')).toContain('alone 78');
    await leave(two);
  });

  it('a window that is closed leaves the task running', async () => {
    const terminal = await loggedIn();
    await terminal[Symbol.asyncDispose]();
    expect(await stateOf(task)).toBe('running');
    await using again = await loggedIn();
    expect(await again.run('echo still $((40 + 2))')).toContain('still 42');
    await leave(again);
  });

  it('says when the last shell has ended, and Enter opens another', async () => {
    await using terminal = await loggedIn();
    terminal.type('exit\r');
    const ended = await terminal.sees(/The last shell has ended\..*Enter/);
    await leave(terminal);
    await using later = login(task);
    await later.sees(/The last shell has ended\..*Enter/);
    later.type('\r');
    await later.sees(/\$ [\s\S]*C-a d leaves/);
    await later.settles();
    expect(ended).toBeGreaterThan(0);
    expect(await later.run('echo new $((40 + 2)); pwd')).toMatch(/new 42\s+\/workspace/);
    await leave(later);
  });

  it('ends when the task is stopped, soon, and starts it again with the files that lay there', async () => {
    await using terminal = await loggedIn();
    await terminal.run('echo kept > ~/.config/kept; echo work > work.txt');
    const started = performance.now();
    await shipped.run(['task', 'stop', task]);
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(await terminal.exited()).toBe(0);
    expect(terminal.shown).toContain(`Task ${task} is stopped`);
    await using again = login(task);
    await again.sees(/has ended \(stopped\); starting it again/);
    await again.sees(/C-a d leaves/);
    expect(
      await again.run('cat ~/.config/kept work.txt; stat -c %U ~/.config ~/.cache ~/.local/share'),
    ).toMatch(/kept\s+work\s+dev\s+dev\s+dev/);
    await leave(again);
  });

  it('says why there is nothing to log in to', async () => {
    const client = await shipped.connect();
    const { object } = await client.call('run_headless', { project: 'demo', prompt: 'say hi', wait_s: 30 });
    const headless = String(object?.['task']);
    for (const [args, said] of [
      [[headless], /it is a headless task[\s\S]*logs -f[\s\S]*follow-up/],
      [['zzzzz'], /zzzzz/],
      [[], /<task> missing/],
    ] as const) {
      await using terminal = login(...args);
      expect(await terminal.exited()).not.toBe(0);
      expect(terminal.shown).toMatch(said);
    }
    await expect(shipped.run(['login', task])).rejects.toMatchObject({
      details: expect.stringContaining('no terminal'),
    });
  });
});

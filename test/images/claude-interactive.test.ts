import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentLab } from '../support/agent-lab.ts';
import { recordOf } from '../support/scripted-llm/json.ts';
import { Terminal } from '../support/terminal.ts';

const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');

let lab: AgentLab;
let task: string;
beforeAll(async () => {
  lab = await AgentLab.make();
  lab.llm.script = [{ run: 'echo by-keys > typed.txt' }, { text: 'WRITTEN-BY-KEYS' }];
  const { object, isError, text } = await lab.client.call('create_task', {
    project: 'demo',
    agent: 'claude',
    mode: 'interactive',
  });
  if (isError) throw new Error(text);
  task = String(recordOf(object)['task']);
}, 1_500_000);
afterAll(() => lab[Symbol.asyncDispose]());

const login = (): Terminal =>
  new Terminal([process.execPath, main, 'login', task], lab.shipped.environment({ TERM: 'xterm-256color' }));

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

describe('Claude Code in the terminal of a task', () => {
  it('is at its prompt at once, takes keys, does what the model says and answers', async () => {
    await using terminal = login();
    await terminal.sees(/C-a d leaves/);
    const start = terminal.shown.length;
    terminal.type('claude\r');
    // No theme, no trust, no key to approve, no warning: what it shows first is where one types.
    await terminal.sees(/bypass permissions on/, { from: start, withinMs: 60_000 });
    expect(terminal.shown.slice(start)).not.toMatch(/trust|theme|Do you want to use this API key|WARNING/i);

    await pause();
    terminal.type('Write the file, please');
    await pause();
    terminal.type('\r');
    await terminal.sees(/WRITTEN-BY-KEYS/, { from: start, withinMs: 60_000 });
    expect(lab.llm.prompts).toEqual(['Write the file, please']);
    expect(lab.llm.work[0]?.headers.authorization).toBe('Bearer terok-relay');

    // Twice: the first asks whether it is meant. (Words are one here: a screen has gaps where texts have blanks.)
    for (const key of ['\u0003', '\u0003']) {
      terminal.type(key);
      await pause();
    }
    await terminal.sees(/Resume this session/);
    expect(await terminal.run('cat typed.txt')).toMatch(/by-keys/);
    for (const key of ['\u0001', 'd']) {
      terminal.type(key);
      await pause();
    }
    expect(await terminal.exited()).toBe(0);
  });

  it('goes on with its conversation when a person comes back', async () => {
    lab.llm.script = [{ text: 'REMEMBERED-IT' }];
    lab.llm.forget();
    await using terminal = login();
    await terminal.sees(/C-a d leaves/);
    const start = terminal.shown.length;
    terminal.type('claude --continue\r');
    await terminal.sees(/bypass permissions on/, { from: start, withinMs: 60_000 });
    await pause();
    terminal.type('What did you do?');
    await pause();
    terminal.type('\r');
    await terminal.sees(/REMEMBERED-IT/, { from: start, withinMs: 60_000 });
    expect(lab.llm.prompts).toEqual(['Write the file, please', 'What did you do?']);
  });

  it('reached for nothing else in the world', async () => {
    expect(await lab.refused(task)).toEqual([]);
  });
});

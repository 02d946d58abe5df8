import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentLab } from '../support/agent-lab.ts';

let lab: AgentLab;
beforeAll(async () => {
  lab = await AgentLab.make();
  lab.llm.script = [{ text: 'I have read it.' }];
}, 1_500_000);
afterAll(() => lab[Symbol.asyncDispose]());

const LINE = 'line with "quotes", $(touch /workspace/owned) and `backticks`: é中文😀\n';
const PROMPTS = {
  'begins with a dash': '-x --help --version\n',
  'is full of what shells read': `a "b" 'c' \`touch owned\` $(touch owned) \${HOME} $HOME \\n \\\\ ; & | < > * ? [x] {y} ~ !z #\t\r\nend`,
  'has blanks and newlines at both ends': '\n\n  two\n\nthree  \n\n\n',
  'has controls in it': 'bell \u0007 escape \u001b[31m null-like \\0 del \u007f end\n',
  'is one megabyte': LINE.repeat(Math.ceil((1024 * 1024) / Buffer.byteLength(LINE))),
};

describe.each(['claude', 'codex', 'opencode'])('a prompt for %s', (agent) => {
  it.each(Object.entries(PROMPTS))('that %s arrives at the model byte for byte', async (_, prompt) => {
    lab.llm.forget();
    const report = await lab.run(agent, prompt);
    expect(report).toMatchObject({ state: 'completed' });
    const texts = lab.llm.work.at(-1)?.conversation.filter(({ kind }) => kind === 'user') ?? [];
    const sent = texts.flatMap((turn) => turn.texts);
    // Not by `toContain`, which would print a megabyte.
    expect({ isThere: sent.includes(prompt), lengths: sent.map((text) => text.length) }).toEqual({
      isThere: true,
      lengths: expect.arrayContaining([prompt.length]),
    });
    await lab.delete(report['task']);
  });
});

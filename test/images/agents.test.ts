import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentLab, HUMAN, type Report } from '../support/agent-lab.ts';
import { TOKENS } from '../support/scripted-llm/answer.ts';
import { recordOf } from '../support/scripted-llm/json.ts';
import type { Script } from '../support/scripted-llm/script.ts';

let lab: AgentLab;
beforeAll(async () => {
  lab = await AgentLab.make();
}, 1_500_000);
afterAll(() => lab[Symbol.asyncDispose]());

/** Who they commit as, and where they keep their conversations. */
interface Expected {
  readonly name: string;
  readonly author: string;
  readonly state: readonly string[];
}

const AGENTS: readonly Expected[] = [
  { name: 'claude', author: 'Claude <noreply@anthropic.com>', state: ['.claude'] },
  { name: 'codex', author: 'Codex <noreply@openai.com>', state: ['.codex'] },
  {
    name: 'opencode',
    author: 'OpenCode <noreply@opencode.ai>',
    state: ['.local/share/opencode', '.local/state/opencode'],
  },
  { name: 'copilot', author: 'Copilot <noreply@github.com>', state: ['.copilot'] },
];

const push = (file: string): string =>
  `git add ${file} && git commit -q -m 'Add ${file}' && git push -q origin HEAD:refs/heads/work`;
const work = (file: string, content: string): Script => [
  { run: 'cat README.md' },
  { write: { path: `/workspace/${file}`, content } },
  { run: push(file) },
  { text: `Wrote ${file} and pushed it.` },
];

/** Of anything else one wants to see what was printed. */
const isWhole = (report: Report): boolean =>
  report['state'] === 'completed' && runOf(report)['input_tokens'] !== undefined;

const runOf = (report: Report): Report => recordOf(report['run']);

describe.each<Expected>(AGENTS)('$name', ({ name, author, state }) => {
  const FIRST = `Write hello.txt, please. (${name})`;
  const SECOND = `Now write more.txt as well. (${name})`;
  let done: Report;

  it('reads its prompt, edits a file, commits as the policy says and pushes, all seen from outside', async () => {
    lab.llm.script = work('hello.txt', `hello from ${name}\n`);
    lab.llm.forget();
    done = await lab.run(name, FIRST);
    expect({ ...done, log: isWhole(done) ? '' : await lab.log(done['task']) }).toMatchObject({
      state: 'completed',
      exit_code: 0,
      log: '',
      branches: [{ branch: `${done['task']}/work`, ahead: 1 }],
      run: {
        number: 1,
        session: expect.stringMatching(/^[\w-]{20,}$/),
        tool_calls: 3,
        input_tokens: 4 * TOKENS.input,
        cached_input_tokens: 4 * TOKENS.cached,
        output_tokens: 4 * TOKENS.output,
        said: 'success',
      },
      answer: expect.stringContaining('Wrote hello.txt and pushed it.'),
    });
    expect(done['failure']).toBeUndefined();

    const branch = `refs/heads/${done['task']}/work`;
    expect(await lab.gate.ok('show', '--no-patch', '--format=%an <%ae>|%cn <%ce>', branch)).toBe(
      `${author}|${HUMAN.name} <${HUMAN.email}>`,
    );
    expect(await lab.gate.ok('show', `${branch}:hello.txt`)).toBe(`hello from ${name}`);
  });

  it('had its prompt as it was, came with what stands for a credential, and saw what its tools gave', () => {
    const [request] = lab.llm.work;
    expect(lab.llm.prompts.at(-1)).toContain(FIRST);
    expect(request?.headers.authorization).toBe('Bearer terok-relay');
    const results = lab.llm.work.at(-1)?.conversation.filter(({ kind }) => kind === 'tool_result');
    expect(results?.[0]?.texts.join('')).toContain('# A project');
  });

  it('tried to reach nothing else in the world', async () => {
    expect(await lab.refused(done['task'])).toEqual([]);
  });

  it('goes on with the same conversation after a follow-up', async () => {
    lab.llm.script = work('more.txt', 'more\n');
    lab.llm.forget();
    const again = await lab.followUp(done['task'], SECOND);
    expect({
      ...again,
      log: isWhole(again) ? '' : await lab.log(again['task']),
    }).toMatchObject({
      state: 'completed',
      log: '',
      branches: [{ branch: `${done['task']}/work`, ahead: 2 }],
      run: {
        number: 2,
        session: runOf(done)['session'],
        input_tokens: 4 * TOKENS.input,
        said: 'success',
      },
    });
    expect(again['warnings']).toBeUndefined();
    const prompts = lab.llm.prompts.map((prompt) => [prompt.includes(FIRST), prompt.includes(SECOND)]);
    expect(prompts).toEqual([
      [true, false],
      [false, true],
    ]);
    const said = JSON.stringify(lab.llm.work[0]?.conversation);
    expect(said).toContain('Wrote hello.txt and pushed it.');
    expect(await lab.refused(done['task'])).toEqual([]);
  });

  it('says so when the conversation is gone, and begins a new one when it is told to', async () => {
    await lab.forgetConversations(done['task'], state);
    lab.llm.forget();
    const lost = await lab.followUp(done['task'], 'And now?');
    expect(lost).toMatchObject({
      state: 'failed',
      failure: expect.stringMatching(/does not know the conversation.*"fresh"/),
    });
    expect(lab.llm.work).toEqual([]);

    lab.llm.script = [{ run: 'git log --oneline -1 origin/work' }, { text: 'Here we are.' }];
    const fresh = await lab.followUp(done['task'], 'A new start', { fresh: true });
    expect(fresh).toMatchObject({ state: 'completed', run: { said: 'success' } });
    expect(runOf(fresh)['session']).not.toBe(runOf(done)['session']);
    expect(lab.llm.prompts).toEqual([expect.stringContaining('A new start')]);
    expect(JSON.stringify(lab.llm.work.at(-1)?.conversation)).toContain('Add more.txt');
    await lab.delete(done['task']);
  });
});

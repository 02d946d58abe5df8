import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentLab, type Report } from '../support/agent-lab.ts';

let lab: AgentLab;
beforeAll(async () => {
  lab = await AgentLab.make();
}, 1_500_000);
afterAll(() => lab[Symbol.asyncDispose]());

const AGENTS = ['claude', 'codex', 'opencode', 'copilot'] as const;

/** What a client reads about why. */
const why = ({ failure, trouble }: Report): string => `${failure}\n${trouble}`;

async function runToItsFailure(
  agent: string,
  input: Report = {},
): Promise<{ report: Report; tookMs: number }> {
  const started = performance.now();
  const report = await lab.run(agent, 'Do something.', input);
  const tookMs = performance.now() - started;
  const log = report['state'] === 'failed' ? '' : await lab.log(report['task']);
  expect({ ...report, log }).toMatchObject({
    state: 'failed',
    failure: expect.stringMatching(/\S/),
    log: '',
  });
  await lab.delete(report['task']);
  return { report, tookMs };
}

describe.each(AGENTS)('%s', (agent) => {
  it('ends soon, with the cause, when its key is refused', async () => {
    lab.llm.script = [{ error: { status: 401, type: 'authentication_error', message: 'invalid x-api-key' } }];
    const { report, tookMs } = await runToItsFailure(agent);
    expect(why(report)).toMatch(/401|api.key|authentication/i);
    expect(tookMs).toBeLessThan(60_000);
  });

  it('ends in bounded time when the model is overloaded for good', async () => {
    lab.llm.script = [{ error: { status: 500, type: 'api_error', message: 'broken for the test' } }];
    const { report, tookMs } = await runToItsFailure(agent);
    expect(why(report)).toMatch(/500|broken for the test|high demand|server error/i);
    expect(tookMs).toBeLessThan(150_000);
  });

  it('goes on when the model was overloaded for a moment', async () => {
    lab.llm.script = [
      { error: { status: 500, type: 'api_error', message: 'broken for the test', times: 1 } },
      { run: 'echo it went on' },
      { text: 'Done after all.' },
    ];
    const report = await lab.run(agent, 'Do something.');
    expect(report).toMatchObject({
      state: 'completed',
      answer: expect.stringContaining('Done after all.'),
    });
    await lab.delete(report['task']);
  });

  it('is ended by its time limit when the model never answers', async () => {
    lab.llm.script = [{ hang: true }];
    const { report, tookMs } = await runToItsFailure(agent, { timeout_s: 25 });
    expect(report).toMatchObject({ exit_code: 124, failure: 'it did not finish within its time limit' });
    expect(tookMs).toBeLessThan(60_000);
  });

  it('does nothing to the workspace of a restricted task, and says so where it can', async () => {
    lab.llm.script = [{ run: 'touch /workspace/denied.txt' }, { text: 'I could not do it.' }];
    lab.llm.forget();
    if (agent === 'codex') {
      // It refuses nothing: it lets commands see the workspace and not change it, and tells only its model.
      const report = await lab.run(agent, 'Do something.', { restricted: true });
      expect(JSON.stringify(lab.llm.work.at(-1)?.conversation)).toContain('Read-only file system');
      await lab.delete(report['task']);
      return;
    }
    // It ends with 0 all the same.
    const { report } = await runToItsFailure(agent, { restricted: true });
    expect(report).toMatchObject({ exit_code: 0, run: { denied: 1 } });
    expect(why(report)).toMatch(/not let use|denied/);
  });
});

describe('a model server that is not there', () => {
  it.each(AGENTS)('ends %s in bounded time, with the cause', async (agent) => {
    await using alone = await AgentLab.make();
    await alone.llm[Symbol.asyncDispose]();
    const started = performance.now();
    const report = await alone.run(agent, 'Do something.');
    expect(report).toMatchObject({ state: 'failed' });
    expect(why(report)).toMatch(/connect|socket|sending request|retr/i);
    expect(performance.now() - started).toBeLessThan(150_000);
  });
});

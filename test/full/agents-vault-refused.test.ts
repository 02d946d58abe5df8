import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AgentLab } from '../support/agent-lab.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';

const PASSPHRASE = 'correct horse battery staple';

let authority: TestAuthority;
let lab: AgentLab;
beforeAll(async () => {
  authority = await testAuthority();
  lab = await AgentLab.make(authority);
}, 1_500_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});
beforeEach(() => {
  lab.llm.forget();
  lab.llm.script = [{ run: 'cat README.md' }, { text: 'All done.' }];
});

describe.each(['claude', 'codex', 'opencode'])('%s, whose requests are refused', (agent) => {
  const key = `sk-real-${randomBytes(24).toString('hex')}`;

  it('for its budget is used up ends soon, with the words of the refusal (V15)', async () => {
    await lab.subscribe(agent, key);
    const file = path.join(lab.shipped.host.paths.config, 'projects/demo/project.yml');
    const before = await readFile(file, 'utf8');
    await writeFile(file, `${before}\nvault: { budget: { requests: 1 } }\n`);
    const started = Date.now();
    const done = await lab.run(agent, 'Look at README.md, please.').finally(() => writeFile(file, before));
    const log = await lab.log(done['task']);
    expect({ state: done['state'], log }).toMatchObject({
      state: 'failed',
      log: expect.stringContaining('used up its budget'),
    });
    expect(Date.now() - started).toBeLessThan(120_000);
    expect(lab.llm.work.length).toBeLessThanOrEqual(1);
    expect(await requestsOf(done['task'])).toBeLessThan(40);
    await lab.delete(done['task']);
  });

  it('for the vault is locked ends in bounded time, with the words of the refusal (V13)', async () => {
    await lab.subscribe(agent, key);
    await lab.shipped.run(['vault', 'key', 'passphrase'], {}, PASSPHRASE);
    await lab.shipped.run(['vault', 'lock']);
    const started = Date.now();
    const done = await lab.run(agent, 'Look at README.md, please.');
    await lab.shipped.run(['vault', 'unlock'], {}, PASSPHRASE);
    const log = await lab.log(done['task']);
    expect({ state: done['state'], warnings: done['warnings'], log }).toMatchObject({
      state: 'failed',
      warnings: expect.arrayContaining([expect.stringContaining('vault unlock')]),
      log: expect.stringMatching(/vault of credentials is locked/),
    });
    expect(Date.now() - started).toBeLessThan(240_000);
    expect(await requestsOf(done['task'])).toBeLessThan(80);
    expect(lab.llm.work).toEqual([]);
    await lab.delete(done['task']);
  });
});

/** As the audit tells: a refusal that is tried again and again would fill it. */
const requestsOf = async (task: unknown): Promise<number> =>
  JSON.parse(await lab.shipped.run(['audit', '--task', String(task), '--limit', '200', '--json'])).length;

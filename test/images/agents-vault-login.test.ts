import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/runtime/core/secret.ts';
import { AgentLab } from '../support/agent-lab.ts';
import { VaultPlace } from '../support/sealed-store.ts';
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

/** A login as if its vendor's program had left one. */
async function keepLogin(
  provider: string,
  accessToken: string,
  facts: Record<string, string>,
): Promise<void> {
  const file = path.join(lab.shipped.host.directory, 'export');
  await using place = await VaultPlace.make();
  const store = await place.open();
  store.put(
    { provider, set: 'default' },
    {
      kind: 'oauth',
      access_token: accessToken,
      refresh_token: '',
      expires_at: Math.floor(Date.now() / 1000) + 86_400,
      facts,
    },
  );
  await writeFile(file, await store.export(new Secret(PASSPHRASE)));
  await lab.shipped.run(['vault', 'import', file, '--overwrite'], {}, PASSPHRASE);
}

async function route(agent: string, paths: readonly string[] = []): Promise<void> {
  const url = `https://localhost:${lab.llm.port}`;
  const directory = path.join(lab.shipped.host.paths.config, 'agents');
  await mkdir(directory, { recursive: true });
  const others = paths.map((prefix) => `"${prefix}": "${url}"`).join(', ');
  await writeFile(
    path.join(directory, `${agent}.yaml`),
    `route: { upstream: "${url}"${others === '' ? '' : `, paths: { ${others} }`} }\n`,
  );
}

describe('an agent with a login instead of a key', () => {
  it.each([
    { agent: 'codex', paths: ['/backend-api/'], header: 'chatgpt-account-id', value: 'account-4711' },
    { agent: 'claude', paths: [], header: 'anthropic-beta', value: 'oauth-2025-04-20' },
  ])('is $agent: its vendor gets the access token, and what belongs to it (V1)', async (way) => {
    const token = `real-${randomBytes(24).toString('hex')}`;
    await route(way.agent, way.paths);
    await keepLogin(way.agent, token, { account_id: 'account-4711' });
    const done = await lab.run(way.agent, 'Look at README.md, please.');
    expect({
      ...done,
      log: done['state'] === 'completed' ? '' : await lab.log(done['task']),
    }).toMatchObject({ state: 'completed', log: '', answer: expect.stringContaining('All done.') });
    expect(lab.llm.work.length).toBeGreaterThanOrEqual(2);
    for (const { headers } of lab.llm.work) {
      expect(headers['authorization']).toBe(`Bearer ${token}`);
      expect(String(headers[way.header])).toContain(way.value);
    }
    expect(await lab.log(done['task'])).not.toContain(token);
    expect(await lab.refused(done['task'])).toEqual([]);
    await lab.delete(done['task']);
  });
});

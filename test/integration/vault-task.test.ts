import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/runtime/core/secret.ts';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { Terok } from '../support/runtime-host.ts';
import { giveVendor } from '../support/scripted-vendor.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';
import { TlsUpstream } from '../support/tls-upstream-server.ts';

const KEY = `sk-real-${randomBytes(24).toString('hex')}`;

let authority: TestAuthority;
let upstream: TlsUpstream;
let terok: Terok;
beforeAll(async () => {
  authority = await testAuthority();
  upstream = await TlsUpstream.start(authority);
  terok = await Terok.make({ extraCa: [authority.ca] });
  await giveVendor(terok.host.paths, upstream.url);
  await terok.runtime.vault.storeApiKey('scripted', new Secret(KEY));
});
afterAll(async () => {
  await terok[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});
beforeEach(() => {
  upstream.seen.length = 0;
});

const ASK = 'curl -sS -m 10 -w " %{http_code}" -H "Authorization: Bearer $SCRIPTED_API_KEY"';
const TOKEN = 'export SCRIPTED_API_KEY=$(cat /run/terok/phantoms/SCRIPTED_API_KEY);';

/** From inside, with the token of the task itself, or another one. */
async function ask(task: Task, where: string, token = TOKEN): Promise<string> {
  const { stdout, stderr } = await terok.exec(task, `${token} ${ASK} "$SCRIPTED_URL${where}"`);
  return `${stdout}${stderr}`;
}

async function interactive(): Promise<Task> {
  const task = await terok.runtime.tasks.create({ project: 'demo', agent: 'scripted' });
  return await terok.ready(task.id);
}

const tokenOf = async (task: Task): Promise<string> =>
  await readFile(path.join(terok.host.paths.services, task.id, 'phantoms/SCRIPTED_API_KEY'), 'utf8');

const eventsOf = (task: string, kind: string) => terok.runtime.events.forTask(task, { kinds: [kind] });

function tokensStored(task: string): number {
  const database = new Database(terok.host.paths.database, { readonly: true });
  try {
    return database.prepare('SELECT * FROM phantom_tokens WHERE task = ?').all(task).length;
  } finally {
    database.close();
  }
}

describe('a headless run with a credential', () => {
  it('reaches its vendor with the real key, which it never sees; the audit has a line for it (V1, V9)', async () => {
    const task = await terok.runSteps([
      `run ${ASK} "$SCRIPTED_URL/v1/hello?a=%2Fb"`,
      'run env | grep -c TEROK_VAULT',
      'run echo "token $SCRIPTED_API_KEY"',
    ]);
    const output = await terok.output(task.id);
    expect({ state: task.state, output }).toMatchObject({ state: 'completed' });
    expect(output).toContain('heard /v1/hello?a=%2Fb');
    expect(output).toMatch(/token sk-terokp[0-9a-f]{64}/);
    expect(output).not.toContain(KEY);
    expect(upstream.seen).toMatchObject([{ headers: { authorization: `Bearer ${KEY}` } }]);
    const records = await terok.runtime.vault.audit({ task: task.id, limit: 10 });
    expect(records).toMatchObject([
      {
        provider: 'scripted',
        channel: 'http',
        method: 'GET',
        target: '/scripted/v1/hello',
        status: 200,
        outcome: 'ok',
      },
    ]);
    expect(JSON.stringify(records)).not.toMatch(new RegExp(`${KEY}|terokp[0-9a-f]`));
  });

  it('has a token that ends with it, and another one at the next start, in the same container', async () => {
    const task = await terok.runSteps(['run echo "token $SCRIPTED_API_KEY"']);
    expect(tokensStored(task.id)).toBe(0);
    const [container] = JSON.parse(await terok.podman('inspect', task.container));
    const again = await terok.followUp(task.id, 'run echo "token $SCRIPTED_API_KEY"');
    expect(again.warnings).not.toContainEqual(expect.stringContaining('container'));
    const [same] = JSON.parse(await terok.podman('inspect', task.container));
    expect(same.Id).toBe(container.Id);
    const tokens = [...(await terok.output(task.id)).matchAll(/token (sk-terokp[0-9a-f]{64})/g)];
    expect(new Set(tokens.map(([, token]) => token)).size).toBe(2);
    expect(tokensStored(task.id)).toBe(0);
  });

  it('without a credential is told so, and runs', async () => {
    await terok.runtime.vault.remove('scripted');
    const { id, warnings } = await terok.runtime.tasks.create({ project: 'demo', prompt: 'say hello' });
    expect(warnings).toContainEqual(expect.stringContaining('terok-mcp auth scripted'));
    expect(await terok.ended(id)).toMatchObject({ state: 'completed' });
    await terok.runtime.vault.storeApiKey('scripted', new Secret(KEY));
  });
});

describe('the tokens of tasks', () => {
  let first: Task;
  let second: Task;
  beforeAll(async () => {
    [first, second] = [await interactive(), await interactive()];
  });

  it('open nothing when they are absent, unknown or of another task; that one is an alarm (V3, V4)', async () => {
    expect(await ask(first, '/mine')).toBe('heard /mine\n 200');
    upstream.seen.length = 0;
    const foreign = `export SCRIPTED_API_KEY=${await tokenOf(second)};`;
    for (const token of ['export SCRIPTED_API_KEY=;', `export SCRIPTED_API_KEY=${'f'.repeat(40)};`, foreign])
      expect(await ask(first, '/v1', token)).toMatch(/ 401$/);
    expect(upstream.seen).toEqual([]);
    expect(eventsOf(first.id, 'credential.misused')).toHaveLength(1);
    // With the guard out of the way, on its own socket, the same token opens everything.
    expect(await ask(second, '/v1', foreign)).toMatch(/ 200$/);
  });

  it('are still good after the daemon was started anew, for a task that ran on', async () => {
    await terok.restart();
    await terok.runtime.ready;
    expect(await ask(first, '/again')).toBe('heard /again\n 200');
  });

  it('open nothing once they are revoked (V3)', async () => {
    expect(terok.runtime.vault.revokeAll({ task: first.id })).toBe(1);
    upstream.seen.length = 0;
    expect(await ask(first, '/v1')).toMatch(/ 401$/);
    expect(upstream.seen).toEqual([]);
    expect(await ask(second, '/v1')).toMatch(/ 200$/);
  });

  it('while the vault is locked get 503 with words, at once, and an event; and work again when it is open (V13)', async () => {
    const { vault } = terok.runtime;
    const passphrase = new Secret('correct horse battery');
    await vault.changeKey({ source: 'passphrase', passphrase });
    vault.lock();
    const started = Date.now();
    const answer = await ask(second, '/v1');
    expect(answer).toMatch(/locked.* 503$/s);
    expect(Date.now() - started).toBeLessThan(10_000);
    expect(eventsOf(second.id, 'vault.needed')).toHaveLength(1);
    const blocked = await terok.runtime.tasks.create({ project: 'demo', prompt: 'say hello' });
    expect(blocked.warnings).toContainEqual(expect.stringContaining('terok-mcp vault unlock'));
    await vault.unlock(passphrase);
    expect(await ask(second, '/v1')).toMatch(/ 200$/);
  });

  it('are gone when the task is stopped or deleted', async () => {
    const { id } = second;
    expect(tokensStored(id)).toBe(1);
    await terok.runtime.tasks.stop(id);
    expect(tokensStored(id)).toBe(0);
    const third = await interactive();
    expect(tokensStored(third.id)).toBe(1);
    await terok.runtime.tasks.delete(third.id);
    expect(tokensStored(third.id)).toBe(0);
  });
});

describe('a real credential that appears in a task', () => {
  it('is noticed at its end and at its next start, with what to do instead', async () => {
    const { tasks } = terok.runtime;
    const task = await terok.runSteps([
      `run echo "key = ${KEY}" > /home/dev/.scripted/notes`,
      `run echo '{"api_key":"sk-${'z'.repeat(40)}"}' > /home/dev/.scripted/auth.json`,
    ]);
    const found = eventsOf(task.id, 'credential.found_in_task');
    expect(found.map(({ data }) => data)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ provider: 'scripted', file: '.scripted/auth.json' }),
        expect.objectContaining({ provider: 'scripted', file: '.scripted/notes' }),
      ]),
    );
    expect(JSON.stringify(found)).not.toMatch(/sk-real|zzzz/);
    const again = await terok.followUp(
      task.id,
      'run rm /home/dev/.scripted/auth.json /home/dev/.scripted/notes',
    );
    expect(again.warnings).toContainEqual(
      expect.stringMatching(/real credential \(\.scripted\/auth\.json\).*terok-mcp auth scripted/),
    );
    await tasks.delete(task.id);
  });
});

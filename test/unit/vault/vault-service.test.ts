import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { insertTasks, TASK_A, TASK_B, vaultProject } from '../../support/vault-budget.ts';
import { askSocket, type VaultLab, vaultLab } from '../../support/vault-lab.ts';

const { entries } = await new AgentLoader({ bundled: 'resources/agents', own: '/nowhere' }).roster();
const key = (text: string) => new Secret(text);

describe('the vault', () => {
  let lab: VaultLab;
  beforeEach(async () => {
    lab = await vaultLab({ entries });
    insertTasks(lab.state.database, TASK_A, TASK_B);
    lab.projects.set('demo', vaultProject());
  });
  afterEach(() => lab[Symbol.asyncDispose]());

  it('keeps keys as what their entry takes, and lists them without a value', async () => {
    await lab.vault.storeApiKey('gh', key('ghp-real-secret'));
    await lab.vault.storeApiKey('claude', key('sk-real-secret'), { set: 'demo' });
    await lab.vault.storeApiKey('claude', key('sk-real-secret'));
    expect(lab.vault.list()).toMatchObject([
      { provider: 'claude', set: 'default', kind: 'api_key', use: { requests: 0, costUsd: 0 } },
      { provider: 'claude', set: 'demo', kind: 'api_key' },
      { provider: 'gh', set: 'default', kind: 'pat' },
    ]);
    expect(JSON.stringify(lab.vault.list())).not.toContain('real-secret');
  });

  it('refuses what is no key, no name and no project, and never repeats the key', async () => {
    const attempts = [
      [lab.vault.storeApiKey('claude', key('two words')), 'This is no API key'],
      [lab.vault.storeApiKey('claude', key('')), 'This is no API key'],
      [lab.vault.storeApiKey('claude', key('sk-real-secret\r\nX-Evil: 1')), 'This is no API key'],
      [lab.vault.storeApiKey('claude', key(`sk-real-secret${'x'.repeat(20_000)}`)), 'This is no API key'],
      [lab.vault.storeApiKey('cluade', key('sk-real-secret')), 'no agent or tool named "cluade"'],
      [lab.vault.storeApiKey('scripted', key('sk-real-secret')), 'takes no API key'],
      [lab.vault.storeApiKey('claude', key('sk-real-secret'), { set: 'dmeo' }), 'No project named'],
    ] as const;
    for (const [attempt, message] of attempts) {
      const error = await attempt.catch((caught: unknown) => caught);
      expect(String(error)).toContain(message);
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('real-secret');
    }
    expect(lab.vault.list()).toEqual([]);
  });

  it('gives fields of the project before those of all', async () => {
    await lab.vault.storeApiKey('coderabbit', key('of-all'));
    const fields = async (project: string) =>
      (await lab.vault.credential('coderabbit', project))?.get('key')?.reveal();
    expect([await fields('demo'), await fields('other')]).toEqual(['of-all', 'of-all']);
    await lab.vault.storeApiKey('coderabbit', key('of-demo'), { set: 'demo' });
    expect([await fields('demo'), await fields('other')]).toEqual(['of-demo', 'of-all']);
    expect(await lab.vault.credential('sonar', 'demo')).toBeUndefined();
  });

  it('opens a proxy for a task, whose tokens end with the task, the credential or a word (V3, V4)', async () => {
    await lab.vault.storeApiKey('claude', key('sk-real-secret'));
    const project = vaultProject({ vault: { budget: { requests: 0.5 * 2 } } });
    const sockets = new Map<string, string>();
    const start = async (task: typeof TASK_A) => {
      const { grants } = await lab.vault.planGrants({ project, agent: 'claude', mode: 'headless' });
      lab.vault.grant(task, grants, 60);
      sockets.set(task, lab.socket(`${task}.sock`));
      return {
        token: grants[0]?.token.reveal() ?? '',
        service: await lab.vault.serveProxy({ id: task, project }, lab.socket(`${task}.sock`)),
      };
    };
    const [a, b] = [await start(TASK_A), await start(TASK_B)];
    const ask = async (task: string, token: string) => {
      // CONNECT-less and harmless: a path that the proxy refuses only after it has looked at the token.
      const answer = await askSocket(sockets.get(task) ?? '', {
        path: '/%zz',
        headers: { authorization: `Bearer ${token}` },
      });
      return answer.status;
    };
    expect(await ask(TASK_A, a.token)).toBe(400);
    expect(await ask(TASK_A, b.token)).toBe(401);
    expect(lab.state.events.forTask(TASK_A).map(({ kind }) => kind)).toEqual(['credential.misused']);
    lab.vault.revoke(TASK_A);
    expect([await ask(TASK_A, a.token), await ask(TASK_B, b.token)]).toEqual([401, 400]);
    expect(lab.vault.revokeAll({ provider: 'gh' })).toBe(0);
    expect(lab.vault.revokeAll({ provider: 'claude' })).toBe(1);
    expect(await ask(TASK_B, b.token)).toBe(401);
    await b.service.close();
    const again = await start(TASK_B);
    expect(await ask(TASK_B, again.token)).toBe(400);
    expect(await lab.vault.remove('claude', { set: 'demo' })).toBe(false);
    expect(await ask(TASK_B, again.token)).toBe(400);
    expect(await lab.vault.remove('claude')).toBe(true);
    expect(await ask(TASK_B, again.token)).toBe(401);
    await Promise.all([a.service.close(), again.service.close()]);
  });

  it('lets tokens live so long and no longer', async () => {
    await lab.vault.storeApiKey('claude', key('sk-real-secret'));
    const project = vaultProject();
    const { grants } = await lab.vault.planGrants({ project, agent: 'claude', mode: 'headless' });
    lab.vault.grant(TASK_A, grants, 60);
    const socket = lab.socket('a.sock');
    await using _service = await lab.vault.serveProxy({ id: TASK_A, project }, socket);
    const ask = () =>
      askSocket(socket, { path: '/%zz', headers: { 'x-api-key': grants[0]?.token.reveal() ?? '' } });
    expect((await ask()).status).toBe(400);
    lab.state.clock.advance(60_000);
    const { status, body } = await ask();
    expect([status, body]).toEqual([401, expect.stringContaining('over')]);
  });

  it('starts nothing while prices.yaml is broken, and goes on serving what runs', async () => {
    const file = path.join(lab.directory, 'prices.yaml');
    writeFileSync(file, 'vendors: 3\n');
    const project = vaultProject();
    await expect(lab.vault.planGrants({ project, agent: 'claude', mode: 'headless' })).rejects.toThrow(
      `${file}:1: vendors: must be a mapping`,
    );
    const service = await lab.vault.serveProxy({ id: TASK_A, project }, lab.socket('a.sock'));
    await service.close();
  });

  it('fails where a socket cannot be opened, and the task can be served at the next try', async () => {
    const project = vaultProject();
    const task = { id: TASK_A, project };
    await expect(lab.vault.serveProxy(task, path.join(lab.directory, 'no/place.sock'))).rejects.toThrow();
    const service = await lab.vault.serveProxy(task, lab.socket('a.sock'));
    expect((await askSocket(lab.socket('a.sock'), { path: '/' })).status).toBe(401);
    await service.close();
    await service.close();
  });
});

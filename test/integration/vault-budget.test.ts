import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/runtime/core/secret.ts';
import type { VaultService } from '../../src/runtime/vault/contract.ts';
import { rosterEntry } from '../support/roster.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';
import { insertTasks, TASK_A, TASK_B, vaultProject } from '../support/vault-budget.ts';
import { askSocket, type VaultLab, vaultLab } from '../support/vault-lab.ts';

const KEY = 'sk-ant-the-real-key-of-these-tests';

/** A dollar and a half by the prices we ship: what a stream of an answer tells of itself. */
const EVENTS = [
  'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-4-5","usage":{"input_tokens":0,"output_tokens":1}}}\n\n',
  'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"hello"}}\n\n',
  'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":100000}}\n\n',
];

describe('the budget of a task at its credential proxy', () => {
  let authority: TestAuthority;
  let upstream: Server;
  let keysSeen: unknown[];
  let lab: VaultLab;
  let services: VaultService[];
  beforeAll(async () => {
    authority = await testAuthority();
    upstream = createServer({ key: authority.key, cert: authority.cert }, (request, response) => {
      keysSeen.push(request.headers['x-api-key']);
      request.resume().once('end', () => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const event of EVENTS) response.write(event);
        response.end();
      });
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
  });
  afterAll(async () => {
    upstream.closeAllConnections();
    upstream.close();
    await authority[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    keysSeen = [];
    services = [];
    const address = upstream.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const claude = rosterEntry(
      'claude',
      {},
      {
        auth: { modes: ['api_key'] },
        route: {
          prefix: 'claude',
          upstream: `https://localhost:${port}`,
          auth: { api_key: { header: 'x-api-key' } },
          usage: 'anthropic',
        },
        phantom: { api_key: { env: { ANTHROPIC_AUTH_TOKEN: '{token}' } } },
      },
    );
    lab = await vaultLab({ entries: [claude], ca: authority.ca });
    insertTasks(lab.state.database, TASK_A, TASK_B);
    await lab.vault.storeApiKey('claude', new Secret(KEY));
  });
  afterEach(async () => {
    for (const service of services) await service.close();
    await lab[Symbol.asyncDispose]();
  });

  /** A started task: gives the way to send one request as its agent does. */
  async function started(budget: object | undefined, task = TASK_A) {
    const project = vaultProject(budget === undefined ? {} : { vault: { budget } });
    const plan = await lab.vault.planGrants({ project, agent: 'claude', mode: 'headless' });
    lab.vault.grant(task, plan.grants, 3600);
    const socketPath = lab.socket(`${task}.sock`);
    services.push(await lab.vault.serveProxy({ id: task, project }, socketPath));
    const token = plan.grants[0]?.token.reveal() ?? '';
    return async () =>
      await askSocket(socketPath, {
        method: 'POST',
        path: '/claude/v1/messages?beta=true',
        headers: { 'x-api-key': token, 'content-type': 'application/json' },
        body: '{"model":"claude-sonnet-4-5","stream":true}',
      });
  }

  it('in dollars is read from streams: the breach is told, raises one approval, and all goes on when it is given', async () => {
    const ask = await started({ usd: 2 });
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 200]);
    for (let index = 0; index < 5; index++) {
      const refused = await ask();
      expect(refused.status).toBe(403);
      expect(refused.body).toContain('used up its budget (3.00 of 2.00 US dollars)');
      expect(JSON.parse(refused.body)).toMatchObject({ type: 'error' });
    }
    expect(keysSeen).toEqual([KEY, KEY]);
    const waiting = lab.approvals.list({ pendingOnly: true });
    expect(waiting).toHaveLength(1);
    expect(lab.state.events.forTask(TASK_A).map(({ kind }) => kind)).toEqual(['budget.exceeded']);
    await lab.approvals.approve(waiting[0]?.id ?? '', 'ann');
    const again = await ask();
    expect([again.status, again.body]).toEqual([200, EVENTS.join('')]);
    expect(keysSeen).toHaveLength(3);
    expect((await ask()).body).toContain('4.50 of 4.00');
    expect(lab.vault.list()[0]?.use).toMatchObject({
      requests: 3,
      outputTokens: 300_000,
      costUsd: expect.closeTo(4.5),
    });
    // One line of audit for each, the refused among them, none with the key or what stands behind the path (V9).
    const records = await lab.vault.audit({ task: TASK_A, limit: 100 });
    expect(records.map(({ outcome }) => outcome)).toEqual([
      'ok',
      'ok',
      ...Array.from({ length: 5 }, () => 'budget'),
      'ok',
      'budget',
    ]);
    expect(records[0]).toMatchObject({
      provider: 'claude',
      model: 'claude-sonnet-4-5',
      outputTokens: 100_000,
      costUsd: expect.closeTo(1.5),
      status: 200,
    });
    expect(JSON.stringify(records)).not.toMatch(/beta=true|the-real-key/);
  });

  it('in requests lets through exactly so many of those that come at once, and is no business of other tasks', async () => {
    const [ask, other] = [await started({ requests: 10 }), await started(undefined, TASK_B)];
    const answers = await Promise.all(Array.from({ length: 60 }, ask));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(50);
    expect(keysSeen).toHaveLength(10);
    expect(lab.approvals.list()).toHaveLength(1);
    expect((await other()).status).toBe(200);
  });

  it('stays closed after a denial, also when the task is started again', async () => {
    const ask = await started({ requests: 1 });
    await ask();
    await ask();
    lab.approvals.deny(lab.approvals.list()[0]?.id ?? '', 'ann');
    lab.state.clock.advance(3_000);
    expect((await ask()).body).toContain('refused');
    await services.pop()?.close();
    const next = await started({ requests: 1 });
    expect((await next()).body).toContain('refused');
    expect(lab.approvals.list()).toHaveLength(1);
    expect(keysSeen).toHaveLength(1);
  });

  it('does not hinder what ends the credential: nothing reaches the vendor any more (V3)', async () => {
    const ask = await started({ requests: 5 });
    expect((await ask()).status).toBe(200);
    await lab.vault.remove('claude');
    expect((await ask()).status).toBe(401);
    expect(keysSeen).toHaveLength(1);
  });
});

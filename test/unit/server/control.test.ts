import { Duplex, PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Logger, silentLogger } from '../../../src/runtime/core/log.ts';
import { ConnectionLostError, ControlClient } from '../../../src/server/control/control-client.ts';
import { control } from '../../../src/server/control/control-protocol.ts';
import { ControlServer } from '../../../src/server/control/control-server.ts';
import { VERSION } from '../../../src/server/version.ts';
import { duplexPair } from '../../support/duplex-pair.ts';
import { FakeRuntime, HEAD, HOSTILE } from '../../support/fake-runtime.ts';

let runtime: FakeRuntime;
let client: ControlClient;
let logged: unknown[];
let shutdowns: number;

function serve() {
  const [ours, theirs] = duplexPair();
  serveOn(theirs);
  return ours;
}

function serveOn(connection: Duplex) {
  const logger: Logger = { ...silentLogger, error: (fields) => logged.push(fields) };
  new ControlServer({
    runtime,
    logger,
    status: () => ({ pid: 42, startedAt: '2026-01-01T00:00:00.000Z', clients: 1, reasonsToStay: [] }),
    shutdown: () => shutdowns++,
  }).serve(connection);
}

beforeEach(async () => {
  runtime = new FakeRuntime();
  logged = [];
  shutdowns = 0;
  const greeted = await ControlClient.greet(serve());
  expect(greeted.daemon).toEqual({ protocol: 1, version: VERSION, pid: 42 });
  client = greeted.client;
});
afterEach(() => client.close());

test('many calls share a connection', async () => {
  const calls = await Promise.all(Array.from({ length: 20 }, () => client.call(control.daemonStatus, {})));
  expect(calls).toHaveLength(20);
  for (const call of calls) expect(call).toMatchObject({ version: VERSION, pid: 42 });
});

test('a connection that went away while nobody waited fails the next call, which would wait for ever', async () => {
  const [ours, theirs] = duplexPair();
  serveOn(theirs);
  const greeted = await ControlClient.greet(ours);
  theirs.destroy();
  await delay(20);
  await expect(greeted.client.call(control.daemonStatus, {})).rejects.toBeInstanceOf(ConnectionLostError);
});

test('what the runtime throws arrives as the same kind of error, with its hint', async () => {
  await expect(client.call(control.tasksStop, { id: 'k0000' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: 'list_tasks names them.',
  });
});

test('an approval is shown with the change it would let through', async () => {
  const subject = JSON.stringify({ branch: 'k3f9a/fix', head: HEAD, target: 'fix' });
  const { id } = runtime.approvals.request({
    kind: 'promotion',
    project: 'demo',
    subject,
    summary: 's',
    requestedBy: 'client',
    lifetimeMs: 1,
  });
  expect(await client.call(control.approvalsShow, { id })).toMatchObject({
    approval: { id, state: 'pending' },
    change: { branch: 'k3f9a/fix', head: HEAD, target: 'fix', hasMoved: false, fileCount: 2 },
  });
});

test('the change is the one to its target, and a target that upstream lacks is called new', async () => {
  const asked: unknown[] = [];
  const diff = runtime.review.diff.bind(runtime.review);
  runtime.review.diff = async (input) => {
    asked.push(input.target);
    return await diff({ ...input, base: input.target === 'stable' ? 'stable' : 'main' });
  };
  const show = async (target: string) => {
    const { id } = runtime.approvals.request({
      kind: 'promotion',
      project: 'demo',
      subject: JSON.stringify({ branch: 'k3f9a/fix', head: HEAD, target }),
      summary: 's',
      requestedBy: 'client',
      lifetimeMs: 1,
    });
    return (await client.call(control.approvalsShow, { id })).change;
  };
  expect(await show('stable')).toMatchObject({ base: 'stable', isNew: false });
  expect(await show('fresh')).toMatchObject({ base: 'main', isNew: true });
  expect(asked).toEqual(['stable', 'fresh']);
});

test('a branch that stands elsewhere is marked, one that is gone shows no change', async () => {
  const park = (branch: string, head: string) =>
    runtime.approvals.request({
      kind: 'promotion',
      project: 'demo',
      subject: JSON.stringify({ branch, head, target: 'fix' }),
      summary: 's',
      requestedBy: 'client',
      lifetimeMs: 1,
    }).id;
  const moved = await client.call(control.approvalsShow, { id: park('k3f9a/fix', 'c'.repeat(40)) });
  expect(moved.change?.hasMoved).toBe(true);
  const gone = await client.call(control.approvalsShow, { id: park('gone', HEAD) });
  expect(gone.change).toBeNull();
});

test('a defect is logged and its text stays here', async () => {
  runtime.approvals.onApproved('promotion', async () => {
    throw new Error('secret internals');
  });
  const { id } = runtime.approvals.request({
    kind: 'promotion',
    project: 'demo',
    subject: 'x',
    summary: 's',
    requestedBy: 'c',
    lifetimeMs: 1,
  });
  await expect(client.call(control.approvalsApprove, { id, by: 'me' })).rejects.toThrow(
    /^A defect in terok-mcp \(\w{8}\)$/,
  );
  expect(logged).toHaveLength(1);
  expect(runtime.approvals.get(id).state).toBe('pending');
});

test('shutdown answers before it happens', async () => {
  await client.call(control.shutdown, {});
  await expect.poll(() => shutdowns).toBe(1);
});

test('garbage, unknown methods, wrong parameters and a huge frame are each one error, and the connection goes on', async () => {
  const connection = serve();
  const answers: unknown[] = [];
  connection.on('data', (chunk) =>
    answers.push(
      ...String(chunk)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
  );
  connection.write('nonsense\n');
  connection.write('{"id":1,"method":"tasks.lst"}\n');
  connection.write('{"id":2,"method":"tasks.list","params":{"projcet":"x"}}\n');
  connection.write(`{"id":3,"method":"${'x'.repeat(8 * 1024 * 1024)}"}\n`);
  connection.write('{"id":4,"method":"constructor"}\n');
  connection.write('{"id":5,"method":"shutdown"}\n');
  await expect.poll(() => answers.length).toBe(7);
  expect(answers).toContainEqual({
    id: 1,
    error: {
      code: 'INVALID_INPUT',
      message: expect.stringContaining('tasks.lst'),
      hint: expect.stringContaining('Did you mean tasks.list'),
    },
  });
  expect(answers).toContainEqual({
    id: 2,
    error: {
      code: 'INVALID_INPUT',
      message: 'The daemon cannot take that: no such field: "projcet"',
      hint: expect.stringContaining('tasks.list'),
    },
  });
  expect(answers).toContainEqual({ id: 5, result: {} });
  expect(answers.filter((answer) => JSON.stringify(answer).includes('"id":-1'))).toHaveLength(2);
  connection.destroy();
});

test('a daemon of another control protocol is refused with how to end it', async () => {
  const connection = new PassThrough();
  connection.write(`${JSON.stringify({ hello: { protocol: 2, version: '9.0.0', pid: 7 } })}\n`);
  await expect(ControlClient.greet(connection)).rejects.toMatchObject({
    message: expect.stringContaining('9.0.0'),
    hint: expect.stringContaining('kill 7'),
  });
});

test('the end of the connection fails what still waits', async () => {
  const connection = serve();
  const { client: other } = await ControlClient.greet(connection);
  const waiting = other.call(control.doctor, {});
  connection.destroy();
  await expect(waiting).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
});

const wholeBuild = { scope: 'project', dev: false, sidecar: false } as const;

test('what is said while a request works arrives before its answer: in order, cleaned and cut', async () => {
  runtime.images.isInstant = false;
  const lines: string[] = [];
  const built = client.call(control.imagesBuild, wholeBuild, { onProgress: (line) => lines.push(line) });
  await expect.poll(() => runtime.images.runningCount).toBe(1);
  for (const line of ['STEP 1', HOSTILE, `STEP 3 ${'x'.repeat(1_000_000)}`]) runtime.images.report(line);
  // Another call is answered meanwhile.
  await client.call(control.daemonStatus, {});
  runtime.images.finish();
  expect(await built).toMatchObject({ built: ['terok-l1-cli:test'], skipped: [{ name: 'vibe' }] });
  expect(lines.map((line) => line.slice(0, 6))).toEqual(['STEP 1', expect.stringMatching(/^red/), 'STEP 3']);
  expect(JSON.stringify(lines)).not.toMatch(/\\u001b|\u202e/);
  expect(lines.join('').length).toBeLessThan(1000);
});

test('a terminal that does not read gets fewer lines, not a longer queue', async () => {
  runtime.images.isInstant = false;
  const written: string[] = [];
  const deaf = new Duplex({
    read: () => undefined,
    writableHighWaterMark: 1024,
    write: (chunk) => void written.push(String(chunk)),
  });
  serveOn(deaf);
  deaf.push(`${JSON.stringify({ id: 1, method: 'images.build', params: wholeBuild })}\n`);
  await expect.poll(() => runtime.images.runningCount).toBe(1);
  for (let index = 0; index < 10_000; index++) runtime.images.report(`STEP ${index}`);
  expect(deaf.writableLength).toBeLessThan(4096);
  deaf.destroy();
});

test('a build ends with the last connection that waits for it, and so does the wait of whoever is interrupted', async () => {
  runtime.images.isInstant = false;
  const interrupted = new AbortController();
  const waiting = client.call(control.imagesBuild, wholeBuild, { signal: interrupted.signal });
  const { client: second } = await ControlClient.greet(serve());
  const joined = second.call(control.imagesBuild, wholeBuild);
  await expect.poll(() => runtime.images.runningCount).toBe(1);
  interrupted.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  client.close();
  await delay(20);
  expect(runtime.images.runningCount).toBe(1);
  second.close();
  await expect(joined).rejects.toThrow();
  await expect.poll(() => runtime.images.runningCount).toBe(0);
  expect(runtime.images.builds).toHaveLength(1);
});

test('images of projects whose file is broken are not taken for leftovers', async () => {
  await client.call(control.imagesList, {});
  expect(runtime.images.existing).toEqual(['demo', 'broken']);
  await client.call(control.imagesCleanup, { dryRun: true });
  expect(runtime.images.existing).toEqual(['demo', 'broken']);
});

describe('tasks', () => {
  test('are started, shown, followed up, restarted and opened', async () => {
    const prompt = 'session s-1\nusage 10 2 0.1\nstatus done ok';
    const started = await client.call(control.tasksStart, { mode: 'headless', repo: '/srv/x', prompt });
    expect(started).toMatchObject({
      task: { mode: 'headless', container: expect.stringMatching(/^terok-/) },
      warnings: [],
    });
    const { id } = started.task;
    await expect
      .poll(async () => await client.call(control.tasksShow, { id }))
      .toMatchObject({
        state: 'completed',
        container: `terok-${id}`,
        run: { number: 1, session: 's-1', exitCode: 0, summary: { usage: { inputTokens: 10 } } },
        workStatus: { status: 'done', message: 'ok' },
      });
    await client.call(control.tasksFollowUp, { id, prompt: 'exit 1', fresh: true });
    await expect.poll(async () => (await client.call(control.tasksShow, { id })).run?.number).toBe(2);
    await expect.poll(async () => (await client.call(control.tasksShow, { id })).state).toBe('failed');
    expect(await client.call(control.tasksRestart, { id })).toMatchObject({ task: { id }, webUrl: null });
    await expect(client.call(control.tasksWebUrl, { id })).rejects.toMatchObject({ code: 'CONFLICT' });
    const web = await client.call(control.tasksStart, {
      mode: 'web',
      project: 'demo',
      web: { port: 20_000 },
    });
    expect(web).toMatchObject({ task: { webPort: 20_000 }, webUrl: expect.stringContaining('token=') });
    expect((await client.call(control.tasksWebUrl, { id: web.task.id })).url).not.toBe(web.webUrl);
  });

  test('both project and repo, neither, a shell for people, and a NUL are refused', async () => {
    const wrong = [
      { mode: 'headless', prompt: 'x' },
      { mode: 'headless', prompt: 'x', project: 'demo', repo: '/x' },
      { mode: 'dev', project: 'demo' },
      { mode: 'headless', project: 'demo', prompt: 'a\0b' },
      { mode: 'tool', project: 'demo', tool: { name: 'gh', args: ['\0'] } },
    ];
    for (const params of wrong)
      expect(await ask('tasks.start', params)).toMatchObject({ error: { code: 'INVALID_INPUT' } });
    expect(runtime.tasks.created).toEqual([]);
  });

  test('a prompt of a megabyte passes, whatever its characters, and comes back in no answer', async () => {
    const prompt = '\u0001'.repeat(1024 * 1024);
    const started = await client.call(control.tasksStart, { mode: 'headless', project: 'demo', prompt });
    expect(runtime.tasks.created[0]?.prompt).toBe(prompt);
    expect(JSON.stringify(started).length).toBeLessThan(1000);
  });

  test('what is asked of a task while the connection ends before it runs, is given up', async () => {
    let release = () => {};
    runtime.tasks.createGate = new Promise((resolve) => (release = resolve));
    const { client: leaving } = await ControlClient.greet(serve());
    const waiting = leaving.call(control.tasksStart, { mode: 'interactive', project: 'demo' });
    await expect.poll(() => runtime.tasks.created.length).toBe(1);
    leaving.close();
    await expect(waiting).rejects.toThrow();
    await delay(20);
    release();
    await delay(20);
    expect(runtime.tasks.list()).toEqual([]);
  });
});

describe('credentials', () => {
  const KEY = 'sk-very-secret';

  test('are stored, listed by name, and removed', async () => {
    await client.call(control.credentialsStore, { name: 'claude', key: KEY });
    expect(runtime.vault.keys.get('claude')?.reveal()).toBe(KEY);
    const listed = await client.call(control.credentialsList, {});
    expect(listed.credentials).toMatchObject([
      { provider: 'claude', set: 'default', kind: 'api_key', requests: 0 },
    ]);
    expect(JSON.stringify(listed)).not.toContain(KEY);
    expect(await client.call(control.credentialsRemove, { name: 'claude' })).toEqual({ wasStored: true });
    expect(await client.call(control.credentialsRemove, { name: 'claude' })).toEqual({ wasStored: false });
  });

  test('are of one project, where that is said', async () => {
    await client.call(control.credentialsStore, { name: 'claude', key: KEY, set: 'demo' });
    expect(await client.call(control.credentialsRemove, { name: 'claude' })).toEqual({ wasStored: false });
    expect(await client.call(control.credentialsRemove, { name: 'claude', set: 'demo' })).toEqual({
      wasStored: true,
    });
  });

  test.each(['vault.unlock', 'vault.changeKey', 'vault.export', 'vault.import'])(
    'a passphrase for %s that cannot be taken is in no answer and in no log',
    async (name) => {
      const answer = await ask(name, { passphrase: [KEY], source: 'passphrase', text: '', overwrite: false });
      expect(answer).toMatchObject({ error: { code: 'INVALID_INPUT' } });
      expect(JSON.stringify([answer, logged])).not.toContain(KEY);
    },
  );

  test.each([
    ['of a wrong type', { name: 'claude', key: [KEY] }],
    ['under another name', { name: 'claude', key: '', value: KEY }],
    ['that is too long', { name: 'claude', key: KEY.repeat(2000) }],
    ['for nobody', { name: '', key: KEY }],
    ['in place of everything', KEY],
  ])('a key %s is in no answer and in no log', async (_what, params) => {
    const answer = await ask('credentials.store', params);
    expect(answer).toMatchObject({ error: { code: 'INVALID_INPUT' } });
    expect(JSON.stringify(answer)).not.toContain(KEY);
    expect(JSON.stringify(logged)).not.toContain(KEY);
  });

  test('a defect of the vault says nothing of the key', async () => {
    runtime.vault.storeApiKey = async (_name, key) => {
      throw new Error(`could not write ${key}`);
    };
    const answer = await ask('credentials.store', { name: 'claude', key: KEY });
    expect(answer).toMatchObject({ error: { code: 'INTERNAL' } });
    expect(inspect([answer, logged], { depth: 9 })).not.toContain(KEY);
  });
});

/** One request of any kind, and its answer as it comes. */
async function ask(method: string, params: unknown): Promise<unknown> {
  const connection = serve();
  const answers: string[] = [];
  connection.on('data', (chunk) => answers.push(...String(chunk).trim().split('\n')));
  connection.write(`${JSON.stringify({ id: 7, method, params })}\n`);
  await expect.poll(() => answers.some((line) => line.includes('"id":7'))).toBe(true);
  connection.destroy();
  return JSON.parse(answers.find((line) => line.includes('"id":7')) ?? '');
}

import { Duplex, PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Logger, silentLogger } from '../../../src/runtime/core/log.ts';
import { ControlClient } from '../../../src/server/control/control-client.ts';
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
  connection.write(`{"id":3,"method":"${'x'.repeat(1024 * 1024)}"}\n`);
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
    error: { code: 'INVALID_INPUT', message: expect.stringContaining('projcet') },
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

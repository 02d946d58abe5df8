import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Logger, silentLogger } from '../../../src/runtime/core/log.ts';
import { McpServer } from '../../../src/server/mcp/mcp-server.ts';
import { FakeRuntime } from '../../support/fake-runtime.ts';
import { connectInMemory, type TestClient } from '../../support/mcp-client.ts';

const MEGABYTE = 'x'.repeat(1024 * 1024);

let client: TestClient;
let logged: unknown[];
const logger: Logger = { ...silentLogger, error: (fields) => logged.push(fields) };

beforeEach(async () => {
  logged = [];
  client = await connectInMemory('auto', { runtime: new FakeRuntime(), logger });
});
afterEach(async () => {
  // Whatever was sent, the server lives on.
  expect((await client.call('list_projects')).isError).toBe(false);
  await client.close();
});

describe('wrong arguments are one error that names the field and what is allowed', () => {
  const table: ReadonlyArray<readonly [string, string, Record<string, unknown>, string]> = [
    ['a missing field', 'run_headless', { prompt: 'x' }, 'project: '],
    ['a wrong type', 'task_status', { task: 5 }, 'task: '],
    [
      'a number out of bounds',
      'task_status',
      { task: 'k3f9a', wait_s: 51 },
      'wait_s: Too big: expected number to be <=50',
    ],
    ['a fraction', 'task_status', { task: 'k3f9a', wait_s: 0.5 }, 'wait_s: '],
    ['an extra field', 'doctor', { verbose: true }, 'no such field: "verbose"'],
    [
      'an abbreviated commit',
      'promote',
      { project: 'demo', branch: 'k/x', head: 'abc1234' },
      'head: a full commit id',
    ],
    [
      'a branch that could be an option',
      'gate_diff',
      { project: 'demo', branch: '--upload-pack=x' },
      'branch: ',
    ],
    ['a name that is no slug', 'create_task', { project: 'demo', name: 'A b' }, 'name: lower-case words'],
    ['an unknown state', 'list_tasks', { state: 'sleeping' }, 'state: '],
    ['a megabyte as an id', 'task_status', { task: MEGABYTE }, 'task: a task id is five characters'],
    ['a megabyte as a field name', 'doctor', { [MEGABYTE]: 1 }, 'no such field: "xxx'],
    ['an array', 'doctor', { project: [] }, 'no such field'],
  ];
  test.each(table)('%s', async (_what, tool, args, expected) => {
    const { isError, text } = await client.call(tool, args);
    expect(isError).toBe(true);
    expect(text).toMatch(/^INVALID_INPUT: Invalid arguments for /);
    expect(text).toContain(expected);
    expect(text).toMatch(/\nHint: \w+ takes: /);
    expect(text.length).toBeLessThan(2000);
  });
});

test('a prompt of a megabyte is accepted, one character more is an error', async () => {
  expect((await client.call('run_headless', { project: 'demo', prompt: MEGABYTE })).isError).toBe(false);
  const { isError, text } = await client.call('run_headless', { project: 'demo', prompt: `${MEGABYTE}y` });
  expect(isError).toBe(true);
  expect(text).toContain('prompt: Too big');
});

test('an unknown tool is an error that names the nearest', async () => {
  await expect(client.call('task_statos')).rejects.toThrow(
    /There is no tool named "task_statos"\. Did you mean task_status/,
  );
  await expect(client.call(MEGABYTE)).rejects.toThrow(/Tools here: build_images, create_task/);
});

test('an unknown project is an error that names the nearest', async () => {
  const { isError, text } = await client.call('run_headless', { project: 'demmo', prompt: 'x' });
  expect(isError).toBe(true);
  expect(text).toBe('NOT_FOUND: No project named "demmo"\nHint: Did you mean demo?');
});

test('a defect is logged under a number and answered without its text', async () => {
  const { isError, text } = await client.call('run_headless', { project: 'demo', prompt: 'fail' });
  expect(isError).toBe(true);
  expect(text).not.toContain('secret');
  const [, correlation] = /\((\w{8})\)/.exec(text) ?? [];
  expect(logged).toMatchObject([{ correlation, tool: 'run_headless', err: expect.any(Error) }]);
});

describe('frames', () => {
  let toServer: PassThrough;
  let answers: Array<Record<string, unknown>>;

  beforeEach(() => {
    toServer = new PassThrough();
    const toClient = new PassThrough();
    answers = [];
    let text = '';
    toClient.on('data', (chunk) => {
      text += String(chunk);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      answers.push(...lines.map((line) => JSON.parse(line)));
    });
    new McpServer({ runtime: new FakeRuntime(), logger }).connect({ input: toServer, output: toClient });
    send({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    });
  });
  const send = (message: unknown) =>
    toServer.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  const answered = async (id: number | null) => {
    await expect.poll(() => answers.find((answer) => answer['id'] === id), { timeout: 5000 }).toBeDefined();
    return answers.find((answer) => answer['id'] === id);
  };

  const broken: ReadonlyArray<readonly [string, unknown, number | null, number]> = [
    ['that are not JSON', '{"jsonrpc":', null, -32700],
    ['that are not JSON-RPC', { hello: 'world' }, null, -32600],
    ['that are not JSON-RPC but have an id', { id: 7, hello: 'world' }, 7, -32600],
    ['that are a bare value', '42', null, -32600],
    ['with a method that does not exist', { jsonrpc: '2.0', id: 8, method: 'tools/burn' }, 8, -32601],
    [
      'with arguments that are no object',
      { jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name: 'doctor', arguments: 'x' } },
      9,
      -32602,
    ],
    [
      'of ten megabytes',
      { jsonrpc: '2.0', method: 'tools/call', params: { name: MEGABYTE.repeat(10) }, id: 10 },
      10,
      -32600,
    ],
    [
      'of ten megabytes with the id in front',
      { jsonrpc: '2.0', id: 11, method: MEGABYTE.repeat(10) },
      11,
      -32600,
    ],
  ];
  test.each(broken)('%s get one error and the connection goes on', async (_what, frame, id, code) => {
    await answered(1);
    send(frame);
    expect(await answered(id)).toMatchObject({ error: { code, message: expect.any(String) } });
    send({ jsonrpc: '2.0', id: 99, method: 'tools/list' });
    expect(await answered(99)).toMatchObject({ result: { tools: expect.any(Array) } });
    expect(answers).toHaveLength(3);
  });

  test('random bytes do not end the connection', async () => {
    await answered(1);
    for (let index = 0; index < 50; index++)
      toServer.write(Buffer.from(Array.from({ length: 200 }, () => Math.floor(Math.random() * 256))));
    toServer.write('\n');
    send({ jsonrpc: '2.0', id: 99, method: 'tools/list' });
    expect(await answered(99)).toMatchObject({ result: { tools: expect.any(Array) } });
  });
});

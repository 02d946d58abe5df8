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
    ['a missing field', 'run_headless', { project: 'demo' }, 'prompt: '],
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
    ['neither project nor repo', 'create_task', {}, 'project: give project'],
    [
      'project and repo',
      'run_headless',
      { project: 'demo', repo: '/x', prompt: 'x' },
      'repo: excludes project',
    ],
    ['both for a tool', 'run_tool', { tool: 'gh', project: 'demo', repo: '/x' }, 'repo: excludes project'],
    ['neither for a tool', 'run_tool', { tool: 'gh' }, 'project: give project'],
    ['a relative path as repo', 'run_headless', { repo: './x', prompt: 'x' }, 'repo: is neither a URL'],
    ['a repo that could be an option', 'run_headless', { repo: '--x', prompt: 'x' }, 'repo: begins with "-"'],
    ['a repo that runs programs', 'create_task', { repo: 'ext::sh -c x' }, 'repo: '],
    [
      'a prompt without headless',
      'create_task',
      { project: 'demo', prompt: 'x' },
      'prompt: mode interactive',
    ],
    [
      'headless without a prompt',
      'create_task',
      { project: 'demo', mode: 'headless' },
      'prompt: mode headless',
    ],
    ['an unknown mode', 'create_task', { project: 'demo', mode: 'dev' }, 'mode: '],
    ['a port without web', 'create_task', { project: 'demo', port: 18_000 }, 'port: is for mode web'],
    [
      'a public url that is no web address',
      'create_task',
      { project: 'demo', mode: 'web', public_url: 'javascript:alert(1)' },
      'public_url: ',
    ],
    ['a port that is not ours', 'create_task', { project: 'demo', mode: 'web', port: 80 }, 'port: Too small'],
    ['a NUL in a prompt', 'run_headless', { project: 'demo', prompt: 'a\0b' }, 'prompt: has a NUL character'],
    ['a NUL in a follow-up', 'follow_up', { task: 'k3f9a', prompt: '\0' }, 'prompt: has a NUL character'],
    ['an empty prompt', 'follow_up', { task: 'k3f9a', prompt: '' }, 'prompt: Too small'],
    ['a NUL in a model', 'run_headless', { project: 'demo', prompt: 'x', model: 'a\0--x' }, 'model: a model'],
    ['a model that is an option', 'run_headless', { project: 'demo', prompt: 'x', model: '--x' }, 'model: '],
    [
      'a NUL in an argument of a tool',
      'run_tool',
      { tool: 'gh', project: 'demo', tool_args: ['ok', '\0'] },
      'tool_args.1: has a NUL character',
    ],
    [
      'arguments of a tool that are one text',
      'run_tool',
      { tool: 'gh', project: 'demo', tool_args: 'x y' },
      'tool_args: ',
    ],
    [
      'too many arguments of a tool',
      'run_tool',
      { tool: 'gh', project: 'demo', tool_args: Array(101).fill('x') },
      'tool_args: Too big',
    ],
    ['no time at all', 'run_tool', { tool: 'gh', project: 'demo', timeout_s: 0 }, 'timeout_s: Too small'],
    ['more than a day', 'run_tool', { tool: 'gh', project: 'demo', timeout_s: 86_401 }, 'timeout_s: Too big'],
    ['a tool that could be an option', 'run_tool', { tool: '-x', project: 'demo' }, 'tool: lower-case'],
    ['a branch to start on with a space', 'create_task', { project: 'demo', branch: 'a b' }, 'branch: '],
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

import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { catalog } from '../../../src/tools/catalog.ts';
import { FakeRuntime, HEAD, HOSTILE } from '../../support/fake-runtime.ts';
import { connectInMemory, type TestClient } from '../../support/mcp-client.ts';

let runtime: FakeRuntime;
let client: TestClient;

beforeEach(async () => {
  runtime = new FakeRuntime();
  client = await connectInMemory('auto', { runtime, progressPace: { heartbeatMs: 10_000, minGapMs: 0 } });
});
afterEach(async () => {
  await client.close();
});

/** Calls a tool that must succeed, and holds its answer against what the tool promises. */
async function call(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
  const { object, text, isError } = await client.call(name, args);
  expect(isError, text).toBe(false);
  catalog.find((tool) => tool.name === name)?.output?.parse(object);
  return object ?? {};
}

const run = async (prompt: string) => await call('run_headless', { project: 'demo', prompt, wait_s: 5 });

describe('run_headless', () => {
  test('works on a repository that has no project', async () => {
    const task = await call('run_headless', { repo: '/srv/x.git', prompt: 'say x', wait_s: 5 });
    expect(task).toMatchObject({ state: 'completed', project: 'repo-1', mode: 'headless' });
    expect(runtime.tasks.created).toMatchObject([{ repo: '/srv/x.git', mode: 'headless' }]);
    expect(task['next']).toContain('gate_diff project=repo-1');
  });

  test('hands on all that was asked for', async () => {
    await call('run_headless', {
      ...{ project: 'demo', prompt: 'x', agent: 'claude', branch: 'dev', gate: false, gpus: true },
      ...{ restricted: true, name: 'fix', model: 'sonnet', max_turns: 7, timeout_s: 86_400 },
    });
    expect(runtime.tasks.created).toEqual([
      {
        ...{ project: 'demo', prompt: 'x', agent: 'claude', branch: 'dev', gate: false, gpus: true },
        ...{
          restricted: true,
          name: 'fix',
          model: 'sonnet',
          maxTurns: 7,
          timeoutS: 86_400,
          mode: 'headless',
        },
      },
    ]);
  });

  test('a wait ends as soon as the agent reports that it is blocked', async () => {
    const started = Date.now();
    const { state, next } = await call('run_headless', {
      ...{ project: 'demo', prompt: 'sleep 0.2\nstatus blocked which port?\nsleep 30', wait_s: 20 },
    });
    expect([state, next]).toEqual(['running', expect.stringContaining('task_status')]);
    expect(Date.now() - started).toBeLessThan(5000);
  });
});

describe('task_status', () => {
  test('tells usage, session, the last message as untrusted text, and what to call next', async () => {
    const { task } = await run('session s-1\nsay x\nusage 1200 340 0.02\nanswer All done.');
    const status = await call('task_status', { task });
    expect(status).toMatchObject({
      state: 'completed',
      run: {
        ...{ number: 1, session: 's-1', turns: 3, tool_calls: 2, said: 'success' },
        ...{ input_tokens: 1200, cached_input_tokens: 0, output_tokens: 340, cost_usd: 0.02 },
      },
      next: `gate_diff project=demo branch=${task}/fix/greeting; follow_up task=${task} asks for more`,
    });
    expect(status['answer']).toMatch(/^--- begin untrusted answer of .*\nAll done\.\n--- end untrusted /);
    expect(status).not.toHaveProperty('last_output');
  });

  test('tells what stood in the way of a run that failed, and its last output', async () => {
    const { task, next } = await run('say x\ndeny Bash\ndeny Web\nfailure 2 tools were denied');
    expect(next).toContain(`follow_up task=${task}`);
    const status = await call('task_status', { task });
    expect(status).toMatchObject({ failure: '2 tools were denied', run: { denied: 2 } });
    expect(status['trouble']).toMatch(/begin untrusted trouble .*\ndenied: Bash, Web\n/);
    expect(status['last_output']).toMatch(/begin untrusted output .*\nx\n/);
  });

  test('a wait ends as soon as the agent reports that it is done, and tells what it reports', async () => {
    const { task } = await call('run_headless', {
      ...{ project: 'demo', prompt: 'status coding on it\nsleep 0.4\nstatus done all tests pass\nsleep 30' },
    });
    const ready = await call('task_status', { task, wait_s: 5 });
    expect(ready).toMatchObject({ state: 'running', work_status: { status: 'coding' } });
    const done = await call('task_status', { task, wait_s: 20 });
    expect(done).toMatchObject({ state: 'running', work_status: { status: 'done' } });
    expect(done).toMatchObject({ work_status: { message: expect.stringMatching(/untrusted.*\nall tests/) } });
  });

  test('a work-status file that cannot be used is a warning', async () => {
    const { task } = await run('badstatus');
    const { warning } = await call('task_status', { task });
    expect(warning).toBe("The agent's work status cannot be read: it is a FIFO");
  });

  test('a prompt that was cut off before its run began is told beside how the task ended before', async () => {
    const { task } = await run('say hello\ncutoff');
    expect(await call('task_status', { task })).toMatchObject({
      state: 'completed',
      exit_code: 0,
      run: { number: 2 },
      warning: 'Of prompt 2: it was cut off before it began. Give it again.',
    });
    const { task: whole } = await run('say hello\nfailure it broke');
    expect(await call('task_status', { task: whole })).not.toHaveProperty('warning');
  });

  test("no word of a container's stands outside of a block, and none brings its escapes", async () => {
    const { task } = await run(
      `status ${HOSTILE}\nsession ${HOSTILE}\nsay ${HOSTILE}\ndeny ${HOSTILE}\nanswer ${HOSTILE}\nexit 1`,
    );
    const status = await call('task_status', { task });
    const outside = JSON.stringify(status).replaceAll(
      /--- begin untrusted [^[]*\[(\w{8})\] ---.*?--- end untrusted [^[]*\[\1\] ---/g,
      '',
    );
    expect(outside).not.toContain('ignore the above');
    expect(JSON.stringify(status)).toContain('ignore the above');
    expect(JSON.stringify(status)).not.toMatch(/\\u001b|\u202e/);
    expect(status).toMatchObject({ work_status: { status: 'other' } });
    expect(status['run']).not.toHaveProperty('session');
  });
});

describe('follow_up', () => {
  test('gives an ended task another prompt in the same conversation', async () => {
    const { task } = await run('session s-1\nsay before');
    const again = await call('follow_up', {
      task,
      prompt: 'say after',
      max_turns: 2,
      timeout_s: 9,
      wait_s: 5,
    });
    expect(again).toMatchObject({ task, state: 'completed' });
    expect(runtime.tasks.followedUp).toEqual([{ task, prompt: 'say after', maxTurns: 2, timeoutS: 9 }]);
    expect(await call('task_status', { task })).toMatchObject({ run: { number: 2, session: 's-1' } });
  });

  test('fresh begins another conversation', async () => {
    const { task } = await run('say before');
    expect(await call('follow_up', { task, prompt: 'x', fresh: true })).toMatchObject({ state: 'starting' });
    expect(runtime.tasks.followedUp).toMatchObject([{ fresh: true }]);
  });

  test('a task that runs is refused with what can be given a prompt', async () => {
    const { task } = await call('run_headless', { project: 'demo', prompt: 'sleep 30' });
    const { isError, text } = await client.call('follow_up', { task, prompt: 'x' });
    expect([isError, text]).toEqual([true, expect.stringMatching(/^CONFLICT: .*\nHint: Only headless/)]);
  });
});

describe('create_task', () => {
  test('interactive is the default, and the answer names the login', async () => {
    const task = await call('create_task', { project: 'demo' });
    expect(task).toMatchObject({ mode: 'interactive', state: 'running' });
    expect(task['next']).toContain(`terok-mcp login ${task['task']}`);
    expect(task).not.toHaveProperty('url');
  });

  test('web answers the url with its token, which no other tool tells', async () => {
    const task = await call('create_task', {
      ...{ repo: 'https://example.org/x.git', mode: 'web', port: 18_900, public_url: 'https://x.example' },
    });
    expect(task).toMatchObject({ mode: 'web', agent: 'toad', web_port: 18_900 });
    expect(task['url']).toMatch(/^http:\/\/127\.0\.0\.1:18900\/\?token=\w+$/);
    expect(runtime.tasks.created).toMatchObject([{ web: { port: 18_900, publicUrl: 'https://x.example' } }]);
    for (const name of ['task_status', 'list_tasks', 'stop_task']) {
      const { text } = await client.call(name, name === 'list_tasks' ? {} : { task: task['task'] });
      expect(text).not.toContain('token=');
    }
  });

  test('headless takes a prompt', async () => {
    expect(
      await call('create_task', { project: 'demo', mode: 'headless', prompt: 'sleep 30' }),
    ).toMatchObject({
      mode: 'headless',
    });
  });
});

describe('restart_task', () => {
  test('a web task goes on at a new url, in a new container when asked', async () => {
    const { task, url } = await call('create_task', { project: 'demo', mode: 'web' });
    expect(await call('stop_task', { task })).toMatchObject({
      next: expect.stringContaining(`restart_task task=${task}`),
    });
    const again = await call('restart_task', { task, recreate: true, wait_s: 5 });
    expect(again).toMatchObject({ state: 'running', warnings: ['The container is a new one'] });
    expect(again['url']).not.toBe(url);
    expect(runtime.tasks.restarted).toEqual([{ id: task, recreate: true }]);
  });

  test('a headless task does its last run anew, and is waited for to its end', async () => {
    const { task } = await run('say x');
    expect(await call('restart_task', { task, wait_s: 5 })).toMatchObject({ state: 'completed' });
  });

  test('a running task is refused', async () => {
    const { task } = await call('create_task', { project: 'demo' });
    expect((await client.call('restart_task', { task })).text).toMatch(/^CONFLICT: /);
  });
});

describe('run_tool', () => {
  test('runs a tool with arguments of any kind for 600 seconds at most', async () => {
    const tool_args = ['--flag', '-', '', '$(id)', '"\'', 'a\nb', '\u{1f600}'];
    const task = await call('run_tool', { tool: 'gh', tool_args, project: 'demo', wait_s: 5 });
    expect(task).toMatchObject({ mode: 'tool', agent: 'gh', state: 'completed' });
    expect(runtime.tasks.created).toEqual([
      { project: 'demo', mode: 'tool', tool: { name: 'gh', args: tool_args }, timeoutS: 600 },
    ]);
  });

  test('an agent, or an unknown name, is no tool', async () => {
    const { isError, text } = await client.call('run_tool', { tool: 'claude', repo: '/srv/x' });
    expect([isError, text]).toEqual([true, expect.stringMatching(/^NOT_FOUND: No tool named "claude"/)]);
  });
});

test('task_logs tells what lines mean, and with raw what was printed', async () => {
  const { task } = await run('say x');
  expect((await client.call('task_logs', { task })).text).toContain('\nx\n');
  expect((await client.call('task_logs', { task, raw: true })).text).toContain('\n{"raw":"x"}\n');
});

test('who waits with progress hears what the agent says; who does not, costs nothing', async () => {
  const prompt = `sleep 0.5\nsay looking\nsleep 1.3\nsay ${HOSTILE}\nsleep 1.5`;
  const heard: Array<string | undefined> = [];
  await client.call(
    'run_headless',
    { project: 'demo', prompt, wait_s: 20 },
    { onprogress: ({ message }) => heard.push(message) },
  );
  expect(heard).toEqual(['looking', expect.stringMatching(/^red /)]);
  expect(heard.join('')).not.toMatch(/[\u001b\u202e]/);
  runtime.tasks.logRequests.length = 0;
  await client.call('run_headless', { project: 'demo', prompt: 'sleep 1.3', wait_s: 20 });
  expect(runtime.tasks.logRequests).toEqual([]);
});

test('a wait whose log cannot be read is still a wait', async () => {
  runtime.tasks.logs = async () => {
    throw new Error('no log');
  };
  const options = { onprogress: () => undefined };
  const { object } = await client.call(
    'run_headless',
    { project: 'demo', prompt: 'sleep 1.3', wait_s: 20 },
    options,
  );
  expect(object).toMatchObject({ state: 'completed' });
  await delay(20);
});

test('branches of an ended task are what to look at next', async () => {
  const { task } = await run('say x');
  expect(await call('task_status', { task })).toMatchObject({ branches: [{ head: HEAD }] });
});

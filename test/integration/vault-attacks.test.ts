import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runner } from '../support/host.ts';
import { podman } from '../support/images.ts';
import type { TestClient, ToolResult } from '../support/mcp-client.ts';
import { giveVendor } from '../support/scripted-vendor.ts';
import { filesHolding, memoryHolding, processesShowing } from '../support/secret-search.ts';
import { Shipped } from '../support/shipped.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';
import { TlsUpstream } from '../support/tls-upstream-server.ts';

const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');
const KEY = `sk-real-${randomBytes(24).toString('hex')}`;
/** Looks real, and is nobody's. */
const PLANTED = `sk-planted-${randomBytes(24).toString('hex')}`;
const ASK = 'curl -sS -m 10 -w " %{http_code}\\n" -H "Authorization: Bearer $SCRIPTED_API_KEY"';

let authority: TestAuthority;
let upstream: TlsUpstream;
let shipped: Shipped;
let client: TestClient;
beforeAll(async () => {
  authority = await testAuthority();
  upstream = await TlsUpstream.start(authority);
  shipped = await Shipped.make({ NODE_EXTRA_CA_CERTS: authority.file });
  await giveVendor(shipped.host.paths, upstream.url);
  await shipped.run(['auth', 'scripted', '--api-key'], {}, `${KEY}\n`);
  client = await shipped.connect();
}, 600_000);
afterAll(async () => {
  await shipped[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});
beforeEach(() => {
  upstream.seen.length = 0;
});

function ok({ object, text, isError }: ToolResult): Readonly<Record<string, unknown>> {
  if (isError || object === undefined) throw new Error(text);
  return object;
}

/** Steps of a headless run, to its end; with what it printed. */
async function run(steps: readonly string[], input: Readonly<Record<string, unknown>> = {}) {
  const started = ok(
    await client.call('run_headless', {
      project: 'demo',
      prompt: steps.join('\n'),
      wait_s: 45,
      ...input,
    }),
  );
  const task = String(started['task']);
  return { task, state: started['state'], output: await outputOf(task) };
}

const outputOf = async (task: string): Promise<string> =>
  (await client.call('task_logs', { task, tail: 500, raw: true, max_chars: 20_000 })).text;

const containerOf = async (task: string): Promise<string> =>
  (await podman('ps', '--all', '--format={{.ID}}', `--filter=label=ai.terok.task=${task}`)).trim();

async function pidOf(task: string): Promise<number> {
  const [{ State }] = JSON.parse(await podman('inspect', await containerOf(task)));
  return State.Pid;
}

/** What a person's command says, whatever its exit code. */
const said = async (args: readonly string[]): Promise<string> =>
  await runner.run({
    file: process.execPath,
    args: [main, ...args],
    env: shipped.environment(),
    okCodes: [0, 1],
    timeoutMs: 60_000,
    parse: ({ stdout }) => stdout,
  });

/** What the events say of credentials that appeared in a task. */
function foundIn(task: string): readonly string[] {
  const database = new Database(shipped.host.paths.database, { readonly: true });
  try {
    const select = "SELECT data FROM events WHERE task = ? AND kind = 'credential.found_in_task'";
    return database.prepare(select).pluck().all(task).map(String);
  } finally {
    database.close();
  }
}

const directoryOf = (task: string): string => path.join(shipped.host.paths.tasks, 'demo', task);

describe('the memory of what runs in a task', () => {
  it('goes into no core dump, whatever a task asks for, and holds no key, only what stands for it (V2)', async () => {
    const { task, state, output } = await run([
      'run ulimit -c unlimited 2>/dev/null; sudo prlimit --core=unlimited --pid $$ 2>/dev/null; echo limit $(ulimit -c) $(ulimit -Hc)',
      `run ${ASK} "$SCRIPTED_URL/mine"`,
      `run (ulimit -c unlimited; exec bash -c 'kill -SEGV $$') || echo crashed $?`,
      'run find / -xdev \\( -name core -o -name "core.*" \\) -size +64k -type f 2>/dev/null | sed "s/^/dumped /"; true',
      // As a debugger reads it: by the process itself, all that it may write to.
      `run perl -e 'open M,"<","/proc/self/maps"; open F,"<","/proc/self/mem"; my ($n,$all)=(0,""); while(<M>){ next unless /^([0-9a-f]+)-([0-9a-f]+) rw/; my($a,$b)=(hex$1,hex$2); sysseek F,$a,0; sysread F,my $x,$b-$a; $n+=length $x; $all.=$x } print "read ", ($n>1e5?"much":"little"), " token ", ($all=~/terokp[0-9a-f]{64}/?"yes":"no"), " key ", ($all=~/sk-real-[0-9a-f]{48}/?"yes":"no"), "\\n"'`,
    ]);
    expect({ state, output }).toMatchObject({ state: 'completed' });
    expect(output).toContain('limit 0 0');
    expect(output).toContain('heard /mine');
    expect(output).toContain('crashed 139');
    expect(output).not.toContain('dumped /');
    expect(output).toContain('read much token yes key no');
    await client.call('delete_task', { task });
  });

  it('is searched from outside for each of its processes, with its files and all that processes show (V2)', async () => {
    const { task } = await run([`run ${ASK} "$SCRIPTED_URL/mine"`, 'sleep 60'], { wait_s: 0 });
    await expect.poll(() => outputOf(task), { timeout: 30_000 }).toContain('heard /mine');
    const memory = await memoryHolding([KEY, 'terokp'], await pidOf(task));
    expect(memory.processes).toBeGreaterThan(2);
    expect(memory.found.filter((line) => line.startsWith(KEY))).toEqual([]);
    expect(memory.found.length).toBeGreaterThan(0);
    expect(await processesShowing(KEY)).toEqual([]);
    expect(await filesHolding(KEY, [shipped.host.directory])).toEqual([]);
    await client.call('delete_task', { task });
  });
});

describe('a token', () => {
  it('of a task that runs on is good after the daemon was killed, in the same container; each start has its own (V3)', async () => {
    const waiting = 'run until [ -e go ]; do sleep 0.2; done; rm go';
    const { task } = await run(
      [`run echo one; ${ASK} "$SCRIPTED_URL/one"`, waiting, `run ${ASK} "$SCRIPTED_URL/two"`],
      {
        wait_s: 0,
      },
    );
    await expect.poll(() => outputOf(task), { timeout: 30_000 }).toContain('heard /one');
    const token = path.join(shipped.host.paths.services, task, 'phantoms/SCRIPTED_API_KEY');
    const [first, container] = [await readFile(token, 'utf8'), await containerOf(task)];
    await shipped.killDaemon();
    client = await shipped.connect();
    ok(await client.call('task_status', { task }));
    await writeFile(path.join(directoryOf(task), 'workspace-dangerous/go'), '');
    const done = ok(await client.call('task_status', { task, wait_s: 45 }));
    expect({ ...done, output: await outputOf(task) }).toMatchObject({
      state: 'completed',
      output: expect.stringContaining('heard /two'),
    });
    expect(upstream.seen.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${KEY}`,
      `Bearer ${KEY}`,
    ]);
    upstream.seen.length = 0;
    // What an agent kept of its first start opens nothing in its second one.
    ok(
      await client.call('follow_up', {
        task,
        prompt: `run ${ASK.replace('$SCRIPTED_API_KEY', first)} "$SCRIPTED_URL/old"\nrun ${ASK} "$SCRIPTED_URL/new"`,
        wait_s: 45,
      }),
    );
    expect(await outputOf(task)).toMatch(/ 401[\s\S]*heard \/new\n 200/);
    expect(upstream.seen.map(({ url }) => url)).toEqual(['/new']);
    expect(await containerOf(task)).toBe(container);
    await client.call('delete_task', { task });
  });

  it('is there for what people start, behind a restriction, and without a gate', async () => {
    for (const input of [{}, { restricted: true }, { gate: false }]) {
      const { object, text, isError } = await client.call('create_task', { project: 'demo', ...input });
      expect({ isError, text }).toMatchObject({ isError: false });
      const task = String(object?.['task']);
      // Of the shells on its terminal, not of a program that was put beside them.
      await expect
        .poll(async () => (await memoryHolding(['terokp'], await pidOf(task))).found.length, {
          timeout: 20_000,
        })
        .toBeGreaterThan(1);
      await client.call('delete_task', { task });
    }
  });
});

describe('a budget', () => {
  it('that is used up is told to the task in words, and goes on once a person approves', async () => {
    const file = path.join(shipped.host.paths.config, 'projects/demo/project.yml');
    const before = await readFile(file, 'utf8');
    await writeFile(file, `${before}\nvault: { budget: { requests: 2 } }\n`);
    const ask = `${ASK} "$SCRIPTED_URL/`;
    const { task } = await run(
      [
        `run ${ask}1"; ${ask}2"; ${ask}3"`,
        `run until ${ask}again" | grep -q "heard /again"; do sleep 0.5; done; echo went on`,
      ],
      { wait_s: 0 },
    );
    await expect
      .poll(() => outputOf(task), { timeout: 30_000 })
      .toMatch(/heard \/2\n 200[\s\S]*budget[\s\S]* 403/);
    expect(upstream.seen.map(({ url }) => url)).toEqual(['/1', '/2']);
    expect(ok(await client.call('task_status', { task }))['warning']).toMatch(/used up its budget/);
    const [request] = JSON.parse(await shipped.run(['approvals', '--json']));
    expect(request).toMatchObject({ kind: 'budget', project: 'demo' });
    await shipped.run(['approve', request.id, '--yes']);
    const done = ok(await client.call('task_status', { task, wait_s: 45 }));
    expect({ ...done, output: await outputOf(task) }).toMatchObject({
      state: 'completed',
      output: expect.stringContaining('went on'),
    });
    expect(JSON.parse(await shipped.run(['approvals', '--json']))).toEqual([]);
    await writeFile(file, before);
    await client.call('delete_task', { task });
  });
});

describe('a login inside a task', () => {
  it('is found by its end and by doctor, which follow no link, wait at no pipe and open no device (V12)', async () => {
    const outside = path.join(shipped.host.directory, 'outside');
    await mkdir(outside);
    await writeFile(path.join(outside, 'auth.json'), `{"key":"${KEY}"}`);
    const other = await run(['say hello']);
    const { task, state } = await run([
      `run echo '{"api_key":"${PLANTED}"}' > /home/dev/.scripted/auth.json`,
      `run echo 'remember ${KEY}' > /workspace/notes.txt`,
      'run mkfifo /workspace/pipe /home/dev/.scripted/pipe',
      'run ln -s /etc/shadow /workspace/shadow; ln -s /etc/shadow /home/dev/.scripted/shadow',
      `run ln -s ${outside} /workspace/outside; ln -s ${outside} /home/dev/.scripted/outside`,
      `run ln -s ${directoryOf(other.task)} /workspace/other; ln -s / /workspace/root`,
      'run mkdir -p /workspace/.scripted && ln -s pipe /workspace/.scripted/auth.json && mkfifo /workspace/.scripted/pipe',
    ]);
    expect(state).toBe('completed');
    const found = foundIn(task);
    expect(found).toContainEqual(expect.stringContaining('"file":".scripted/auth.json"'));
    expect(found.join('')).not.toMatch(/sk-real|sk-planted|shadow|outside/);
    expect(ok(await client.call('task_status', { task }))['warning']).toMatch(/terok-mcp auth scripted/);
    const started = Date.now();
    const findings = await said(['doctor']);
    expect(Date.now() - started).toBeLessThan(30_000);
    const line = findings.split('\n').find((one) => one.includes('vault.leaks')) ?? '';
    expect(line).toContain('.scripted/auth.json');
    expect(line).toContain('workspace-dangerous/notes.txt');
    expect(line).not.toMatch(/outside|shadow|sk-real|sk-planted/);
    await client.call('delete_task', { task });
    await client.call('delete_task', { task: other.task });
    expect((await said(['doctor'])).split('\n').find((one) => one.includes('vault.leaks'))).toMatch(
      /no credential/,
    );
  });
});

describe('the tools of a client', () => {
  it('list what is there without a value, and end the tokens of a task', async () => {
    const listed = await client.call('list_credentials');
    expect(ok(listed)).toMatchObject({
      vault: 'unlocked',
      credentials: [{ provider: 'scripted', set: 'default', kind: 'api_key' }],
    });
    expect(listed.text).not.toContain(KEY);
    const { task } = await run(
      ['run until [ -e go ]; do sleep 0.2; done', `run ${ASK} "$SCRIPTED_URL/late"`],
      { wait_s: 0 },
    );
    await client.call('task_status', { task, wait_s: 1 });
    expect(ok(await client.call('revoke_credentials', { task }))).toMatchObject({ revoked: 1 });
    await writeFile(path.join(directoryOf(task), 'workspace-dangerous/go'), '');
    await client.call('task_status', { task, wait_s: 45 });
    expect(await outputOf(task)).toMatch(/ 401/);
    expect(upstream.seen).toEqual([]);
    await client.call('delete_task', { task });
  });
});

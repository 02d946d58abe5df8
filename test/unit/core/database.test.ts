import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/runtime/core/clock.ts';
import { acquireProcessLock, openDatabase } from '../../../src/runtime/core/database.ts';
import { describeStorageFailure } from '../../../src/runtime/core/errors.ts';
import { TaskId } from '../../../src/runtime/core/ids.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { TaskStore } from '../../../src/runtime/tasks/task-store.ts';
import { EMPTY_SUMMARY } from '../../../src/runtime/transcript/contract.ts';
import { TokenStore } from '../../../src/runtime/vault/tokens/token-store.ts';
import { STATE_VERSION_1 } from '../../support/state-version-1.ts';
import { STATE_VERSION_2 } from '../../support/state-version-2.ts';
import { STATE_VERSION_3 } from '../../support/state-version-3.ts';

const directory = mkdtempSync('/tmp/tk-db-');
afterAll(() => rmSync(directory, { recursive: true }));

const newOfTasks = { log_offset: 0, web_port: null, web_token_hash: null, before_restart: null };
const newOfRuns = { session: null, ended_at: null, exit_code: null, failure: null, summary: null };

describe('the state database', () => {
  it('is made, private, and opens again', () => {
    const file = path.join(directory, 'new.db');
    openDatabase(file).close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = openDatabase(file);
    expect(again.pragma('journal_mode', { simple: true })).toBe('wal');
    again.close();
  });

  it('of the first release keeps all it holds, however often its migration is cut short', () => {
    const file = path.join(directory, 'version-1.db');
    const old = new Database(file);
    old.pragma('journal_mode = WAL');
    old.exec(STATE_VERSION_1);
    old.exec(`
      INSERT INTO tasks VALUES
        ('k3f9a', 'demo', 'a', 'headless', 'scripted', 0, 'running', 'demo-run-k3f9a', 'main', NULL, NULL, 'T1', 'T2', NULL),
        ('k3f9b', 'demo', 'b', 'interactive', 'scripted', 1, 'failed', 'demo-cli-k3f9b', 'main', 3, 'why', 'T1', 'T2', 'T3');
      INSERT INTO runs VALUES (7, 'k3f9a', 'do it', 'T1');
      INSERT INTO events VALUES (41, 'T1', 'demo', 'k3f9a', 'client', 'task.requested', '{}');
      INSERT INTO gate_tokens VALUES ('k3f9a', x'00ff');
      INSERT INTO egress_rules VALUES ('k3f9a', '192.0.2.1', 443, 'tcp');
      INSERT INTO approvals VALUES ('a1', 'promote', 'demo', 's', 'x', 'pending', 'client', 'T1', 'T9', NULL, NULL, NULL);`);
    const tables = ['tasks', 'runs', 'events', 'gate_tokens', 'egress_rules', 'approvals'];
    const rows = (database: Database.Database) =>
      tables.map((table) => database.prepare(`SELECT * FROM ${table}`).all());
    const before = rows(old);
    old.pragma('user_version = 1');
    // A crash within the migration: nothing of it is there.
    old.exec("BEGIN; ALTER TABLE tasks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}'; ROLLBACK");
    old.close();
    const migrated = openDatabase(file);
    const [tasks, ...others] = rows(migrated);
    const ofTasks = { settings: '{}', session: null, image: null, ...newOfTasks };
    expect(tasks).toEqual(before[0]?.map((row) => ({ ...Object(row), ...ofTasks })));
    expect(others).toEqual([before[1]?.map((row) => ({ ...Object(row), ...newOfRuns })), ...before.slice(2)]);
    expect(migrated.pragma('user_version', { simple: true })).toBe(4);
    expect(migrated.pragma('foreign_key_check')).toEqual([]);
    const store = new TaskStore({ database: migrated });
    expect(store.list().map(({ id, state, exitCode }) => [id, state, exitCode])).toEqual([
      ['k3f9a', 'running', undefined],
      ['k3f9b', 'failed', 3],
    ]);
    const [task] = store.list();
    if (task === undefined) throw new Error('none');
    expect(store.origin(task.id)).toEqual({
      settings: {},
      session: undefined,
      image: undefined,
      logOffset: 0,
    });
    store.remove(task.id);
    expect(migrated.prepare('SELECT count(*) AS n FROM runs').get()).toEqual({ n: 0 });
    migrated.close();
    openDatabase(file).close();
  });

  it('of the release before runs had outcomes keeps its runs, which tell nothing, and can start its tasks again', () => {
    const file = path.join(directory, 'version-2.db');
    const old = new Database(file);
    old.exec(STATE_VERSION_2);
    old.exec(`
      INSERT INTO tasks VALUES
        ('k3f9a', 'demo', 'a', 'headless', 'claude', 0, 'completed', 'demo-run-k3f9a', 'main', 0, NULL, 'T1', 'T2', 'T3',
         '{"model":"big","timeoutS":60}', '0d0e', 'demo:l2-cli');
      INSERT INTO runs VALUES (7, 'k3f9a', 'do it', 'T1');
      INSERT INTO gate_tokens VALUES ('k3f9a', x'00ff');`);
    old.pragma('user_version = 2');
    old.close();
    const migrated = openDatabase(file);
    const store = new TaskStore({ database: migrated });
    const [task] = store.list();
    if (task === undefined) throw new Error('none');
    expect(task).toMatchObject({ state: 'completed', exitCode: 0, webPort: undefined });
    expect(store.origin(task.id)).toEqual({
      settings: { model: 'big', timeoutS: 60 },
      session: '0d0e',
      image: 'demo:l2-cli',
      logOffset: 0,
    });
    expect(store.runs.last(task.id)).toMatchObject({
      number: 1,
      prompt: 'do it',
      endedAt: undefined,
      summary: EMPTY_SUMMARY,
    });
    // Its container's home went with it: nothing says that the conversation is still there.
    expect(store.runs.hasTold(task.id, '0d0e')).toBe(false);
    expect(migrated.pragma('foreign_key_check')).toEqual([]);
    migrated.close();
  });

  it('of the release before the vault keeps its tasks, which have no tokens and have spent nothing', () => {
    const file = path.join(directory, 'version-3.db');
    const old = new Database(file);
    old.exec(STATE_VERSION_3);
    old.exec(`
      INSERT INTO tasks VALUES
        ('k3f9a', 'demo', 'a', 'headless', 'claude', 0, 'running', 'demo-run-k3f9a', 'main', NULL, NULL, 'T1', 'T2', NULL,
         '{"model":"big"}', '0d0e', 'demo:l2-cli', 17, 8080, x'00ff', NULL);
      INSERT INTO runs VALUES (7, 'k3f9a', 'do it', 'T1', '0d0e', NULL, NULL, NULL, NULL);
      INSERT INTO events VALUES (41, 'T1', 'demo', 'k3f9a', 'client', 'task.requested', '{}');
      INSERT INTO gate_tokens VALUES ('k3f9a', x'00ff');
      INSERT INTO egress_rules VALUES ('k3f9a', '192.0.2.1', 443, 'tcp');
      INSERT INTO approvals VALUES ('a1', 'promotion', 'demo', 's', 'x', 'pending', 'client', 'T1', 'T9', NULL, NULL, NULL);
      INSERT INTO repositories VALUES ('x-1', 'https://git.example/x.git', 'T1');`);
    const tables = ['tasks', 'runs', 'events', 'gate_tokens', 'egress_rules', 'approvals', 'repositories'];
    const rows = (database: Database.Database) =>
      tables.map((table) => database.prepare(`SELECT * FROM ${table}`).all());
    const before = rows(old);
    old.pragma('user_version = 3');
    // A crash within the migration: nothing of it is there.
    old.exec('BEGIN; CREATE TABLE budget_extensions (x); ROLLBACK');
    old.close();
    const migrated = openDatabase(file);
    expect(rows(migrated)).toEqual(before);
    expect(migrated.pragma('user_version', { simple: true })).toBe(4);
    expect(migrated.pragma('foreign_key_check')).toEqual([]);
    const tokens = new TokenStore({ database: migrated, clock: systemClock });
    const task = TaskId.parse('k3f9a');
    expect(tokens.check(task, 'any')).toEqual({ kind: 'unknown' });
    const token = new Secret('t');
    tokens.grant(
      task,
      [{ provider: 'claude', set: 'default', kind: 'api_key', token }],
      new Date(Date.now() + 60_000),
    );
    expect(tokens.check(task, 't')).toEqual({ kind: 'valid', provider: 'claude', set: 'default' });
    new TaskStore({ database: migrated }).remove(task);
    expect(migrated.prepare('SELECT count(*) AS n FROM phantom_tokens').get()).toEqual({ n: 0 });
    migrated.close();
    // As new ones are made: a migrated one has the same tables.
    const fresh = openDatabase(path.join(directory, 'fresh.db'));
    const again = openDatabase(file);
    const schema = 'SELECT name, type FROM sqlite_schema ORDER BY name';
    expect(again.prepare(schema).all()).toEqual(fresh.prepare(schema).all());
    again.close();
    fresh.close();
  });

  it('of a newer release is refused and left as it is', () => {
    const file = path.join(directory, 'newer.db');
    const newer = new Database(file);
    newer.pragma('user_version = 999');
    newer.close();
    const before = readFileSync(file);
    expect(() => openDatabase(file)).toThrow(/newer terok-mcp/);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('that cannot grow is a full disk, not a defect', () => {
    const database = openDatabase(path.join(directory, 'full.db'));
    database.pragma(`max_page_count = ${database.pragma('page_count', { simple: true })}`);
    const fill = () => {
      for (;;)
        database.exec(
          `INSERT INTO events (at, actor, kind, data) VALUES ('', '', '', '${'x'.repeat(4000)}')`,
        );
    };
    const failure = catchError(fill);
    expect(describeStorageFailure(failure)).toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: 'The disk is full, or cannot be written',
      hint: expect.stringContaining('Free some space'),
    });
    expect(describeStorageFailure(new Error('other'))).toBeUndefined();
    database.close();
  });

  it('that is no database is one clear error', () => {
    const file = path.join(directory, 'garbage.db');
    writeFileSync(file, 'x'.repeat(10_000));
    expect(() => openDatabase(file)).toThrow(`${file} cannot be opened`);
  });
});

describe('the process lock', () => {
  it('is held by one process at a time and dies with it', () => {
    const file = path.join(directory, 'daemon.lock');
    const lock = acquireProcessLock(file);
    expect(tryInOtherProcess(file)).toBe('busy');
    lock.release();
    expect(tryInOtherProcess(file)).toBe('taken');
    // The other process ended by SIGKILL while it held the lock.
    acquireProcessLock(file).release();
  });
});

function catchError(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

function tryInOtherProcess(file: string): string {
  const script = `
    const Database = require('better-sqlite3');
    const database = new Database(${JSON.stringify(file)}, { timeout: 0 });
    try { database.exec('BEGIN EXCLUSIVE'); process.stdout.write('taken', () => process.kill(process.pid, 'SIGKILL')); }
    catch { process.stdout.write('busy'); }`;
  return spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout;
}

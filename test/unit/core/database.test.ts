import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';
import { acquireProcessLock, openDatabase } from '../../../src/runtime/core/database.ts';
import { describeStorageFailure } from '../../../src/runtime/core/errors.ts';

const directory = mkdtempSync('/tmp/tk-db-');
afterAll(() => rmSync(directory, { recursive: true }));

describe('the state database', () => {
  it('is made, private, and opens again', () => {
    const file = path.join(directory, 'new.db');
    openDatabase(file).close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = openDatabase(file);
    expect(again.pragma('journal_mode', { simple: true })).toBe('wal');
    again.close();
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

import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../src/runtime/core/clock.ts';
import { openDatabase, type StateDatabase } from '../../src/runtime/core/database.ts';
import { DatabaseEventLog } from '../../src/runtime/core/event-log.ts';

/** A clock that stands until it is told to go on. */
export class ManualClock implements Clock {
  #now = Date.parse('2030-01-01T00:00:00.000Z');

  now(): Date {
    return new Date(this.#now);
  }

  advance(durationMs: number): void {
    this.#now += durationMs;
  }

  async sleep(durationMs: number): Promise<void> {
    this.advance(durationMs);
  }
}

export interface TestState extends Disposable {
  readonly file: string;
  readonly database: StateDatabase;
  readonly clock: ManualClock;
  readonly events: DatabaseEventLog;
}

/** A state database (a new one, unless a file is given), its event log, and a clock to turn. */
export function testState(existing?: string): TestState {
  const file = existing ?? path.join(mkdtempSync('/tmp/ts-'), 'state.db');
  const database = openDatabase(file);
  const clock = new ManualClock();
  return {
    file,
    database,
    clock,
    events: new DatabaseEventLog({ database, clock }),
    [Symbol.dispose]: () => {
      database.close();
      rmSync(path.dirname(file), { recursive: true, force: true });
    },
  };
}

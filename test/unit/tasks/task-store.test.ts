import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, type StateDatabase } from '../../../src/runtime/core/database.ts';
import { TaskStore } from '../../../src/runtime/tasks/task-store.ts';
import { exampleTask } from '../../support/example-spec.ts';

let directory: string;
let database: StateDatabase;
let store: TaskStore;
beforeEach(() => {
  directory = mkdtempSync('/tmp/tk-store-');
  database = openDatabase(path.join(directory, 'state.db'));
  store = new TaskStore({ database });
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

const task = exampleTask();
const insert = (change: Partial<Parameters<TaskStore['insert']>[0]> = {}): void =>
  store.insert({
    task,
    prompt: 'say hello',
    tokenHash: new Uint8Array(32),
    settings: {},
    session: undefined,
    ...change,
  });

describe('what a task was made of', () => {
  it('is kept: settings as they were said, the conversation and, once it is known, the image', () => {
    const settings = {
      preset: 'careful',
      model: 'big',
      maxTurns: 3,
      timeoutS: 60,
      instructions: 'Be\nbrief.',
      subagents: ['reviewer'],
      restricted: true,
    };
    insert({ settings, session: '0d0e' });
    expect(store.origin(task.id)).toEqual({ settings, session: '0d0e', image: undefined });
    expect(store.update(task.id, { image: 'demo:l2-cli' })).not.toHaveProperty('image');
    expect(store.origin(task.id)?.image).toBe('demo:l2-cli');
  });

  it('is nothing for a task about which nothing was said, and for one that is not there', () => {
    insert();
    expect(store.origin(task.id)).toEqual({ settings: {}, session: undefined, image: undefined });
    store.remove(task.id);
    expect(store.origin(task.id)).toBeUndefined();
  });

  it('is nothing for a task of the release before, which goes on as it was', () => {
    const file = path.join(directory, 'older.db');
    openDatabase(file).close();
    const older = openDatabase(file);
    for (const column of ['settings', 'session', 'image'])
      older.exec(`ALTER TABLE tasks DROP COLUMN ${column}`);
    older.exec(
      `INSERT INTO tasks (id, project, name, mode, agent, restricted, state, container, base_branch, created_at)
       VALUES ('k3f9a', 'demo', 'n', 'headless', 'scripted', 0, 'running', 'c', 'main', '2026-01-02T03:04:05.000Z')`,
    );
    older.pragma('user_version = 1');
    older.close();
    const migrated = openDatabase(file);
    const tasks = new TaskStore({ database: migrated });
    expect(tasks.list()).toHaveLength(1);
    expect(tasks.origin(task.id)).toEqual({ settings: {}, session: undefined, image: undefined });
    migrated.close();
  });
});

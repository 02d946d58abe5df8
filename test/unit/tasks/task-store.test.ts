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
});

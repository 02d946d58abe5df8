import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, type StateDatabase } from '../../../src/runtime/core/database.ts';
import { TaskId } from '../../../src/runtime/core/ids.ts';
import { TaskStore } from '../../../src/runtime/tasks/task-store.ts';
import { EMPTY_SUMMARY } from '../../../src/runtime/transcript/contract.ts';
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
    run: { prompt: 'say hello' },
    webTokenHash: undefined,
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
      branch: 'work',
      gate: false,
      gpus: true,
      agent: 'claude',
      web: { port: 20_000, publicUrl: 'https://x.example' },
      toolArgs: ['review', '--all'],
    };
    insert({ settings, session: '0d0e' });
    expect(store.origin(task.id)).toEqual({ settings, session: '0d0e', image: undefined, logOffset: 0 });
    expect(store.update(task.id, { image: 'demo:l2-cli' })).not.toHaveProperty('image');
    expect(store.origin(task.id)?.image).toBe('demo:l2-cli');
  });

  it('is nothing for a task about which nothing was said, and for one that is not there', () => {
    insert();
    expect(store.origin(task.id)).toEqual({
      settings: {},
      session: undefined,
      image: undefined,
      logOffset: 0,
    });
    store.remove(task.id);
    expect(store.origin(task.id)).toBeUndefined();
  });
});

describe('a run', () => {
  const summary = { ...EMPTY_SUMMARY, events: 2, session: 'later', toolCalls: 1 };
  const end = { endedAt: 'T2', exitCode: 0, failure: undefined, session: 'later', summary };

  it('is numbered within its task, and ends together with it', () => {
    insert();
    store.insert({
      task: exampleTask({ id: TaskId.parse('k3f9b') }),
      run: { prompt: 'another' },
      tokenHash: new Uint8Array(32),
      webTokenHash: undefined,
      settings: {},
      session: 's1',
    });
    const run = store.runs.last(task.id);
    expect(run).toMatchObject({ number: 1, prompt: 'say hello', session: undefined, summary: EMPTY_SUMMARY });
    if (run === undefined) throw new Error('none');
    expect(store.runs.hasTold(task.id, 'later')).toBe(false);
    store.end(task.id, { state: 'completed', exitCode: 0 }, { id: run.id, ...end });
    expect(store.get(task.id)).toMatchObject({ state: 'completed', exitCode: 0 });
    expect(store.runs.last(task.id)).toMatchObject({ ...end, number: 1 });
    expect(store.runs.hasTold(task.id, 'later')).toBe(true);
    expect(store.runs.last(TaskId.parse('k3f9b'))).toMatchObject({ session: 's1', endedAt: undefined });
  });

  it('whose summary this release does not understand tells nothing', () => {
    insert();
    database.prepare('UPDATE runs SET summary = \'{"events":"many"}\'').run();
    expect(store.runs.last(task.id)?.summary).toEqual(EMPTY_SUMMARY);
  });
});

describe('a task that starts again', () => {
  const restart = {
    id: task.id,
    at: 'T5',
    restricted: true,
    settings: { model: 'small' },
    session: 's2',
    run: { prompt: 'more' },
    tokenHash: new Uint8Array(32).fill(1),
    webTokenHash: new Uint8Array(32).fill(2),
    webPort: 20_001,
    logOffset: 512,
  };
  const ended = () => {
    insert({ settings: { model: 'big' }, session: 's1' });
    const run = store.runs.last(task.id);
    if (run === undefined) throw new Error('none');
    store.end(
      task.id,
      { state: 'failed', exitCode: 3, failure: 'why', startedAt: 'T1', finishedAt: 'T2', image: 'i' },
      {
        id: run.id,
        endedAt: 'T2',
        exitCode: 3,
        failure: 'why',
        session: undefined,
        summary: EMPTY_SUMMARY,
      },
    );
    return { before: store.get(task.id), origin: store.origin(task.id) };
  };

  it('shows nothing of how it ended, and its old tokens open nothing', () => {
    ended();
    expect(store.beginRestart(restart)).toMatchObject({
      state: 'restarting',
      exitCode: undefined,
      failure: undefined,
      finishedAt: undefined,
      startedAt: 'T5',
      restricted: true,
      webPort: 20_001,
    });
    expect(store.origin(task.id)).toMatchObject({
      settings: { model: 'small' },
      session: 's2',
      logOffset: 512,
    });
    expect(store.tokenHash(task.id)).toEqual(Buffer.alloc(32, 1));
    expect(store.webTokenHash(task.id)).toEqual(Buffer.alloc(32, 2));
    expect(store.runs.last(task.id)).toMatchObject({ number: 2, prompt: 'more', session: 's2' });
    expect(store.commitRestart(task.id).state).toBe('starting');
    expect(() => store.abandonRestart(task.id)).toThrow('not being restarted');
  });

  it('and cannot is what it was, without a trace of the attempt', () => {
    const { before, origin } = ended();
    store.beginRestart(restart);
    expect(store.abandonRestart(task.id)).toEqual(before);
    expect(store.origin(task.id)).toEqual(origin);
    expect(store.runs.last(task.id)).toMatchObject({ number: 1, failure: 'why' });
  });

  it('and was cut off is what it was, and its run says so', () => {
    const { before } = ended();
    store.beginRestart(restart);
    expect(store.abandonRestart(task.id, { at: 'T6', failure: 'it was cut off' })).toEqual(before);
    expect(store.runs.last(task.id)).toMatchObject({
      number: 2,
      failure: 'it was cut off',
      endedAt: 'T6',
      exitCode: undefined,
    });
  });
});

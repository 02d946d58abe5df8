import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findReadyMarker } from '../../../src/runtime/tasks/task-log-loader.ts';

const directory = mkdtempSync('/tmp/tk-log-');
afterAll(() => rmSync(directory, { recursive: true }));
const time = '2026-01-02T03:04:05.678901234+00:00';
const entry = (text: string) => `${time} stdout F ${text}\n`;
const file = (name: string, content: string): string => {
  const name_ = path.join(directory, name);
  writeFileSync(name_, content);
  return name_;
};

describe('the ready marker', () => {
  it('is found across reads, and only as a line of its own', async () => {
    const log = file('ready', entry('cloning'));
    const first = await findReadyMarker(log, 0);
    expect(first.isReady).toBe(false);
    appendFileSync(log, `${time} stdout F >> init`);
    const second = await findReadyMarker(log, first.offset);
    expect(second.isReady).toBe(false);
    appendFileSync(log, ' complete\n');
    expect((await findReadyMarker(log, second.offset)).isReady).toBe(true);
  });

  it.each([
    ['behind other words', 'stdout F x F >> init complete'],
    ['with more behind it', 'stdout F >> init completed'],
    ['on the error stream', 'stderr F >> init complete'],
    ['as a part of a line', 'stdout P >> init complete'],
  ])('is not believed %s', async (name, line) => {
    expect((await findReadyMarker(file(name, `${time} ${line}\n`), 0)).isReady).toBe(false);
  });

  it('of a terminal is like any other', async () => {
    expect((await findReadyMarker(file('terminal', entry('>> init complete\r')), 0)).isReady).toBe(true);
  });

  it('is found in a log that was rotated since the start was written down', async () => {
    expect((await findReadyMarker(file('rotated', entry('>> init complete')), 1_000_000)).isReady).toBe(true);
  });
});

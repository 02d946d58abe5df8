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
});

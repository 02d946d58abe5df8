import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type ProgressNotice, ProgressReporter } from '../../../src/server/mcp/progress-reporter.ts';

function collect(pace: { readonly heartbeatMs?: number; readonly minGapMs?: number }) {
  const notices: ProgressNotice[] = [];
  const send = async (notice: ProgressNotice) => void notices.push(notice);
  return { notices, reporter: new ProgressReporter({ tool: 'build_images', send, pace }) };
}

test('the value rises strictly, however fast it is said', async () => {
  const { notices, reporter } = collect({ minGapMs: 0 });
  for (let index = 0; index < 50; index++) {
    reporter.say(`line ${index}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await reporter.stop();
  expect(notices.length).toBeGreaterThan(20);
  for (const [index, { progress }] of notices.entries())
    expect(progress).toBeGreaterThan(notices[index - 1]?.progress ?? 0);
});

test('a flood costs a few notices, in order, and its last line arrives', async () => {
  const { notices, reporter } = collect({ minGapMs: 20 });
  for (let index = 0; index < 10_000; index++) reporter.say(`line ${index}`);
  await expect.poll(() => notices.at(-1)?.message).toBe('line 9999');
  await reporter.stop();
  expect(notices.map(({ message }) => message)).toEqual(['line 0', 'line 9999']);
});

test('a client that does not read gets no queue: the latest waits alone', async () => {
  const notices: ProgressNotice[] = [];
  let release: () => void = () => undefined;
  const send = async (notice: ProgressNotice) => {
    notices.push(notice);
    await new Promise<void>((resolve) => {
      release = resolve;
    });
  };
  const reporter = new ProgressReporter({ tool: 'x', send, pace: { heartbeatMs: 5, minGapMs: 0 } });
  for (let index = 0; index < 100; index++) reporter.say(`line ${index}`);
  await delay(50);
  expect(notices.map(({ message }) => message)).toEqual(['line 0']);
  release();
  await expect.poll(() => notices.at(1)?.message).toBe('line 99');
  release();
  await reporter.stop();
});

test('hostile text is cleaned and cut', async () => {
  const { notices, reporter } = collect({ minGapMs: 0 });
  reporter.say(`\u001b]0;owned\u0007\u001b[31mred\u202e\r\n${'x'.repeat(100_000)}`);
  await reporter.stop();
  const [{ message = '' } = {}] = notices;
  expect(message.startsWith('red\\u{202e}\\nxxx')).toBe(true);
  expect(message.length).toBeLessThan(250);
});

test('silence is filled with a heartbeat that repeats what was said last', async () => {
  const { notices, reporter } = collect({ heartbeatMs: 10, minGapMs: 0 });
  await expect.poll(() => notices[0]?.message).toMatch(/^build_images: still working after \d+ s$/);
  reporter.say('STEP 3');
  await expect.poll(() => notices.at(-1)?.message).toMatch(/still working after \d+ s; last: STEP 3$/);
  await reporter.stop();
});

test('after the end nothing is sent', async () => {
  const { notices, reporter } = collect({ heartbeatMs: 5, minGapMs: 0 });
  await reporter.stop();
  reporter.say('late');
  await delay(30);
  expect(notices).toEqual([]);
});

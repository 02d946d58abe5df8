import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { CommandError } from '../../../src/runtime/core/errors.ts';
import type { BuildRequest } from '../../../src/runtime/images/contract.ts';
import { DockerSettings } from '../../../src/runtime/images/contract.ts';
import { ImageJobs } from '../../../src/runtime/images/image-jobs.ts';
import { FakeImages } from '../../support/fake-images.ts';

const request: BuildRequest = {
  project: undefined,
  docker: DockerSettings.parse({}),
  scope: 'project',
  dev: false,
  sidecar: false,
};
const kept = { waitMs: 0, outlivesCaller: true } as const;
const silent = () => undefined;

let images: FakeImages;
let jobs: ImageJobs;
let nowMs: number;

beforeEach(() => {
  images = new FakeImages();
  images.isInstant = false;
  nowMs = 0;
  jobs = new ImageJobs({ images, monotonicMs: () => nowMs });
});

test('who asks for the same joins, and hears where it stands', async () => {
  expect(await jobs.join(request, kept, silent)).toEqual({
    state: 'building',
    elapsedMs: 0,
    lastLine: undefined,
  });
  images.report('STEP 1');
  nowMs = 1500;
  const heard: string[] = [];
  const joined = jobs.join(request, { outlivesCaller: false }, (line) => heard.push(line));
  images.report('STEP 2');
  expect(await jobs.join(request, kept, silent)).toMatchObject({ elapsedMs: 1500, lastLine: 'STEP 2' });
  images.finish();
  expect(await joined).toMatchObject({ state: 'built' });
  expect(heard).toEqual(['STEP 1', 'STEP 2']);
  expect(images.builds).toHaveLength(1);
});

test('other arguments are another build', async () => {
  await jobs.join(request, kept, silent);
  await jobs.join({ ...request, scope: 'full' }, kept, silent);
  await jobs.join({ ...request, docker: DockerSettings.parse({ base_image: 'debian:12' }) }, kept, silent);
  expect(images.builds).toHaveLength(3);
  expect(jobs.activeCount()).toBe(3);
  await jobs[Symbol.asyncDispose]();
});

test('a success that nobody waited for is answered once, then a call builds anew', async () => {
  await jobs.join(request, kept, silent);
  images.finish();
  await expect.poll(() => jobs.activeCount()).toBe(0);
  expect(await jobs.join(request, kept, silent)).toMatchObject({ state: 'built' });
  expect(await jobs.join(request, kept, silent)).toMatchObject({ state: 'building' });
  expect(images.builds).toHaveLength(2);
});

test('a failure is thrown once, as the error it was', async () => {
  const failure = new CommandError('The image layer terok-l0:test could not be built');
  await jobs.join(request, kept, silent);
  images.fail(failure);
  await expect.poll(() => jobs.activeCount()).toBe(0);
  await expect(jobs.join(request, kept, silent)).rejects.toBe(failure);
  expect(await jobs.join(request, kept, silent)).toMatchObject({ state: 'building' });
});

test('all who wait see the failure, and nobody after them', async () => {
  const failure = new CommandError('no');
  const waiting = [1, 2].map(() => jobs.join(request, { waitMs: 5000, outlivesCaller: true }, silent));
  await expect.poll(() => images.runningCount).toBe(1);
  images.fail(failure);
  for (const { reason } of (await Promise.allSettled(waiting)).filter((one) => one.status === 'rejected'))
    expect(reason).toBe(failure);
  expect(await jobs.join(request, kept, silent)).toMatchObject({ state: 'building' });
});

test('an outcome that nobody asked for is forgotten after a quarter of an hour', async () => {
  await jobs.join(request, kept, silent);
  images.finish();
  await expect.poll(() => jobs.activeCount()).toBe(0);
  nowMs = 16 * 60_000;
  expect(await jobs.join(request, kept, silent)).toMatchObject({ state: 'building' });
});

test('a caller that leaves cancels a build only when nobody else wants it', async () => {
  const leave = new AbortController();
  const person = jobs.join(request, { outlivesCaller: false }, silent, leave.signal);
  const other = new AbortController();
  const second = jobs.join(request, { outlivesCaller: false }, silent, other.signal);
  await expect.poll(() => images.runningCount).toBe(1);
  leave.abort();
  await expect(person).rejects.toMatchObject({ code: 'CANCELLED' });
  await delay(10);
  expect(images.runningCount).toBe(1);
  other.abort();
  await expect(second).rejects.toMatchObject({ code: 'CANCELLED' });
  await expect.poll(() => images.runningCount).toBe(0);
});

test('a build that is to outlive its callers does, and one that is given up is not joined', async () => {
  const leave = new AbortController();
  const left = jobs.join(request, { waitMs: 5000, outlivesCaller: true }, silent, leave.signal);
  await expect.poll(() => images.runningCount).toBe(1);
  leave.abort();
  await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(images.runningCount).toBe(1);
  const person = new AbortController();
  const dev = { ...request, dev: true };
  const given = jobs.join(dev, { outlivesCaller: false }, silent, person.signal);
  await expect.poll(() => images.runningCount).toBe(2);
  person.abort();
  await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(await jobs.join(dev, kept, silent)).toMatchObject({ state: 'building' });
  expect(images.builds).toHaveLength(3);
});

test('the end of the daemon cancels what runs and takes no more', async () => {
  await jobs.join(request, kept, silent);
  const waiting = jobs.join(request, { outlivesCaller: true }, silent);
  const ended = expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  await jobs[Symbol.asyncDispose]();
  await ended;
  expect([images.runningCount, jobs.activeCount()]).toEqual([0, 0]);
  await expect(jobs.join(request, kept, silent)).rejects.toMatchObject({ code: 'CANCELLED' });
});

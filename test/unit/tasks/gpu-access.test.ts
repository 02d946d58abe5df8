import { expect, it } from 'vitest';
import { assertUsable } from '../../../src/runtime/tasks/gpu-access.ts';

const gpu = (keepGroups: boolean) => ({
  devices: { cdi: [], nodes: ['/dev/dri/renderD128'], keepGroups },
  environment: {},
});

it('refuses a GPU of a group to a runtime that would leave the group behind', () => {
  expect(() => assertUsable(gpu(true), { ociRuntime: 'runc' })).toThrow(
    '/dev/dri/renderD128 belong to a group, and runc cannot',
  );
  expect(() => assertUsable(gpu(true), { ociRuntime: 'crun' })).not.toThrow();
  expect(() => assertUsable(gpu(false), { ociRuntime: 'runc' })).not.toThrow();
});

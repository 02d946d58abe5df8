import { describe, expect, it } from 'vitest';
import { type ImageState, LABEL } from '../../../src/runtime/engine/contract.ts';
import { describeImages, removable } from '../../../src/runtime/images/image-records.ts';

let clock = 0;
function image(
  id: string,
  parentId: string | undefined,
  tag: string | undefined,
  labels: object,
): ImageState {
  clock += 1;
  return {
    id,
    tags: tag === undefined ? [] : [tag],
    labels: { [LABEL.content]: 'x', ...labels },
    sizeBytes: 1,
    createdAt: new Date(clock * 1000).toISOString(),
    parentId,
  };
}
const UBUNTU = 'docker.io/library/ubuntu:24.04';
const of = (layer: string, project?: string, base = UBUNTU) => ({
  [LABEL.layer]: layer,
  [LABEL.base]: base,
  ...(project === undefined ? {} : { [LABEL.project]: project, [LABEL.instance]: 'here' }),
});

const l0 = image('l0', 'ubuntu', 'localhost/terok-l0:ubuntu-24.04', of('l0'));
const step = image('step', 'l0', undefined, of('l0'));
const l1 = image('l1', 'step', 'localhost/terok-l1-cli:ubuntu-24.04', of('l1'));
const l2 = image('l2', 'l1', 'localhost/demo:l2-cli', of('l2', 'demo'));
const chain = [l0, step, l1, l2];
const context = { instance: 'here', projects: ['demo'], bases: new Set([UBUNTU]) };
const states = (images: readonly ImageState[], more: Partial<typeof context> = {}) =>
  Object.fromEntries(describeImages(images, { ...context, ...more }).map(({ id, state }) => [id, state]));

describe('images of ours', () => {
  it('in use are the chain of a project, and steps of builds are no images', () => {
    expect(states(chain)).toEqual({ l0: 'used', l1: 'used', l2: 'used' });
  });

  it('dangle when a newer one took their tag, unless an image that is used stands on them', () => {
    const old = image('old', 'step', undefined, of('l1'));
    const kept = image('kept', 'step', undefined, of('l1'));
    const onKept = image('on-kept', 'kept', 'localhost/demo:l2-dev', of('dev', 'demo'));
    expect(states([...chain, old, kept, onKept])).toEqual({
      l0: 'used',
      l1: 'used',
      l2: 'used',
      old: 'dangling',
      'on-kept': 'used',
    });
  });

  it('of a project that is gone are orphaned, and what others share is not', () => {
    expect(states(chain, { projects: [] })).toEqual({ l0: 'used', l1: 'used', l2: 'orphaned' });
  });

  it('of a project of another instance on the same store are not ours to judge', () => {
    expect(states(chain, { projects: [], instance: 'elsewhere' })).toMatchObject({ l2: 'used' });
  });

  it('whose base is gone are orphaned, but not while an image that is used stands on them', () => {
    expect(states(chain, { bases: new Set() })).toEqual({ l0: 'used', l1: 'used', l2: 'used' });
    expect(states(chain, { bases: new Set(), projects: [] })).toEqual({
      l0: 'orphaned',
      l1: 'orphaned',
      l2: 'orphaned',
    });
    const records = describeImages(chain, { ...context, bases: new Set(), projects: [] });
    expect(removable(records).map(({ id }) => id)).toEqual(['l2', 'l1', 'l0']);
  });

  it("are never a person's own, though labels are handed down; and theirs keeps what it stands on", () => {
    const own = image('own', 'l1', 'localhost/mine:latest', of('l1'));
    const ownAlso = image('own-also', 'l1', 'localhost/mine:l2-cli', of('l1'));
    expect(states([l0, step, l1, own, ownAlso], { bases: new Set() })).toEqual({ l0: 'used', l1: 'used' });
  });

  it('of earlier releases are known by their names', () => {
    const old = image('old', undefined, 'localhost/terok-l1-cli:debian-trixie', {});
    const foreign = image('foreign', undefined, 'docker.io/library/x:1', {});
    expect(describeImages([old, foreign], context)).toMatchObject([
      { id: 'old', layer: 'l1', state: 'used' },
    ]);
  });
});

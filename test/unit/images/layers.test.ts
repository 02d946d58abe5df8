import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { bundledPrograms, planLayers, render } from '../../../src/runtime/images/dockerfile.ts';
import { loadLayerSources } from '../../../src/runtime/images/layer-loader.ts';
import { baseTag, contentHash, layerTags } from '../../../src/runtime/images/layers.ts';

const resources = path.resolve(import.meta.dirname, '../../../resources');
const golden = path.resolve(import.meta.dirname, '../../golden/images');
const base = { tag: 'docker.io/library/ubuntu:24.04', content: undefined };

describe('a tag names its base', () => {
  it.each([
    ['docker.io/library/ubuntu:24.04', 'ubuntu-24.04'],
    ['ubuntu:24.04', 'ubuntu-24.04'],
    ['localhost/terok-base:debian-trixie', 'debian-trixie'],
    ['Registry.example:5000/Team/Image@sha256:abc', 'registry.example-5000-team-image-sha256-abc'],
    ['..//..', 'base'],
  ])('%s is %s', (image, tag) => expect(baseTag(image)).toBe(tag));

  it('keeps long names apart that begin alike', () => {
    const [one, two] = ['a', 'b'].map((end) => baseTag(`${'x'.repeat(150)}${end}`));
    expect(one).toHaveLength(120);
    expect(one).not.toBe(two);
  });

  it('never lets Podman look for a layer in a public registry', () => {
    expect(Object.values(layerTags(base.tag)).every((tag) => tag.startsWith('localhost/'))).toBe(true);
  });
});

describe('the layers', () => {
  const plan = async () => {
    const agents = new AgentLoader({ bundled: path.join(resources, 'agents'), own: '/nonexistent' });
    const programs = bundledPrograms((await agents.list()).agents);
    return planLayers(await loadLayerSources({ resources, programs }), base);
  };

  it('are these Dockerfiles', async () => {
    const { l0, l1 } = await plan();
    await expect(l0.dockerfile).toMatchFileSnapshot(path.join(golden, 'l0.Dockerfile'));
    await expect(l1.dockerfile).toMatchFileSnapshot(path.join(golden, 'l1.Dockerfile'));
    expect(l0.files.map(({ name, isExecutable }) => [name, isExecutable])).toEqual([
      ['terok-init', true],
      ['terok-git-credential', true],
      ['gitconfig', false],
    ]);
  });

  it('are stale when a file, a template or anything below them changes', async () => {
    const { l0 } = await plan();
    const input = { dockerfile: l0.dockerfile, files: l0.files, parent: base };
    const [first, ...rest] = l0.files;
    if (first === undefined) throw new Error('no files');
    const variants = [
      { ...input, dockerfile: `${l0.dockerfile}#` },
      { ...input, files: [{ ...first, content: `${first.content}#` }, ...rest] },
      { ...input, files: [{ ...first, isExecutable: false }, ...rest] },
      { ...input, files: rest },
      { ...input, parent: { ...base, content: 'another' } },
    ].map(contentHash);
    expect(new Set([...variants, l0.contentHash]).size).toBe(variants.length + 1);
    expect(contentHash({ ...input, files: [...rest, first] })).toBe(l0.contentHash);
  });

  it('refuse a bundled program that does not exist', async () => {
    await expect(loadLayerSources({ resources, programs: ['no-such-program'] })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });
});

it('refuses a template and values that do not match', () => {
  expect(() => render('FROM {{base}}', {})).toThrow('unknown slot');
  expect(() => render('FROM x', { base: 'x' })).toThrow('no slot');
  expect(() => render('FROM {{base}}', { base: 'x\nRUN evil' })).toThrow('line break');
});

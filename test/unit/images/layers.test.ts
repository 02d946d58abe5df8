import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { selectAgents, selectSidecarTools } from '../../../src/runtime/images/agent-selection.ts';
import { baseName, packageFamily } from '../../../src/runtime/images/base-name.ts';
import { DockerSettings } from '../../../src/runtime/images/contract.ts';
import { type LayerInputs, render } from '../../../src/runtime/images/dockerfile.ts';
import { renderInstall } from '../../../src/runtime/images/install-script.ts';
import { loadLayerSources } from '../../../src/runtime/images/layer-loader.ts';
import { planChain } from '../../../src/runtime/images/layer-planner.ts';
import { baseTag, contentHash, layerTags, projectTags } from '../../../src/runtime/images/layers.ts';
import { rosterEntry } from '../../support/roster.ts';

const resources = path.resolve(import.meta.dirname, '../../../resources');
const golden = path.resolve(import.meta.dirname, '../../golden/images');
const base = { tag: 'docker.io/library/ubuntu:24.04', content: undefined };
const never = { l0: '0', l1: '0', sidecar: '0' };

/** One of each way to install something. */
const entries = [
  rosterEntry('by-apt', { apt: ['pkg-one'], rpm: ['pkg-two'] }),
  rosterEntry('by-npm', {
    npm: {
      '@vendor/agent': { version: '1.2.3', bin: ['agent'] },
      'agent-acp': { version: '0.1.0', bin: ['agent-acp'], omit_optional: true },
    },
  }),
  rosterEntry('by-pip', { pip: { 'py-agent': { version: '2.0', bin: ['py-agent'] } } }),
  rosterEntry('by-shell', { requires: ['by-npm'], shell: 'curl -fsS https://vendor.test/x | sh\n' }),
  rosterEntry('deb-only', { apt: ['deb-only'] }),
  rosterEntry('own', { programs: { own: '#!/bin/sh\necho 1.0\n' }, bundled: ['terok-scripted'] }),
  rosterEntry('sidecar-tool', { apt: ['unzip'], rpm: ['unzip'] }, { sidecar: { env: { KEY: 'key' } } }),
];
const roster = { entries, broken: [] };

/** As `planRequest`, from a roster of the test; programs of ours are stood in for, so that hashes stay. */
async function inputs(docker: Partial<DockerSettings> = {}, snippet?: string): Promise<LayerInputs> {
  const settings = DockerSettings.parse(docker);
  const family = packageFamily(baseName(settings) ?? base.tag, settings);
  const agents = selectAgents(roster, settings.agents, family);
  const real = await loadLayerSources({ resources, programs: ['terok-scripted'] });
  const stub = { content: 'stub\n', isExecutable: true };
  return {
    sources: {
      ...real,
      l0Files: real.l0Files.map((file) => ({ ...file, content: 'stub\n' })),
      installer: { name: 'install-agent.sh', ...stub },
      bundled: new Map([['terok-scripted', { name: 'terok-scripted', ...stub }]]),
      toolchain: { node: '24.0.0', npm: '11.0.0', architecture: 'x64' },
    },
    family,
    agents,
    selection: settings.agents === 'all' ? 'all' : agents.entries.map(({ name }) => name),
    sidecarTools: selectSidecarTools(roster, family),
    project: snippet === undefined ? undefined : 'demo',
    snippet,
  };
}

async function plan(docker: Partial<DockerSettings> = {}, snippet?: string) {
  const tag = baseName(DockerSettings.parse(docker)) ?? base.tag;
  return planChain(await inputs(docker, snippet), { tag, content: undefined }, never);
}

describe('a tag names its base', () => {
  it.each([
    ['docker.io/library/ubuntu:24.04', 'ubuntu-24.04'],
    ['ubuntu:24.04', 'ubuntu-24.04'],
    ['localhost/terok-base:debian-trixie', 'debian-trixie'],
    ['docker.io/nvidia/cuda:12.6.0-devel-ubuntu24.04', 'nvidia-cuda-12.6.0-devel-ubuntu24.04'],
    ['Registry.example:5000/Team/Image@sha256:abc', 'registry.example-5000-team-image-sha256-abc'],
    ['..//..', 'base'],
  ])('%s is %s', (image, tag) => expect(baseTag(image)).toBe(tag));

  it('keeps long names apart that begin alike', () => {
    const [one, two] = ['a', 'b'].map((end) => baseTag(`${'x'.repeat(150)}${end}`));
    expect(one).toHaveLength(120);
    expect(one).not.toBe(two);
  });

  it('and, of the agents in it, those that were chosen', () => {
    expect(layerTags(base.tag, 'all').l1).toBe('localhost/terok-l1-cli:ubuntu-24.04');
    expect(layerTags(base.tag, ['codex', 'claude']).l1).toBe(
      'localhost/terok-l1-cli:ubuntu-24.04-claude-codex',
    );
    const many = layerTags(
      base.tag,
      Array.from({ length: 40 }, (_, index) => `agent${index}`),
    ).l1;
    expect(many.length).toBeLessThan(150);
    expect(layerTags(base.tag, ['a-b', 'c']).l1).not.toBe(layerTags(base.tag, ['a', 'b-c']).l1);
  });

  it('never lets Podman look for a layer in a public registry', () => {
    const tags = [...Object.values(layerTags(base.tag, 'all')), ...Object.values(projectTags('demo'))];
    expect(tags.every((tag) => tag.startsWith('localhost/'))).toBe(true);
    expect(projectTags('demo')).toEqual({ l2: 'localhost/demo:l2-cli', dev: 'localhost/demo:l2-dev' });
  });
});

describe('the layers', () => {
  it.each([
    ['ubuntu', 'ubuntu:24.04'],
    ['debian', 'debian:trixie'],
    ['nvidia-cuda', 'nvidia/cuda:12.6.0-devel-ubuntu24.04'],
    ['fedora', 'fedora:41'],
  ])('on %s are these Dockerfiles', async (name, base_image) => {
    const { l0, l1, sidecar } = await plan({ base_image });
    await expect(l0.dockerfile).toMatchFileSnapshot(path.join(golden, `${name}.l0.Dockerfile`));
    await expect(l1.dockerfile).toMatchFileSnapshot(path.join(golden, `${name}.l1.Dockerfile`));
    await expect(sidecar.dockerfile).toMatchFileSnapshot(path.join(golden, `${name}.sidecar.Dockerfile`));
  });

  it('of a project are these', async () => {
    const { l2, dev } = await plan({}, 'RUN apt-get update\nENV X="{{{y}}} $& {{z}}"');
    await expect(l2?.dockerfile).toMatchFileSnapshot(path.join(golden, 'project.l2.Dockerfile'));
    await expect(dev?.dockerfile).toMatchFileSnapshot(path.join(golden, 'project.dev.Dockerfile'));
    expect((await plan()).l2).toBeUndefined();
  });

  it.each(['deb', 'rpm'] as const)('install each agent with these scripts (%s)', async (family) => {
    const scripts = entries.map((entry) => renderInstall(entry, family)).join('\n');
    await expect(scripts).toMatchFileSnapshot(path.join(golden, `install.${family}.sh`));
  });

  it('copy the files they need and no others', async () => {
    const { l0, l1 } = await plan({ agents: ['own'] });
    expect(l0.files.map(({ name, isExecutable }) => [name, isExecutable])).toEqual([
      ['terok-init', true],
      ['terok-git-credential', true],
      ['gitconfig', false],
      ['profile.sh', false],
      ['container-tmux.conf', false],
    ]);
    expect(l1.files.map(({ name, isExecutable }) => [name, isExecutable])).toEqual([
      ['agents/install-agent.sh', true],
      ['agents/own/install.sh', false],
      ['agents/own/programs/terok-scripted', true],
      ['agents/own/programs/own', true],
    ]);
    expect([l1.needsNode, l1.dockerfile.includes('python3'), l1.dockerfile.includes('Node')]).toEqual([
      false,
      false,
      false,
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

  it('are stale when what they stand on was built anew, and only those', async () => {
    const chain = async (refreshes: typeof never) => planChain(await inputs({}, 'RUN x'), base, refreshes);
    const [before, agents, all] = await Promise.all([
      chain(never),
      chain({ ...never, l1: '1' }),
      chain({ l0: '1', l1: '1', sidecar: '1' }),
    ]);
    const same = (one: typeof before, two: typeof before) =>
      [one.l0, one.l1, one.l2, one.dev, one.sidecar].map(
        (layer, index) =>
          layer?.contentHash === [two.l0, two.l1, two.l2, two.dev, two.sidecar][index]?.contentHash,
      );
    expect(same(before, agents)).toEqual([true, true, false, true, true]);
    expect(same(before, all)).toEqual([true, false, false, false, false]);
  });

  it('change with a snippet in the project layers alone', async () => {
    const [one, two] = await Promise.all([plan({}, 'RUN one'), plan({}, 'RUN two')]);
    expect([one.l0.contentHash, one.l1.contentHash]).toEqual([two.l0.contentHash, two.l1.contentHash]);
    expect(one.l2?.contentHash).not.toBe(two.l2?.contentHash);
    expect(one.dev?.contentHash).not.toBe(two.dev?.contentHash);
  });

  it('name no registry and no host', async () => {
    const { l0, l1, sidecar, l2, dev } = await plan({ agents: ['by-npm', 'by-pip', 'own'] }, 'RUN x');
    for (const layer of [l0, l1, sidecar, l2, dev])
      expect(layer?.dockerfile).not.toMatch(/https?:|npmjs|pypi|\.org\b/);
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
  expect(render('a\n{{{b}}}\nc\n{{{d}}}\ne\n', {}, { b: 'x\ny\n', d: '' })).toBe('a\nx\ny\nc\ne\n');
});

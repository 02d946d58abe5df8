import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ImageBuilder } from '../../../src/runtime/images/image-builder.ts';
import { imageBuilder, imageRequest } from '../../support/images.ts';
import { SimulatedPodman } from '../../support/simulated-podman.ts';

const BASE = 'docker.io/library/ubuntu:24.04';
const [L0, L1] = ['localhost/terok-l0:ubuntu-24.04', 'localhost/terok-l1-cli:ubuntu-24.04-scripted'];
const L2 = 'localhost/demo:l2-cli';
const quiet = (): void => undefined;

let root: string;
let podman: SimulatedPodman;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'images-'));
  podman = new SimulatedPodman();
  podman.images.set(BASE, {});
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const builder = (): ImageBuilder => imageBuilder({ runner: podman, cache: root, env: {} });
const request = (snippet?: string) =>
  imageRequest(snippet === undefined ? {} : { user_snippet_inline: snippet }, {
    id: 'demo',
    directory: root,
  });
const build = (scope: 'project' | 'agents' | 'full', snippet = 'RUN x', more = {}) =>
  builder().build({ ...request(snippet), scope, dev: false, sidecar: false, ...more }, quiet);

describe('images of a request', () => {
  it('are built once, in order, and then asked about in one call and not built again', async () => {
    const images = await builder().ensure(request('RUN x'), quiet);
    expect(images).toMatchObject({ base: BASE, l0: L0, l1: L1, l2: L2, task: L2 });
    expect(images.inventory).toEqual({
      installed: [{ name: 'scripted', version: 'unversioned' }],
      skipped: [],
    });
    expect(podman.builds()).toEqual([`build ${L0}`, 'build unnamed', `build ${L1}`, `build ${L2}`]);
    podman.ran.length = 0;
    expect(await builder().ensure(request('RUN x'), quiet)).toEqual(images);
    expect(podman.ran).toEqual(['look']);
  });

  it('are not asked about again for a while, unless a file has changed meanwhile', async () => {
    const one = builder();
    await one.ensure(request('RUN x'), quiet);
    await one.ensure(request('RUN x'), quiet);
    podman.ran.length = 0;
    await one.ensure(request('RUN x'), quiet);
    expect(podman.ran).toEqual([]);
    await one.ensure(request('RUN y'), quiet);
    expect(podman.builds()).toEqual([`build ${L2}`]);
  });

  it('have no project layer without a snippet: tasks run on the agents', async () => {
    const images = await builder().ensure(request(), quiet);
    expect(images).toMatchObject({ l2: undefined, task: L1 });
    expect(await builder().ensureDev(request(), quiet)).toBe(L0);
  });

  it('after another snippet are built from the project layer on', async () => {
    await builder().ensure(request('RUN x'), quiet);
    podman.ran.length = 0;
    await builder().ensure(request('RUN y'), quiet);
    expect(podman.builds()).toEqual([`build ${L2}`]);
  });

  it('are what `plan` says is missing, without building any', async () => {
    expect(await builder().plan(request('RUN x'))).toEqual({ missing: [L0, L1, L2] });
    podman.images.delete(BASE);
    expect(await builder().plan(request('RUN x'))).toEqual({ missing: ['the base image', L0, L1, L2] });
    podman.images.set(BASE, {});
    await builder().ensure(request('RUN x'), quiet);
    expect(await builder().plan(request('RUN x'))).toEqual({ missing: [] });
    expect(await builder().plan(request('RUN y'))).toEqual({ missing: [L2] });
    expect(await builder().inventory(request())).toMatchObject({ installed: [{ name: 'scripted' }] });
  });

  it('keep their tags when a build fails, which names the layer and shows the last lines', async () => {
    await builder().ensure(request('RUN x'), quiet);
    const before = new Map(podman.images);
    podman.failOn = 'RUN bad';
    await expect(builder().ensure(request('RUN bad'), quiet)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: `The image layer ${L2} could not be built`,
      details: 'the last lines: RUN bad',
      hint: expect.stringContaining('user_snippet'),
    });
    expect(podman.images).toEqual(before);
    expect(readdirSync(root)).toEqual([]);
  });
});

describe('many who want images at once', () => {
  it('see one build of each, whoever asked', async () => {
    const one = builder();
    const said: string[][] = Array.from({ length: 8 }, () => []);
    await Promise.all(said.map((lines) => one.ensure(request('RUN x'), (line) => lines.push(line))));
    expect(podman.builds()).toHaveLength(4);
    for (const lines of said) expect(lines).toContain(`Building ${L0}`);
  });

  it('share what their projects have in common', async () => {
    const one = builder();
    await Promise.all(
      ['a', 'b', 'c'].map((id) =>
        one.ensure(imageRequest({ user_snippet_inline: `RUN ${id}` }, { id, directory: root }), quiet),
      ),
    );
    expect([...podman.builds()].sort()).toEqual(
      [
        `build ${L0}`,
        'build unnamed',
        `build ${L1}`,
        ...['a', 'b', 'c'].map((id) => `build localhost/${id}:l2-cli`),
      ].sort(),
    );
  });

  it('with two contents for one tag get them one after the other', async () => {
    const one = builder();
    await one.ensure(request('RUN x'), quiet);
    await Promise.all([one.ensure(request('RUN y'), quiet), one.ensure(request('RUN z'), quiet)]);
    expect(podman.mostAtOnce.get(L2)).toBe(1);
  });

  it('may leave: the build goes on for the others, and ends with the last', async () => {
    const one = builder();
    const leaving = new AbortController();
    const both = [one.ensure(request(), quiet, leaving.signal), one.ensure(request(), quiet)];
    await new Promise((resolve) => setTimeout(resolve, 20));
    leaving.abort();
    await expect(both[0]).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(both[1]).resolves.toMatchObject({ l1: L1 });
  });
});

describe('building on request', () => {
  beforeEach(async () => {
    await builder().ensure(request('RUN x'), quiet);
    podman.ran.length = 0;
  });

  it('of the project builds its layer alone', async () => {
    expect((await build('project')).built).toEqual([L2]);
    expect(podman.builds()).toEqual([`build ${L2}`]);
  });

  it('of the agents installs them anew and leaves L0 alone; then all is up to date', async () => {
    expect((await build('agents')).built).toEqual([L1, L2]);
    expect(podman.builds()).toEqual(['build unnamed refreshed', `build ${L1}`, `build ${L2}`]);
    podman.ran.length = 0;
    await builder().ensure(request('RUN x'), quiet);
    expect(podman.ran).toEqual(['look']);
  });

  it('of everything uses no cache, and keeps a base that cannot be pulled with a word about it', async () => {
    const said: string[] = [];
    const result = await builder().build(
      { ...request('RUN x'), scope: 'full', dev: true, sidecar: true },
      (line) => said.push(line),
    );
    expect(said[0]).toContain(`Keeping ${BASE} as it is`);
    expect(result.built).toEqual([
      L0,
      L1,
      L2,
      'localhost/demo:l2-dev',
      'localhost/terok-l1-sidecar:ubuntu-24.04',
    ]);
    expect(podman.builds().every((line) => line.includes('without cache'))).toBe(true);
    expect(result).toMatchObject({ dev: 'localhost/demo:l2-dev', task: L2 });
  });

  it('of the agents of one project makes the layers of another stale', async () => {
    const other = imageRequest({ user_snippet_inline: 'RUN o' }, { id: 'other', directory: root });
    await builder().ensure(other, quiet);
    await build('agents');
    expect(await builder().plan(other)).toEqual({ missing: ['localhost/other:l2-cli'] });
  });
});

describe('Dockerfiles to look at', () => {
  it('are written with all they copy, and nothing is asked of Podman', async () => {
    const target = path.join(root, 'new/directory');
    const files = await builder().generate(request('RUN x'), target);
    expect(files.map((file) => path.relative(target, file))).toEqual([
      'L0.Dockerfile',
      'L1.cli.Dockerfile',
      'L1.sidecar.Dockerfile',
      'L2.Dockerfile',
      'L2.dev.Dockerfile',
      'agents/coderabbit/install.sh',
      'agents/install-agent.sh',
      'agents/scripted/install.sh',
      'agents/scripted/programs/terok-scripted',
      'container-tmux.conf',
      'gitconfig',
      'profile.sh',
      'terok-git-credential',
      'terok-init',
    ]);
    expect(readFileSync(path.join(target, 'L2.Dockerfile'), 'utf8')).toContain(`FROM ${L1}\n`);
    expect(podman.ran).toEqual([]);
  });

  it('have no L2 without a snippet', async () => {
    const files = await builder().generate(request(), path.join(root, 'x'));
    expect(files.some((file) => file.includes('L2'))).toBe(false);
  });

  it('go only where nothing is, which is looked at before anything else', async () => {
    writeFileSync(path.join(root, 'file'), '');
    mkdirSync(path.join(root, 'full/x'), { recursive: true });
    const broken = imageRequest({ agents: ['no-such-agent'] });
    for (const [name, problem] of [
      ['file', 'is not a directory'],
      ['full', 'is not empty'],
    ] as const) {
      await expect(builder().generate(broken, path.join(root, name))).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: `${path.join(root, name)} ${problem}`,
      });
    }
    expect(podman.ran).toEqual([]);
  });
});

describe('bad settings', () => {
  it.each([
    [{ agents: ['scriptde'] }, 'NOT_FOUND', 'Did you mean scripted?'],
    [{ base_image: 'alpine:3' }, 'INVALID_INPUT', 'Set docker.family'],
    [{ base_image: '--privileged' }, 'INVALID_INPUT', 'Write docker.base_image like'],
    [{ base_image: 'fedora:41' }, 'HOST_UNSUPPORTED', 'Check docker.base_image'],
  ])('%j is %s', async (docker, code, hint) => {
    await expect(builder().ensure(imageRequest(docker), quiet)).rejects.toMatchObject({
      code,
      hint: expect.stringContaining(hint),
    });
    expect(podman.builds()).toEqual([]);
  });
});

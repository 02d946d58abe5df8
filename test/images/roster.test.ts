import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../src/runtime/agents/agent-loader.ts';
import type { RosterEntry } from '../../src/runtime/agents/contract.ts';
import { LABEL } from '../../src/runtime/engine/contract.ts';
import type { ReadyImages } from '../../src/runtime/images/contract.ts';
import { podmanEngine, resourcesDir } from '../support/host.ts';
import { imageBuilder, imageRequest, inside, paths, podman } from '../support/images.ts';

const engine = podmanEngine(paths);
const quiet = (): void => undefined;
const all = imageRequest({ agents: 'all' });

let entries: readonly RosterEntry[];
let images: ReadyImages;

beforeAll(async () => {
  const loader = new AgentLoader({
    bundled: path.join(resourcesDir, 'agents'),
    own: '/nonexistent',
    newSession: () => 'unused',
  });
  ({ entries } = await loader.roster());
  images = await imageBuilder().ensure(all, quiet);
}, 1_200_000);

/** Agents and tools that npm has, with the version their file names. */
const pinned = () =>
  entries.flatMap((entry) => {
    const [main] = Object.values(entry.install.npm);
    return main === undefined ? [] : [{ entry, version: main.version }];
  });

describe('the image with all agents', () => {
  it('has every one that npm offers, in the version its file names, and it answers', () => {
    const installed = new Map(images.inventory.installed.map(({ name, version }) => [name, version]));
    expect(pinned().length).toBeGreaterThanOrEqual(6);
    for (const { entry, version } of pinned())
      expect([entry.name, installed.get(entry.name)]).toEqual([entry.name, version]);
  });

  it('has every one that Debian offers, and it answers', () => {
    const wanted = entries.filter(({ install }) => install.apt.length > 0 && install.shell === undefined);
    const installed = new Map(images.inventory.installed.map(({ name, version }) => [name, version]));
    expect(wanted.map(({ name }) => name)).toEqual(expect.arrayContaining(['gh', 'glab']));
    for (const { name } of wanted) expect(installed.get(name)).toMatch(/^[0-9]+\.[0-9]+/);
  });

  it('says of every other by name that it is left out, and why', () => {
    const named = [...images.inventory.installed, ...images.inventory.skipped].map(({ name }) => name);
    expect(named.sort()).toEqual(entries.map(({ name }) => name).sort());
    for (const { reason } of images.inventory.skipped) expect(reason).toMatch(/\S/);
    // Where Python's index cannot be reached either way is right, but never silence.
    expect(named).toContain('vibe');
    expect(images.inventory.skipped).toContainEqual({
      name: 'coderabbit',
      reason: expect.stringContaining('sidecar'),
    });
  });

  it('carries the versions as labels', async () => {
    const labels = await engine.imageLabels(images.l1);
    for (const { name, version } of images.inventory.installed)
      expect(labels?.[`${LABEL.agentVersion}${name}`]).toBe(version);
  });

  it('has the programs that speak ACP, and not a second copy of what they drive', async () => {
    const output = await inside(
      images.l1,
      'bash',
      '-c',
      'claude-agent-acp --version; codex-acp --version; du -sm /opt/terok/agents/{claude,codex} | cut -f1',
    );
    const [claudeAcp, codexAcp, claudeMb, codexMb] = output.trim().split('\n');
    expect([claudeAcp, codexAcp].join()).toMatch(/[0-9]+\.[0-9]+/);
    expect([Number(claudeMb) < 600, Number(codexMb) < 600]).toEqual([true, true]);
  });

  it('holds nothing that an agent could change about its own programs', async () => {
    const output = await inside(
      images.l1,
      'bash',
      '-c',
      'find /opt/terok /usr/local/bin ! -user root -o -xtype l -o ! -type l -perm /022 | head',
    );
    expect(output).toBe('');
  });

  it('is not built again, and answers without a build', async () => {
    const said: string[] = [];
    expect(await imageBuilder().ensure(all, (line) => said.push(line))).toEqual(images);
    expect(said).toEqual([]);
  });
});

describe('the image of sidecar tools', () => {
  it('has no agents, and names what could not be had', async () => {
    const { tag, inventory } = await imageBuilder().ensureSidecar(all, quiet);
    expect(tag).toMatch(/^localhost\/terok-l1-sidecar:/);
    expect([...inventory.installed, ...inventory.skipped].map(({ name }) => name)).toEqual(['coderabbit']);
    expect(
      await inside(tag, 'bash', '-c', 'ls /opt/terok/agents 2>/dev/null; command -v claude || echo none'),
    ).toBe('none\n');
  });
});

describe('a base of somebody else', () => {
  const BASE = `localhost/foreign-${process.pid}:1`;
  let work: string;

  beforeAll(async () => {
    work = await mkdtemp(path.join(os.tmpdir(), 'foreign-'));
    // What images of vendors have: an entry point of theirs, and a person with our uid.
    await writeFile(
      path.join(work, 'Dockerfile'),
      `FROM ${images.base}\nRUN groupadd -g 1000 ubuntu && useradd -m -u 1000 -g 1000 ubuntu\nENTRYPOINT ["/bin/false"]\nUSER ubuntu\n`,
    );
    await podman('build', '--quiet', `--tag=${BASE}`, work);
  }, 120_000);

  afterAll(async () => {
    const names = (await podman('images', '--format={{.Repository}}:{{.Tag}}')).split('\n');
    for (const name of names.filter((each) => each.includes(`foreign-${process.pid}`)))
      await podman('rmi', '--force', name);
    await rm(work, { recursive: true, force: true });
  });

  it('works when its family is said, and is asked about when its name does not tell', async () => {
    await expect(imageBuilder().ensure(imageRequest({ base_image: BASE }), quiet)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      hint: expect.stringContaining('docker.family'),
    });
    const ready = await imageBuilder().ensure(imageRequest({ base_image: BASE, family: 'deb' }), quiet);
    expect(ready.base).toBe(BASE);
    expect(
      await inside(
        ready.task,
        'bash',
        '-c',
        'id -un; echo $HOME; sudo -n id -u; terok-scripted <<< "say hi"',
      ),
    ).toBe('dev\n/home/dev\n0\nhi\n');
  }, 300_000);

  it('that is nowhere is an error, and nothing takes its place', async () => {
    await expect(
      imageBuilder().ensure(imageRequest({ base_image: 'localhost/nowhere:1', family: 'deb' }), quiet),
    ).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringContaining('localhost/nowhere:1'),
    });
  });
});

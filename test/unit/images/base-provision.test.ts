import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command, CommandRunner } from '../../../src/runtime/core/command.ts';
import { CommandError, HostError } from '../../../src/runtime/core/errors.ts';
import { BaseArchiveStore } from '../../../src/runtime/images/base-archive-store.ts';
import { BaseImage } from '../../../src/runtime/images/base-image.ts';
import { LOCAL_BASE, PUBLISHED_BASE } from '../../../src/runtime/images/base-recipe.ts';
import { builderPreparation } from '../../../src/runtime/setup/host-packages.ts';
import { podmanEngine, realPaths } from '../../support/host.ts';

const INDEXES =
  'http://mirror.test/debian/|trixie|main|Debian|trixie|/etc/apt/sources.list.d/debian.sources:1\n';

let root: string;
let programs: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'base-'));
  programs = path.join(root, 'bin');
  mkdirSync(programs);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function addProgram(name: string): void {
  writeFileSync(path.join(programs, name), '');
  chmodSync(path.join(programs, name), 0o755);
}

/** A machine whose programs are known by their answers. Only an installed mmdebstrap writes archives. */
function machine(options: {
  readonly resolves: boolean;
  readonly isRoot: boolean;
  readonly proxy?: boolean;
}) {
  const ran: string[] = [];
  let hasBuilder = false;
  const answer = ({ file, args }: Command<unknown>): { stdout: string; exitCode: number } => {
    if (file === 'getent') return { stdout: '', exitCode: options.resolves ? 0 : 2 };
    if (file === 'apt-get' && args[0] === 'indextargets') return { stdout: INDEXES, exitCode: 0 };
    if (file === 'apt-get' && args.includes('install')) {
      hasBuilder = args.includes('mmdebstrap');
      addProgram('mmdebstrap');
    }
    if (file === 'mmdebstrap') {
      if (!hasBuilder) throw new HostError('The program "mmdebstrap" is not installed');
      writeFileSync(args.at(-2) ?? '', 'archive');
    }
    return { stdout: '', exitCode: 0 };
  };
  const runner: CommandRunner = {
    run: async <T>(command: Command<T>): Promise<T> => {
      ran.push(`${command.file} ${command.args.filter((arg) => /^[a-z]+$/.test(arg)).join(' ')}`.trim());
      return command.parse({ stderr: '', ...answer(command) });
    },
    stream: () => {
      throw new Error('not here');
    },
    detach: async () => {
      throw new Error('not here');
    },
  };
  const engine = podmanEngine(realPaths());
  engine.pull = async () => {
    ran.push('pull');
    throw new CommandError('"podman pull" failed (exit code 125)');
  };
  engine.importImage = async (_archive, tag) => {
    ran.push(`import ${tag}`);
  };
  const base = new BaseImage({
    engine,
    runner,
    archives: new BaseArchiveStore({ directory: path.join(root, 'archives') }),
    isRoot: options.isRoot,
    hasProxy: options.proxy ?? false,
    prepareBuilder: builderPreparation({
      runner,
      isRoot: options.isRoot,
      programDirectories: [programs],
    }),
  });
  const said: string[] = [];
  return { base, ran, said, provide: () => base.provide(undefined, (line) => said.push(line)) };
}

describe('a registry whose name resolves, but whose pull fails', () => {
  it('has root install what builds a base, and build it, in the same run', async () => {
    addProgram('apt-get');
    const host = machine({ resolves: true, isRoot: true });
    expect(await host.base.wouldBuild()).toBe(false);
    host.ran.length = 0;
    expect(await host.provide()).toMatchObject({ tag: LOCAL_BASE });
    expect(host.ran).toEqual([
      'getent ahosts',
      'pull',
      'apt-get indextargets',
      'apt-config dump',
      'apt-get update',
      'apt-get install mmdebstrap',
      'mmdebstrap trixie',
      `import ${LOCAL_BASE}`,
    ]);
    expect(host.said[1]).toContain(`${PUBLISHED_BASE} cannot be had: the pull failed`);
    // What is there is not installed again.
    expect(await machine({ resolves: true, isRoot: true }).provide()).toMatchObject({ tag: LOCAL_BASE });
  });

  it('gives an ordinary user the one line for an administrator, and goes on once that was run', async () => {
    addProgram('apt-get');
    const host = machine({ resolves: true, isRoot: false });
    await expect(host.provide()).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringContaining('mmdebstrap'),
      hint: 'Ask an administrator to run: apt-get install -y mmdebstrap',
    });
    expect(host.ran.join()).not.toContain('install');
  });
});

it('behind a proxy the pull is tried although no name resolves here', async () => {
  addProgram('apt-get');
  const host = machine({ resolves: false, isRoot: true, proxy: true });
  expect(await host.base.wouldBuild()).toBe(false);
  await host.provide();
  expect(host.ran[0]).toBe('pull');
});

it('without a proxy and a name nothing is pulled', async () => {
  addProgram('apt-get');
  const host = machine({ resolves: false, isRoot: true });
  expect(await host.base.wouldBuild()).toBe(true);
  await host.provide();
  expect(host.ran).not.toContain('pull');
});

describe('a base that somebody named', () => {
  it('is pulled, and never replaced by another when that fails', async () => {
    addProgram('apt-get');
    const host = machine({ resolves: true, isRoot: true });
    await expect(host.base.provide('docker.io/library/fedora:41', () => undefined)).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: 'The base image docker.io/library/fedora:41 is not here and cannot be pulled: the pull failed',
    });
    expect(host.ran).toEqual(['getent ahosts', 'pull']);
  });

  it('of this machine is asked of no registry', async () => {
    const host = machine({ resolves: true, isRoot: true });
    await expect(host.base.provide('localhost/mine:1', () => undefined)).rejects.toMatchObject({
      message: expect.stringContaining('it is of this machine'),
    });
    expect(host.ran).toEqual([]);
  });

  it('is kept, with a word about it, when it cannot be pulled again', async () => {
    const host = machine({ resolves: false, isRoot: true });
    const present = { tag: LOCAL_BASE, content: 'x' };
    const said: string[] = [];
    expect(await host.base.refresh(present, undefined, (line) => said.push(line))).toBe(present);
    expect(said).toEqual([
      `${PUBLISHED_BASE} cannot be pulled: the name of its registry does not resolve. Keeping ${LOCAL_BASE} as it is.`,
    ]);
  });
});

import { chmod, mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Paths } from '../../src/runtime/core/paths.ts';
import { isRoot, podmanEngine, runner } from './host.ts';

/** A number no host has a GPU of. */
export const GPU = 901;

/** Exists wherever Podman's user-mode networks work, may be used by all, and is in no container by itself. */
export const DEVICE = '/dev/net/tun';

export interface CdiSpecification extends AsyncDisposable {
  /** Where the specification itself lies. */
  readonly directory: string;
}

/**
 * A CDI specification of one GPU that is none, where Podman looks for such, until it is disposed of. Root has a
 * directory for it; an ordinary user lays it over /etc in the mount namespace of their own Podman, where alone it
 * is seen.
 */
export async function cdiSpecification(paths: Paths): Promise<CdiSpecification> {
  const scratch = await mkdtemp('/tmp/tk-cdi-');
  await chmod(scratch, 0o755);
  const library = path.join(scratch, 'libgpu.so');
  await writeFile(library, 'driver of the host\n');
  return isRoot ? await asRoot(scratch, library) : await asUser(scratch, library, paths);
}

async function asRoot(scratch: string, library: string): Promise<CdiSpecification> {
  const directory = '/var/run/cdi';
  const isNew = (await mkdir(directory, { recursive: true })) !== undefined;
  const file = path.join(directory, `terok-test-${path.basename(scratch)}.json`);
  await writeFile(file, specification(library));
  return {
    directory,
    [Symbol.asyncDispose]: async () => {
      await rm(file);
      if (isNew) await rmdir(directory);
      await rm(scratch, { recursive: true });
    },
  };
}

async function asUser(scratch: string, library: string, paths: Paths): Promise<CdiSpecification> {
  const directory = path.join(scratch, 'layer/cdi');
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'terok-test.json'), specification(library));
  const inPodman = async (...args: readonly string[]): Promise<void> => {
    const [file = '', ...rest] = [...(await podmanEngine(paths).hostNamespacePrefix()), ...args];
    await runner.run({ file, args: rest, parse: () => undefined });
  };
  await inPodman(
    'mount',
    '-t',
    'overlay',
    '-o',
    `lowerdir=${path.dirname(directory)}:/etc`,
    'overlay',
    '/etc',
  );
  return {
    directory,
    [Symbol.asyncDispose]: async () => {
      await inPodman('umount', '--lazy', '/etc');
      await rm(scratch, { recursive: true });
    },
  };
}

const specification = (library: string): string =>
  JSON.stringify({
    cdiVersion: '0.3.0',
    kind: 'nvidia.com/gpu',
    devices: [
      {
        name: String(GPU),
        containerEdits: { deviceNodes: [{ path: DEVICE }], env: [`TEROK_TEST_GPU=${GPU}`] },
      },
    ],
    containerEdits: {
      mounts: [
        {
          hostPath: library,
          containerPath: '/opt/gpu/libgpu.so',
          options: ['ro', 'nosuid', 'nodev', 'bind'],
        },
      ],
    },
  });

import { statSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { HostCommandRunner } from '../../src/runtime/core/exec.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { type Paths, resolvePaths } from '../../src/runtime/core/paths.ts';
import { loadSubordinateRangeSync } from '../../src/runtime/core/subordinate-ids-loader.ts';
import { PodmanEngine } from '../../src/runtime/engine/podman/podman-engine.ts';

export const resourcesDir = path.resolve(import.meta.dirname, '../../resources');
/** A `config.yml` that names the scripted agent alone: its image is there in seconds. */
export const testConfigDir = path.resolve(import.meta.dirname, 'config');
export const uid = os.userInfo().uid;
export const gid = os.userInfo().gid;
export const isRoot = uid === 0;

export const runner = new HostCommandRunner({ baseEnv: hostEnvironment() });

export function hostEnvironment(): Record<string, string> {
  return {
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
    HOME: os.homedir(),
    LANG: 'C.UTF-8',
    XDG_RUNTIME_DIR: realPaths().xdgRuntime,
  };
}

/** The user's own paths: the Podman store is shared by all tests, so that images are built once. */
export function realPaths(environment: Readonly<Record<string, string | undefined>> = process.env): Paths {
  return resolvePaths({
    env: environment,
    home: os.homedir(),
    uid,
    ownsDirectory: (directory) => {
      try {
        return statSync(directory).uid === uid;
      } catch {
        return false;
      }
    },
  });
}

export interface TestHost extends AsyncDisposable {
  readonly directory: string;
  readonly paths: Paths;
  readonly environment: Readonly<Record<string, string>>;
}

/** State, configuration and runtime directories of one test, short enough for unix sockets. */
export async function testHost(): Promise<TestHost> {
  const directory = await mkdtemp('/tmp/tk-');
  await cp(testConfigDir, path.join(directory, 'config'), { recursive: true });
  const environment = {
    TEROK_CONFIG_DIR: path.join(directory, 'config'),
    TEROK_STATE_DIR: path.join(directory, 'state'),
    TEROK_RUNTIME_DIR: path.join(directory, 'run'),
  };
  return {
    directory,
    environment,
    paths: realPaths({ ...process.env, ...environment }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export function podmanEngine(paths: Paths): PodmanEngine {
  return new PodmanEngine({
    runner,
    paths,
    uid,
    gid,
    logger: silentLogger,
    rootfulRange: () => loadSubordinateRangeSync({ owner: 'root' }),
  });
}

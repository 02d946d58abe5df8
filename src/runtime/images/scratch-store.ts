import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';

/** What is left of a process nobody can be asked about: of another machine or container with the same cache. */
const STALE_MS = 24 * 3_600_000;
const NAME = /^(?:build|settings)-(?:([0-9a-f]{8})\.([0-9]+)\.([0-9]+)-)?[A-Za-z0-9]+$/;

/** A directory for the time of one build. */
export interface Scratch extends AsyncDisposable {
  readonly directory: string;
}

/** Makes a directory that only its owner can enter, named after this process so that a later one knows what it left. */
export async function makeScratch(cache: string, kind: 'build' | 'settings'): Promise<Scratch> {
  await mkdir(cache, { recursive: true, mode: 0o755 });
  const { place, pid, started } = await ownIdentity();
  const directory = await mkdtemp(path.join(cache, `${kind}-${place}.${pid}.${started}-`));
  return {
    directory,
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }),
  };
}

/**
 * Removes what processes that are gone left, secrets among it. `beforeRemoval` is told of each directory: a program
 * may still work in it.
 */
export async function sweepScratch(
  cache: string,
  beforeRemoval: (directory: string) => Promise<void> = async () => undefined,
): Promise<void> {
  const names = await readdir(cache).catch(() => []);
  for (const name of names) {
    const directory = path.join(cache, name);
    if (!NAME.test(name) || !(await isAbandoned(directory, name))) continue;
    await beforeRemoval(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

async function isAbandoned(directory: string, name: string): Promise<boolean> {
  const [, place, pid = '', started] = NAME.exec(name) ?? [];
  if (place !== undefined && place === (await ownIdentity()).place) return (await startOf(pid)) !== started;
  const info = await stat(directory).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs > STALE_MS;
}

/** Process ids mean something on one machine and in one namespace only. */
async function ownIdentity(): Promise<{
  readonly place: string;
  readonly pid: string;
  readonly started: string;
}> {
  const [pid, namespace] = await Promise.all([
    readlink('/proc/self').catch(() => '0'),
    readlink('/proc/self/ns/pid').catch(() => ''),
  ]);
  const place = createHash('sha256').update(`${hostname()} ${namespace}`).digest('hex').slice(0, 8);
  return { place, pid, started: (await startOf(pid)) ?? '0' };
}

/** When the process started, in ticks since boot (proc(5), field 22 of stat); undefined when there is none. */
async function startOf(pid: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Agents } from '../../agents/contract.ts';
import { HostError } from '../../core/errors.ts';
import { readUntrustedFile } from '../../core/untrusted-file-loader.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import type { Leak, LeakReport, Vault } from '../contract.ts';
import type { CredentialStore } from '../parts.ts';
import { holdsCredential } from './credential-file.ts';
import { type KnownFile, knownFileAt, knownFilesOf } from './known-files.ts';
import { type WalkedFile, walkFiles } from './safe-walk-loader.ts';
import { ScanNotes } from './scan-notes.ts';
import { SecretMatcher } from './secret-matcher.ts';

type Place = Parameters<Vault['scan']>[0][number];

/** Of one scan. What lies beyond is named in the report. */
export interface ScanLimits {
  readonly filesPerPlace: number;
  readonly bytesPerPlace: number;
  readonly bytesPerFile: number;
  readonly depth: number;
  readonly leaks: number;
  readonly timeMs: number;
}

export const DEFAULT_SCAN_LIMITS: ScanLimits = {
  filesPerPlace: 100_000,
  bytesPerPlace: 2 * 1024 ** 3,
  bytesPerFile: 256 * 1024 ** 2,
  depth: 40,
  leaks: 100,
  timeMs: 120_000,
};

const CHUNK_BYTES = 256 * 1024;
const MAX_KNOWN_FILE_BYTES = 1024 * 1024;

/** Looks for credentials where containers write, and in what they publish. */
export class LeakScanner {
  readonly #secrets: CredentialStore['secrets'];
  readonly #agents: Pick<Agents, 'roster'>;
  readonly #limits: ScanLimits;

  constructor(deps: {
    /** Throws HostError while the vault is locked. */
    readonly secrets: CredentialStore['secrets'];
    readonly agents: Pick<Agents, 'roster'>;
    readonly limits?: Partial<ScanLimits> | undefined;
  }) {
    this.#secrets = deps.secrets;
    this.#agents = deps.agents;
    this.#limits = { ...DEFAULT_SCAN_LIMITS, ...deps.limits };
  }

  /** A signal ends the search; what was found by then is told. */
  async scan(places: readonly Place[], signal?: AbortSignal): Promise<LeakReport> {
    const { entries } = await this.#agents.roster();
    const notes = new ScanNotes();
    const matcher = this.#matcherUnlessClosed(notes);
    const search: Search = {
      known: knownFilesOf(entries),
      matcher,
      limits: this.#limits,
      notes,
      leaks: [],
      startedMs: performance.now(),
      signal,
    };
    for (const provider of matcher?.leftOut ?? [])
      notes.add(`a secret of ${provider} is too short to be looked for`);
    // First, and in all places: they are few, and no other file can be in the way.
    for (const place of places) await lookAtKnownFiles(search, place);
    for (const [index, place] of places.entries()) {
      if (whyOver(search) !== undefined) {
        const { length } = places.slice(index);
        search.notes.add(`${length} of ${places.length} directories: ${whyOver(search)}`);
        break;
      }
      await walk(search, place, places.length - index);
    }
    return { leaks: search.leaks, skipped: search.notes.words, hasExactMatches: matcher !== undefined };
  }

  /** Providers whose secrets are in the text. Throws HostError while locked. */
  async scanStream(chunks: AsyncIterable<Uint8Array>): Promise<readonly string[]> {
    const search = new SecretMatcher(this.#secrets()).begin();
    const found = new Set<string>();
    for await (const chunk of chunks) for (const { provider } of search.push(chunk)) found.add(provider);
    return [...found].toSorted();
  }

  /** Locked, or with a record that does not open. */
  #matcherUnlessClosed(notes: ScanNotes): SecretMatcher | undefined {
    try {
      return new SecretMatcher(this.#secrets());
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      notes.add(`files without a known name, for what is in the vault: ${error.message}`);
      return undefined;
    }
  }
}

interface Search {
  readonly known: readonly KnownFile[];
  readonly matcher: SecretMatcher | undefined;
  readonly limits: ScanLimits;
  readonly notes: ScanNotes;
  readonly leaks: Leak[];
  readonly startedMs: number;
  readonly signal: AbortSignal | undefined;
}

function whyOver({ limits, leaks, startedMs, signal }: Search): string | undefined {
  if (leaks.length >= limits.leaks) return 'enough was found';
  return signal?.aborted === true || performance.now() - startedMs > limits.timeMs
    ? 'the time was up'
    : undefined;
}

async function lookAtKnownFiles(search: Search, { task, directory }: Place): Promise<void> {
  for (const file of search.known) {
    const place = { root: directory, names: file.path.split('/') };
    const found = await readUntrustedFile(place, MAX_KNOWN_FILE_BYTES);
    const name = path.join(directory, file.path);
    if (found.text === undefined) {
      if (!found.isAbsent) search.notes.add(`${cleanLine(name, 300)} ${found.problem}`);
      continue;
    }
    if (holdsCredential(Buffer.from(found.text), file.path)) report(search, knownLeak(task, name, file));
  }
}

const knownLeak = (task: string | undefined, name: string, { provider }: KnownFile): Leak => ({
  task,
  path: name,
  offset: undefined,
  provider,
  kind: 'known_file',
});

function report({ leaks, limits }: Search, leak: Leak): void {
  const shown = { ...leak, path: cleanLine(leak.path, 500) };
  const isKnown = leaks.some(
    ({ path: other, provider, kind }) =>
      other === shown.path && provider === shown.provider && kind === shown.kind,
  );
  if (!isKnown && leaks.length < limits.leaks) leaks.push(shown);
}

/** The time that is left is shared: a directory made to take long takes none from those behind it. */
async function walk(search: Search, { task, directory }: Place, placesLeft: number): Promise<void> {
  const { limits, notes } = search;
  const leftMs = search.startedMs + limits.timeMs - performance.now();
  const untilMs = performance.now() + leftMs / placesLeft;
  let files = 0;
  let bytes = 0;
  for await (const file of walkFiles(directory, limits.depth, notes.below(directory))) {
    const why =
      whyOver(search) ??
      (performance.now() > untilMs ? 'the time was up' : undefined) ??
      (files >= limits.filesPerPlace ? `over ${limits.filesPerPlace} files` : undefined) ??
      (bytes >= limits.bytesPerPlace ? `over ${limits.bytesPerPlace} bytes` : undefined);
    if (why !== undefined) {
      notes.add(`the rest of ${cleanLine(directory, 300)}: ${why}`);
      return;
    }
    files++;
    const name = path.join(directory, file.path);
    const known = knownFileAt(search.known, file.path);
    if (known !== undefined && (await isLeak(file))) report(search, knownLeak(task, name, known));
    if (search.matcher?.isEmpty === false) {
      const atMost = Math.min(limits.bytesPerFile, limits.bytesPerPlace - bytes);
      bytes += await matchFile(search, { task, name, file, matcher: search.matcher, atMost });
      if (file.sizeBytes > atMost) notes.add(`${cleanLine(name, 300)} beyond its first ${atMost} bytes`);
    }
  }
}

async function isLeak({ handle, sizeBytes, path: name }: WalkedFile): Promise<boolean> {
  // What a program would refuse to read as its credential is not let pass for its size.
  if (sizeBytes > MAX_KNOWN_FILE_BYTES) return true;
  const buffer = Buffer.alloc(MAX_KNOWN_FILE_BYTES);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return holdsCredential(buffer.subarray(0, bytesRead), name);
}

async function matchFile(
  search: Search,
  {
    task,
    name,
    file,
    matcher,
    atMost,
  }: {
    readonly task: string | undefined;
    readonly name: string;
    readonly file: WalkedFile;
    readonly matcher: SecretMatcher;
    readonly atMost: number;
  },
): Promise<number> {
  const { push } = matcher.begin();
  const told = new Set<string>();
  let position = 0;
  for await (const chunk of chunksOf(file.handle, atMost)) {
    position += chunk.length;
    for (const { provider, offset } of push(chunk)) {
      if (!told.has(provider)) report(search, { task, path: name, offset, provider, kind: 'exact' });
      told.add(provider);
    }
    if (whyOver(search) !== undefined) break;
  }
  return position;
}

/** The buffer is used again for the next piece. */
async function* chunksOf(handle: FileHandle, atMost: number): AsyncGenerator<Uint8Array, void, void> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; position < atMost; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, atMost - position), position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

import {
  listUntrusted,
  lookUntrusted,
  readUntrustedFile,
  type UntrustedEntry,
} from '../core/untrusted-file-loader.ts';
import { SESSION_ID } from '../transcript/contract.ts';

const MAX_BYTES = 1024 * 1024;
/** Looked at in one directory; in how many that is done. A task that makes more of them hides its own conversation. */
const MAX_ENTRIES = 500;
const MAX_DIRECTORIES = 100;

type Found = UntrustedEntry & { readonly names: readonly string[] };

/** Where an agent leaves the id of its conversation, as the roster says. */
export interface SessionFile {
  /** Below the home directory; a segment "*" matches any name. The newest file counts. */
  readonly file: string;
  /** JSON pointer (RFC 6901); absent: the whole file is the id. */
  readonly pointer?: string | undefined;
}

/**
 * The id of a conversation from a file that the agent wrote below its task's home. To be called when the container
 * has ended. Undefined where there is none, or none that could be an id; links are not followed.
 */
export async function loadSessionFile(home: string, session: SessionFile): Promise<string | undefined> {
  const newest = await findNewest(home, session.file.split('/'));
  if (newest === undefined) return undefined;
  const { text } = await readUntrustedFile({ root: home, names: newest }, MAX_BYTES);
  const id = text === undefined ? undefined : idIn(text, session.pointer);
  return id !== undefined && SESSION_ID.test(id) ? id : undefined;
}

async function findNewest(root: string, pattern: readonly string[]): Promise<readonly string[] | undefined> {
  const steps = pattern.slice(0, -1);
  let directories: readonly (readonly string[])[] = [[]];
  for (const step of steps) {
    const entries = await Promise.all(directories.map((names) => find(root, names, step)));
    directories = entries
      .flat()
      .filter((entry) => entry.isDirectory)
      .sort(newestFirst)
      .slice(0, MAX_DIRECTORIES)
      .map((entry) => entry.names);
  }
  const files = await Promise.all(directories.map((names) => find(root, names, pattern.at(-1) ?? '*')));
  const [newest] = files
    .flat()
    .filter((entry) => entry.isFile)
    .sort(newestFirst);
  return newest?.names;
}

const newestFirst = (a: Found, b: Found): number => b.modifiedAt.getTime() - a.modifiedAt.getTime();

async function find(root: string, names: readonly string[], step: string): Promise<readonly Found[]> {
  if (step === '*') {
    const entries = await listUntrusted({ root, names }, MAX_ENTRIES);
    return entries.map((entry) => ({ ...entry, names: [...names, entry.name] }));
  }
  const entry = await lookUntrusted({ root, names: [...names, step] });
  return entry === undefined ? [] : [{ ...entry, names: [...names, step] }];
}

function idIn(text: string, pointer: string | undefined): string | undefined {
  if (pointer === undefined) return text.trim();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null) return undefined;
    value = new Map<string, unknown>(Object.entries(value)).get(key);
  }
  return typeof value === 'string' ? value : undefined;
}

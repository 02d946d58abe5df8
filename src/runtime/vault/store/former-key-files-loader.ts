import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { HostError } from '../../core/errors.ts';
import { AgentName } from '../../core/ids.ts';
import type { Logger } from '../../core/log.ts';
import { DEFAULT_SET } from '../contract.ts';
import type { CredentialStore } from '../parts.ts';
import { SecretText, type StoredCredential } from '../stored-credential.ts';
import { assertPrivateDirectory, readPrivateFile } from './private-file-store.ts';

const SUFFIX = '.json';
const MAX_BYTES = 64 * 1024;
const Former = z.strictObject({ kind: z.literal('api_key'), key: SecretText });

interface FormerKey {
  readonly provider: string;
  readonly credential: StoredCredential;
  /** Takes the file away. */
  remove(): void;
}

/**
 * Stores the API keys that earlier releases kept in files, in an open vault. Each is sealed and read back before its
 * file goes: a crash at any point leaves at least one of them.
 */
export function takeFormerKeys(options: {
  readonly store: Pick<CredentialStore, 'open' | 'put'>;
  readonly directory: string;
  readonly log: Logger;
}): void {
  const { store, directory, log } = options;
  for (const { provider, credential, remove } of formerKeys(directory, log)) {
    const name = { provider, set: DEFAULT_SET };
    if (store.open(name) === undefined) store.put(name, credential);
    if (isDeepStrictEqual(store.open(name)?.credential, credential)) remove();
    else log.warn({ provider }, 'an older key file is left: the vault holds another key');
  }
}

/** One that is not used is left where it is, and said. */
function formerKeys(directory: string, log: Logger): readonly FormerKey[] {
  return namesIn(directory).flatMap((provider) => {
    const file = path.join(directory, `${provider}${SUFFIX}`);
    try {
      assertPrivateDirectory(directory);
      const former = Former.safeParse(JSON.parse(readPrivateFile(file, MAX_BYTES) ?? ''));
      if (former.success) return [{ provider, credential: former.data, remove: () => removeFile(file) }];
      log.warn({ file }, 'this file holds no API key, so the vault does not take it');
    } catch (error) {
      if (error instanceof HostError)
        log.warn({ file, reason: error.message, hint: error.hint }, error.message);
      else if (error instanceof SyntaxError)
        log.warn({ file }, 'this file holds no API key, so the vault does not take it');
      else throw error;
    }
    return [];
  });
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((entry) => entry.endsWith(SUFFIX))
      .map((entry) => entry.slice(0, -SUFFIX.length))
      .filter((name) => AgentName.safeParse(name).success)
      .sort();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/** And the directory with the last of them. */
function removeFile(file: string): void {
  rmSync(file, { force: true });
  if (readdirSync(path.dirname(file)).length === 0) rmdirSync(path.dirname(file));
}

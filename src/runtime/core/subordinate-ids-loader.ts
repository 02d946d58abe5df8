import { readFileSync } from 'node:fs';
import { findCommonRange, type SubordinateRange } from './subordinate-ids.ts';

export interface SubordinateFiles {
  readonly subuid: string;
  readonly subgid: string;
}

/** Where the host keeps them; tests name files of their own. */
export const SUBORDINATE_FILES: SubordinateFiles = { subuid: '/etc/subuid', subgid: '/etc/subgid' };

/** Content of both files; an absent file is empty. */
export function loadSubordinateTexts(files: SubordinateFiles = SUBORDINATE_FILES): SubordinateFiles {
  return { subuid: textOrEmpty(files.subuid), subgid: textOrEmpty(files.subgid) };
}

/**
 * The block of ids that `owner` may map, the same for users and groups; undefined when none was reserved. Reads
 * two small local files; synchronous because id mappings are asked for where nothing can wait.
 */
export function loadSubordinateRangeSync(options: {
  readonly owner: string;
  readonly files?: SubordinateFiles;
}): SubordinateRange | undefined {
  return findCommonRange(loadSubordinateTexts(options.files), [options.owner]);
}

function textOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

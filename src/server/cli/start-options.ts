import path from 'node:path';
import { MAX_TIMEOUT_S } from '../../tools/fields.ts';
import type { Host } from '../host.ts';
import { UsageError } from './command.ts';

/** What the commands that make a task have in common. */
export const startOptions = {
  project: { type: 'string' },
  branch: { type: 'string' },
  name: { type: 'string' },
  'no-gate': { type: 'boolean' },
  restricted: { type: 'boolean' },
  gpu: { type: 'boolean' },
} as const;

/** How a prompt is worked on. */
export const runOptions = {
  model: { type: 'string' },
  'max-turns': { type: 'string' },
  timeout: { type: 'string' },
} as const;

export interface StartValues {
  readonly project?: string | undefined;
  readonly branch?: string | undefined;
  readonly name?: string | undefined;
  readonly 'no-gate'?: boolean | undefined;
  readonly restricted?: boolean | undefined;
  readonly gpu?: boolean | undefined;
}

export function toStart(values: StartValues, repo: string | undefined, host: Pick<Host, 'cwd'>) {
  const { project, branch, name, restricted } = values;
  if (project !== undefined && repo !== undefined)
    throw new UsageError('<repo> and --project exclude each other');
  if (project === undefined && repo === undefined) throw new UsageError('<repo> or --project <id> missing');
  return {
    project,
    repo: repo === undefined ? undefined : toRepository(repo, host),
    branch,
    name,
    restricted,
    gate: values['no-gate'] === true ? false : undefined,
    gpus: values.gpu === true ? true : undefined,
  };
}

export function toRun(values: {
  readonly model?: string | undefined;
  readonly 'max-turns'?: string | undefined;
  readonly timeout?: string | undefined;
}) {
  return {
    model: values.model,
    maxTurns: toInteger('--max-turns', values['max-turns'], { min: 1, max: 10_000 }),
    timeoutS: toInteger('--timeout', values.timeout, { min: 1, max: MAX_TIMEOUT_S }),
  };
}

export function toInteger(
  option: string,
  text: string | undefined,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new UsageError(`${option} takes a whole number from ${min} to ${max}`);
  return value;
}

/** As git reads it: a scheme, or a colon before any slash, is a remote; everything else is a path, the caller's. */
function toRepository(repo: string, { cwd }: Pick<Host, 'cwd'>): string {
  if (repo === '') throw new UsageError('<repo> is empty');
  const isRemote = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(repo) || /^[^/:]+:/.test(repo);
  return isRemote ? repo : path.resolve(cwd, repo);
}

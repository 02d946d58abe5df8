import type { StateDatabase } from '../core/database.ts';
import type { TaskId } from '../core/ids.ts';
import { EMPTY_SUMMARY, RunSummary } from '../transcript/contract.ts';
import type { TaskRun } from './contract.ts';

interface RunRow {
  id: number;
  number: number;
  prompt: string;
  created_at: string;
  ended_at: string | null;
  exit_code: number | null;
  failure: string | null;
  session: string | null;
  summary: string | null;
}

/** A run with what only this folder needs of it. */
export interface StoredRun extends TaskRun {
  readonly id: number;
  /** Empty for a call of a tool. */
  readonly prompt: string;
}

export interface RunEnd {
  readonly endedAt: string;
  readonly exitCode: number | undefined;
  readonly failure: string | undefined;
  readonly session: string | undefined;
  readonly summary: RunSummary;
}

/** Prompts of headless tasks and calls of tools, each with what came of it, in the state database. */
export class RunStore {
  readonly #database: StateDatabase;

  constructor(deps: { readonly database: StateDatabase }) {
    this.#database = deps.database;
  }

  insert(run: {
    readonly task: TaskId;
    readonly prompt: string;
    readonly session: string | undefined;
    readonly createdAt: string;
  }): void {
    this.#database
      .prepare('INSERT INTO runs (task, prompt, session, created_at) VALUES (?, ?, ?, ?)')
      .run(run.task, run.prompt, run.session ?? null, run.createdAt);
  }

  /** The newest; undefined in modes that have none. */
  last(task: TaskId): StoredRun | undefined {
    const row = this.#database
      .prepare<[string, string], RunRow>(
        `SELECT *, (SELECT count(*) FROM runs WHERE task = ?) AS number FROM runs
         WHERE task = ? ORDER BY id DESC LIMIT 1`,
      )
      .get(task, task);
    return row === undefined ? undefined : toRun(row);
  }

  /** Whether a run of this conversation told anything: only then does the agent know it. */
  hasTold(task: TaskId, session: string): boolean {
    return this.#database
      .prepare<[string, string], { summary: string | null }>(
        'SELECT summary FROM runs WHERE task = ? AND session = ?',
      )
      .all(task, session)
      .some(({ summary }) => parseSummary(summary).events > 0);
  }

  /** What the runs before this one came to that were part of the same conversation. */
  earlier(task: TaskId, id: number, session: string | undefined): readonly RunSummary[] {
    if (session === undefined) return [];
    return this.#database
      .prepare<[string, number, string], { summary: string | null }>(
        'SELECT summary FROM runs WHERE task = ? AND id < ? AND session = ? ORDER BY id',
      )
      .all(task, id, session)
      .map(({ summary }) => parseSummary(summary));
  }

  setSession(id: number, session: string): void {
    this.#database.prepare('UPDATE runs SET session = ? WHERE id = ?').run(session, id);
  }

  end(id: number, end: RunEnd): void {
    this.#database
      .prepare(
        `UPDATE runs SET ended_at = ?, exit_code = ?, failure = ?, session = coalesce(?, session), summary = ?
         WHERE id = ?`,
      )
      .run(
        end.endedAt,
        end.exitCode ?? null,
        end.failure ?? null,
        end.session ?? null,
        JSON.stringify(end.summary),
        id,
      );
  }

  remove(id: number): void {
    this.#database.prepare('DELETE FROM runs WHERE id = ?').run(id);
  }
}

function toRun(row: RunRow): StoredRun {
  return {
    id: row.id,
    number: row.number,
    prompt: row.prompt,
    createdAt: row.created_at,
    endedAt: row.ended_at ?? undefined,
    exitCode: row.exit_code ?? undefined,
    failure: row.failure ?? undefined,
    session: row.session ?? undefined,
    summary: parseSummary(row.summary),
  };
}

/** Runs of earlier releases have none, and one that this release does not understand tells it nothing. */
function parseSummary(text: string | null): RunSummary {
  if (text === null) return EMPTY_SUMMARY;
  const parsed = RunSummary.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : EMPTY_SUMMARY;
}

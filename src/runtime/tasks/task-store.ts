import type { StateDatabase } from '../core/database.ts';
import type { TaskId } from '../core/ids.ts';
import type { EgressRule } from '../shield/contract.ts';
import type { Task } from './contract.ts';
import { type RunEnd, RunStore } from './run-store.ts';
import type { NewStart, RestartIntent, TaskChange, TaskIntent, TaskOrigin } from './task-intents.ts';
import { BeforeRestart, type TaskRow, TaskSettings, toTask } from './task-row.ts';

const COLUMNS = {
  state: 'state',
  exitCode: 'exit_code',
  failure: 'failure',
  startedAt: 'started_at',
  finishedAt: 'finished_at',
  baseBranch: 'base_branch',
  image: 'image',
  session: 'session',
} as const;

/** Tasks, their gate tokens (hashed) and opened destinations, in the state database. */
export class TaskStore {
  readonly runs: RunStore;
  readonly #database: StateDatabase;

  constructor(deps: { readonly database: StateDatabase }) {
    this.#database = deps.database;
    this.runs = new RunStore(deps);
  }

  insert({ task, ...start }: TaskIntent): void {
    this.#transaction(() => {
      this.#database
        .prepare(
          `INSERT INTO tasks (id, project, name, mode, agent, restricted, state, container, base_branch,
             created_at, web_port, settings, session, web_token_hash)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          task.id,
          task.project,
          task.name,
          task.mode,
          task.agent,
          task.restricted ? 1 : 0,
          task.state,
          task.container,
          task.baseBranch,
          task.createdAt,
          task.webPort ?? null,
          ...startColumns(start),
        );
      this.#startWith(task.id, start, task.createdAt);
    });
  }

  update(id: TaskId, change: TaskChange): Task {
    const changed = Object.entries(COLUMNS).flatMap(([key, column]) => {
      const value = Object.entries(change).find(([name]) => name === key)?.[1];
      return value === undefined ? [] : [{ column, value }];
    });
    return this.#updated(
      id,
      changed.map(({ column }) => `${column} = ?`).join(', '),
      changed.map(({ value }) => value),
    );
  }

  /** The conversation of its agent, and of the run in which it named it. */
  setSession(id: TaskId, run: number, session: string): void {
    this.#transaction(() => {
      this.runs.setSession(run, session);
      this.update(id, { session });
    });
  }

  /** The task, and its run where it has one, end together. */
  end(id: TaskId, change: TaskChange, run: (RunEnd & { readonly id: number }) | undefined): Task {
    return this.#transaction(() => {
      if (run !== undefined) this.runs.end(run.id, run);
      return this.update(id, change);
    });
  }

  /**
   * A task that has ended is to start again: nothing of how it ended shows any more, and none of its old tokens opens
   * anything. `abandonRestart` makes it what it was.
   */
  beginRestart({ id, at, restricted, webPort, logOffset, ...start }: RestartIntent): Task {
    return this.#transaction(() => {
      const before = this.#database.prepare<[string], TaskRow>('SELECT * FROM tasks WHERE id = ?').get(id);
      this.#startWith(id, start, at);
      return this.#updated(
        id,
        `state = 'restarting', before_restart = ?, exit_code = NULL, failure = NULL, finished_at = NULL,
         started_at = ?, restricted = ?, web_port = ?, log_offset = ?, settings = ?, session = ?,
         web_token_hash = ?`,
        [
          JSON.stringify(BeforeRestart.parse(before)),
          at,
          restricted ? 1 : 0,
          webPort ?? null,
          logOffset,
          ...startColumns(start),
        ],
      );
    });
  }

  /** Its container runs again. */
  commitRestart(id: TaskId): Task {
    return this.#updated(id, "state = 'starting', before_restart = NULL", []);
  }

  /** It is what it was before. `cutOff` is how its run ended; without it there never was one. */
  abandonRestart(id: TaskId, cutOff?: { readonly at: string; readonly failure: string }): Task {
    return this.#transaction(() => {
      const kept = this.#database
        .prepare<[string], { before_restart: string | null }>('SELECT before_restart FROM tasks WHERE id = ?')
        .get(id)?.before_restart;
      if (kept === undefined || kept === null) throw new Error(`task ${id} is not being restarted`);
      const before = BeforeRestart.parse(JSON.parse(kept));
      const run = this.runs.last(id);
      if (run !== undefined && run.endedAt === undefined) {
        if (cutOff === undefined) this.runs.remove(run.id);
        else this.runs.end(run.id, { ...run, ...cutOff, endedAt: cutOff.at });
      }
      const columns = Object.entries(before);
      return this.#updated(
        id,
        `before_restart = NULL, ${columns.map(([column]) => `${column} = ?`).join(', ')}`,
        columns.map(([, value]) => value),
      );
    });
  }

  get(id: string): Task | undefined {
    const row = this.#database.prepare<[string], TaskRow>('SELECT * FROM tasks WHERE id = ?').get(id);
    return row === undefined ? undefined : toTask(row);
  }

  /** Undefined for an unknown task. Throws for settings that this release does not understand. */
  origin(id: TaskId): TaskOrigin | undefined {
    const row = this.#database
      .prepare<
        [string],
        { settings: string; session: string | null; image: string | null; log_offset: number }
      >('SELECT settings, session, image, log_offset FROM tasks WHERE id = ?')
      .get(id);
    if (row === undefined) return undefined;
    return {
      settings: TaskSettings.parse(JSON.parse(row.settings)),
      session: row.session ?? undefined,
      image: row.image ?? undefined,
      logOffset: row.log_offset,
    };
  }

  withPrefix(prefix: string): readonly Task[] {
    return this.#database
      .prepare<[string, string], TaskRow>(
        'SELECT * FROM tasks WHERE substr(id, 1, length(?)) = ? ORDER BY id LIMIT 5',
      )
      .all(prefix, prefix)
      .map(toTask);
  }

  list(): readonly Task[] {
    return this.#database
      .prepare<[], TaskRow>('SELECT * FROM tasks ORDER BY created_at DESC, id')
      .all()
      .map(toTask);
  }

  remove(id: TaskId): void {
    this.#database.prepare('DELETE FROM tasks WHERE id = ?').run(id);
  }

  tokenHash(id: TaskId): Uint8Array | undefined {
    return this.#database
      .prepare<[string], { hash: Buffer }>('SELECT hash FROM gate_tokens WHERE task = ?')
      .get(id)?.hash;
  }

  webTokenHash(id: TaskId): Uint8Array | undefined {
    return (
      this.#database
        .prepare<[string], { web_token_hash: Buffer | null }>('SELECT web_token_hash FROM tasks WHERE id = ?')
        .get(id)?.web_token_hash ?? undefined
    );
  }

  setWebTokenHash(id: TaskId, hash: Uint8Array): void {
    this.#database.prepare('UPDATE tasks SET web_token_hash = ? WHERE id = ?').run(hash, id);
  }

  egressRules(id: TaskId): readonly EgressRule[] {
    return this.#database
      .prepare<[string], { address: string; port: number; protocol: 'tcp' | 'udp' }>(
        'SELECT address, port, protocol FROM egress_rules WHERE task = ? ORDER BY address, protocol, port',
      )
      .all(id);
  }

  addEgressRule(id: TaskId, rule: EgressRule): void {
    this.#database
      .prepare('INSERT OR IGNORE INTO egress_rules (task, address, port, protocol) VALUES (?, ?, ?, ?)')
      .run(id, rule.address, rule.port, rule.protocol);
  }

  #startWith(id: TaskId, { tokenHash, run, session }: NewStart, createdAt: string): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO gate_tokens (task, hash) VALUES (?, ?)')
      .run(id, tokenHash);
    if (run !== undefined) this.runs.insert({ task: id, prompt: run.prompt, session, createdAt });
  }

  #updated(id: TaskId, assignments: string, values: readonly unknown[]): Task {
    const row = this.#database
      .prepare<unknown[], TaskRow>(`UPDATE tasks SET ${assignments} WHERE id = ? RETURNING *`)
      .get(...values, id);
    if (row === undefined) throw new Error(`task ${id} vanished while it was updated`);
    return toTask(row);
  }

  #transaction<T>(work: () => T): T {
    return this.#database.transaction(work).immediate();
  }
}

const startColumns = ({ settings, session, webTokenHash }: NewStart): readonly unknown[] => [
  JSON.stringify(settings),
  session ?? null,
  webTokenHash ?? null,
];

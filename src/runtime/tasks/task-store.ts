import { z } from 'zod';
import type { StateDatabase } from '../core/database.ts';
import { TaskId } from '../core/ids.ts';
import type { EgressRule } from '../shield/contract.ts';
import { type Task, TaskMode, TaskState } from './contract.ts';

interface TaskRow {
  id: string;
  project: string;
  name: string;
  mode: string;
  agent: string;
  restricted: number;
  state: string;
  container: string;
  base_branch: string;
  exit_code: number | null;
  failure: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

/** What whoever made a task said about how its agent is run: the layer that a follow-up keeps. */
export const TaskSettings = z.object({
  preset: z.string().optional(),
  model: z.string().optional(),
  maxTurns: z.int().optional(),
  timeoutS: z.int().optional(),
  instructions: z.string().optional(),
  subagents: z.array(z.string()).readonly().optional(),
  restricted: z.boolean().optional(),
});
export type TaskSettings = z.infer<typeof TaskSettings>;

/** What a task was made of, beside what it is. */
export interface TaskOrigin {
  readonly settings: TaskSettings;
  /** Conversation of its agent, where its id is known. */
  readonly session: string | undefined;
  /** Undefined until one was found. */
  readonly image: string | undefined;
}

export interface TaskIntent {
  readonly task: Task;
  readonly prompt: string | undefined;
  readonly tokenHash: Uint8Array;
  readonly settings: TaskSettings;
  readonly session: string | undefined;
}

export type TaskChange = Partial<
  Pick<Task, 'state' | 'exitCode' | 'failure' | 'startedAt' | 'finishedAt' | 'baseBranch'>
> & { readonly image?: string };

/** Tasks, their prompts, gate tokens (hashed) and opened destinations, in the state database. */
export class TaskStore {
  readonly #database: StateDatabase;

  constructor(deps: { readonly database: StateDatabase }) {
    this.#database = deps.database;
  }

  insert({ task, prompt, tokenHash, settings, session }: TaskIntent): void {
    const insert = this.#database.transaction(() => {
      this.#database
        .prepare(
          `INSERT INTO tasks (id, project, name, mode, agent, restricted, state, container, base_branch,
             created_at, settings, session)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
          JSON.stringify(settings),
          session ?? null,
        );
      this.#database.prepare('INSERT INTO gate_tokens (task, hash) VALUES (?, ?)').run(task.id, tokenHash);
      if (prompt !== undefined) {
        this.#database
          .prepare('INSERT INTO runs (task, prompt, created_at) VALUES (?, ?, ?)')
          .run(task.id, prompt, task.createdAt);
      }
    });
    insert.immediate();
  }

  update(id: TaskId, change: TaskChange): Task {
    const columns: Record<string, string | number | null> = {};
    if (change.state !== undefined) columns['state'] = change.state;
    if (change.exitCode !== undefined) columns['exit_code'] = change.exitCode;
    if (change.failure !== undefined) columns['failure'] = change.failure;
    if (change.startedAt !== undefined) columns['started_at'] = change.startedAt;
    if (change.finishedAt !== undefined) columns['finished_at'] = change.finishedAt;
    if (change.baseBranch !== undefined) columns['base_branch'] = change.baseBranch;
    if (change.image !== undefined) columns['image'] = change.image;
    const assignments = Object.keys(columns).map((column) => `${column} = ?`);
    const row = this.#database
      .prepare<unknown[], TaskRow>(`UPDATE tasks SET ${assignments.join(', ')} WHERE id = ? RETURNING *`)
      .get(...Object.values(columns), id);
    if (row === undefined) throw new Error(`task ${id} vanished while it was updated`);
    return toTask(row);
  }

  get(id: string): Task | undefined {
    const row = this.#database.prepare<[string], TaskRow>('SELECT * FROM tasks WHERE id = ?').get(id);
    return row === undefined ? undefined : toTask(row);
  }

  /** Undefined for an unknown task. Throws for settings that this release does not understand. */
  origin(id: TaskId): TaskOrigin | undefined {
    const row = this.#database
      .prepare<[string], { settings: string; session: string | null; image: string | null }>(
        'SELECT settings, session, image FROM tasks WHERE id = ?',
      )
      .get(id);
    if (row === undefined) return undefined;
    const settings = TaskSettings.parse(JSON.parse(row.settings));
    return { settings, session: row.session ?? undefined, image: row.image ?? undefined };
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
}

function toTask(row: TaskRow): Task {
  return {
    id: TaskId.parse(row.id),
    project: row.project,
    name: row.name,
    mode: TaskMode.parse(row.mode),
    agent: row.agent,
    restricted: row.restricted === 1,
    state: TaskState.parse(row.state),
    container: row.container,
    baseBranch: row.base_branch,
    exitCode: row.exit_code ?? undefined,
    failure: row.failure ?? undefined,
    createdAt: row.created_at,
    startedAt: row.started_at ?? undefined,
    finishedAt: row.finished_at ?? undefined,
  };
}

import { z } from 'zod';
import type { Clock } from './clock.ts';
import type { StateDatabase } from './database.ts';

/** One thing that happened, kept for ever and shown to people: who did what to which task, when. */
export interface RecordedEvent {
  readonly id: number;
  readonly at: string;
  readonly project: string | undefined;
  readonly task: string | undefined;
  /** `person`, `client`, `agent` or `system`. */
  readonly actor: EventActor;
  /** Dotted, past tense: `task.created`, `egress.refused`, `gate.pushed`, `promotion.pushed`. */
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export const EventActor = z.enum(['person', 'client', 'agent', 'system']);
export type EventActor = z.infer<typeof EventActor>;

export interface EventInput {
  readonly project?: string | undefined;
  readonly task?: string | undefined;
  readonly actor: EventActor;
  readonly kind: string;
  readonly data?: Readonly<Record<string, unknown>> | undefined;
}

export interface EventLog {
  record(event: EventInput): RecordedEvent;
  forTask(
    task: string,
    options?: { readonly kinds?: readonly string[]; readonly limit?: number },
  ): readonly RecordedEvent[];
  /** Called synchronously after each record; returns the way to stop. */
  subscribe(listener: (event: RecordedEvent) => void): () => void;
}

const EventData = z.record(z.string(), z.unknown());

interface EventRow {
  id: number;
  at: string;
  project: string | null;
  task: string | null;
  actor: string;
  kind: string;
  data: string;
}

export class DatabaseEventLog implements EventLog {
  readonly #database: StateDatabase;
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: RecordedEvent) => void>();

  constructor(deps: { readonly database: StateDatabase; readonly clock: Clock }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
  }

  record(event: EventInput): RecordedEvent {
    const at = this.#clock.now().toISOString();
    const data = event.data ?? {};
    const { lastInsertRowid } = this.#database
      .prepare('INSERT INTO events (at, project, task, actor, kind, data) VALUES (?, ?, ?, ?, ?, ?)')
      .run(at, event.project ?? null, event.task ?? null, event.actor, event.kind, JSON.stringify(data));
    const recorded: RecordedEvent = {
      id: Number(lastInsertRowid),
      at,
      project: event.project,
      task: event.task,
      actor: event.actor,
      kind: event.kind,
      data,
    };
    for (const listener of this.#listeners) listener(recorded);
    return recorded;
  }

  forTask(
    task: string,
    options: { readonly kinds?: readonly string[]; readonly limit?: number } = {},
  ): readonly RecordedEvent[] {
    const kinds = options.kinds ?? [];
    const filter = kinds.length === 0 ? '' : `AND kind IN (${kinds.map(() => '?').join(',')})`;
    const rows = this.#database
      .prepare<unknown[], EventRow>(`SELECT * FROM events WHERE task = ? ${filter} ORDER BY id DESC LIMIT ?`)
      .all(task, ...kinds, options.limit ?? 200);
    return rows.reverse().map(toEvent);
  }

  subscribe(listener: (event: RecordedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function toEvent(row: EventRow): RecordedEvent {
  return {
    id: row.id,
    at: row.at,
    project: row.project ?? undefined,
    task: row.task ?? undefined,
    actor: EventActor.parse(row.actor),
    kind: row.kind,
    data: EventData.parse(JSON.parse(row.data)),
  };
}

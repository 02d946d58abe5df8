import type { StateDatabase } from '../core/database.ts';
import type { Approval, ApprovalKind } from './contract.ts';

interface ApprovalRow {
  id: string;
  kind: ApprovalKind;
  project: string;
  subject: string;
  summary: string;
  state: Approval['state'];
  requested_by: string;
  created_at: string;
  expires_at: string;
  settled_at: string | null;
  settled_by: string | null;
  outcome: string | null;
}

export interface Settlement {
  readonly state: 'approved' | 'denied' | 'expired' | 'void';
  readonly at: string;
  readonly by: string | undefined;
  readonly outcome: string | undefined;
}

const MAX_LISTED = 200;

/** Approvals as rows. A row leaves `pending` once: every settlement names that state as its condition. */
export class ApprovalStore {
  readonly #database: StateDatabase;

  constructor(deps: { readonly database: StateDatabase }) {
    this.#database = deps.database;
  }

  /** Runs synchronously as one transaction. */
  atomically<T>(operation: () => T): T {
    return this.#database.transaction(operation).immediate();
  }

  insert(approval: Approval): void {
    this.#database
      .prepare(
        `INSERT INTO approvals (id, kind, project, subject, summary, state, requested_by, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?)`,
      )
      .run(
        approval.id,
        approval.kind,
        approval.project,
        approval.subject,
        approval.summary,
        approval.requestedBy,
        approval.createdAt,
        approval.expiresAt,
      );
  }

  find(id: string): Approval | undefined {
    return this.#select('WHERE id = ?', [id])[0];
  }

  findPending(wanted: {
    readonly kind: ApprovalKind;
    readonly project: string;
    readonly subject: string;
  }): Approval | undefined {
    return this.#select("WHERE state = 'pending' AND kind = ? AND project = ? AND subject = ?", [
      wanted.kind,
      wanted.project,
      wanted.subject,
    ])[0];
  }

  pending(): readonly Approval[] {
    return this.#select("WHERE state = 'pending' ORDER BY created_at, rowid", []);
  }

  /** Newest first. */
  recent(): readonly Approval[] {
    return this.#select('ORDER BY created_at DESC, rowid DESC LIMIT ?', [MAX_LISTED]);
  }

  /** False when it was settled already. */
  settle(id: string, settlement: Settlement): boolean {
    const { changes } = this.#database
      .prepare(
        "UPDATE approvals SET state = ?, settled_at = ?, settled_by = ?, outcome = ? WHERE id = ? AND state = 'pending'",
      )
      .run(settlement.state, settlement.at, settlement.by ?? null, settlement.outcome ?? null, id);
    return changes === 1;
  }

  #select(where: string, parameters: readonly (string | number)[]): readonly Approval[] {
    return this.#database
      .prepare<unknown[], ApprovalRow>(`SELECT * FROM approvals ${where}`)
      .all(...parameters)
      .map((row) => ({
        id: row.id,
        kind: row.kind,
        project: row.project,
        subject: row.subject,
        summary: row.summary,
        state: row.state,
        requestedBy: row.requested_by,
        createdAt: row.created_at,
        expiresAt: row.expires_at,
        settledAt: row.settled_at ?? undefined,
        settledBy: row.settled_by ?? undefined,
        outcome: row.outcome ?? undefined,
      }));
  }
}

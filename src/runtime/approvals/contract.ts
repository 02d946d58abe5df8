/** A request that waits for a person: durable, expiring, settled once. */
export interface Approval {
  readonly id: string;
  readonly kind: ApprovalKind;
  readonly project: string;
  /** What exactly would happen, as data of the kind; equal subjects are one request. */
  readonly subject: string;
  /** One line for people, in our own words plus cleaned text. */
  readonly summary: string;
  readonly state: 'pending' | 'approved' | 'denied' | 'expired' | 'void';
  readonly requestedBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly settledAt: string | undefined;
  readonly settledBy: string | undefined;
  /** What came of it: the result of the effect, or why it was void. */
  readonly outcome: string | undefined;
}

export type ApprovalKind = 'promotion' | 'egress' | 'budget';

export interface ApprovalRequest {
  readonly kind: ApprovalKind;
  readonly project: string;
  readonly subject: string;
  readonly summary: string;
  readonly requestedBy: string;
  readonly lifetimeMs: number;
}

/** Does what was approved. Throwing a ConflictError or NotFoundError voids the request; anything else leaves it pending. */
export type ApprovalEffect = (approval: Approval, signal?: AbortSignal) => Promise<string>;

export interface Approvals {
  /** Parks a request, or returns the pending one with the same subject. */
  request(request: ApprovalRequest): Approval;
  list(options?: { readonly pendingOnly?: boolean }): readonly Approval[];
  /** Throws NotFoundError. */
  get(id: string): Approval;
  /** Runs the effect of its kind and settles. Throws NotFoundError, ConflictError (settled, expired) or what the effect threw. */
  approve(id: string, by: string, signal?: AbortSignal): Promise<Approval>;
  deny(id: string, by: string): Approval;
  /** Settles every pending request of which `isVoid` says so: its commit moved, its task went. */
  voidWhere(kind: ApprovalKind, isVoid: (approval: Approval) => boolean, outcome: string): void;
  /** Says what approving means for a kind; once per kind, at start-up. */
  onApproved(kind: ApprovalKind, effect: ApprovalEffect): void;
}

export type ErrorCode =
  | 'INVALID_INPUT'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'POLICY_DENIED'
  | 'HOST_UNSUPPORTED'
  | 'COMMAND_FAILED'
  | 'CANCELLED';

export interface ErrorDetail {
  /** What the caller can do about it, in our own words. */
  readonly hint?: string | undefined;
  /** Facts from outside (stderr, an upstream's answer): untrusted, already bounded and cleaned by the thrower. */
  readonly details?: string | undefined;
  readonly cause?: unknown;
}

/**
 * Every failure a caller can act on. `message` says what happened and `hint` what to do, both in our own
 * words; match on `code`, never on text. Anything thrown that is not a RuntimeError is a bug.
 */
export abstract class RuntimeError extends Error {
  abstract readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: string | undefined;

  constructor(message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = new.target.name;
    this.hint = detail.hint;
    this.details = detail.details;
  }
}

export class InvalidInputError extends RuntimeError {
  readonly code = 'INVALID_INPUT';
}
export class NotFoundError extends RuntimeError {
  readonly code = 'NOT_FOUND';
}
export class ConflictError extends RuntimeError {
  readonly code = 'CONFLICT';
}
export class PolicyError extends RuntimeError {
  readonly code = 'POLICY_DENIED';
}
export class HostError extends RuntimeError {
  readonly code = 'HOST_UNSUPPORTED';
}
export class CommandError extends RuntimeError {
  readonly code = 'COMMAND_FAILED';
}
export class CancelledError extends RuntimeError {
  readonly code = 'CANCELLED';
}

/** Closes a `switch` over a union: the compiler refuses a forgotten member. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}

/** What a failed write means to people, when the medium is what failed; undefined for anything else. */
export function describeStorageFailure(error: unknown): HostError | undefined {
  const code = codeOf(error);
  if (code === undefined || !STORAGE_CODES.test(code)) return undefined;
  return new HostError('The disk is full, or cannot be written', {
    hint: 'Free some space on the disk of the state and runtime directories (see "terok-mcp doctor") and try again; nothing is lost.',
    details: code,
    cause: error,
  });
}

// SQLite's own, where it cannot grow a file or its shared memory, and the system's.
const STORAGE_CODES =
  /^(?:SQLITE_FULL|SQLITE_IOERR(?:_WRITE|_FSYNC|_SHMSIZE|_SHMOPEN|_TRUNCATE|_DIR_FSYNC)?|ENOSPC|EDQUOT|EROFS)$/;

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string' && STORAGE_CODES.test(error.code)) return error.code;
  return codeOf(error.cause);
}

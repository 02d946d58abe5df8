/** Why a request gets no answer of its upstream. */
export class Refusal extends Error {
  readonly status: number;
  /** One word of ours for the audit. */
  readonly outcome: string;

  constructor(status: number, outcome: string, message: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.outcome = outcome;
  }
}

/** No "overloaded_error": Claude Code puts words of its own, of a vendor at its limits, in the place of ours. */
const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  413: 'request_too_large',
  417: 'invalid_request_error',
  501: 'invalid_request_error',
};

/** The body of an error, in the shape that programs for language models print. */
export function errorBody(refusal: Pick<Refusal, 'status' | 'message'>): string {
  const type = TYPES[refusal.status] ?? 'api_error';
  return `${JSON.stringify({ type: 'error', error: { type, message: refusal.message } })}\n`;
}

import { RuntimeError } from '../core/errors.ts';
import type { Doctor, Finding } from './contract.ts';

export interface Check {
  readonly id: string;
  /** Changes nothing. What it throws becomes a `fail` finding. */
  run(signal: AbortSignal): Promise<Omit<Finding, 'check'>>;
}

const CHECK_DEADLINE_MS = 20_000;

export class DoctorService implements Doctor {
  readonly #checks: readonly Check[];
  readonly #deadlineMs: number;

  constructor(deps: { readonly checks: readonly Check[]; readonly deadlineMs?: number }) {
    this.#checks = deps.checks;
    this.#deadlineMs = deps.deadlineMs ?? CHECK_DEADLINE_MS;
  }

  async examine(signal?: AbortSignal): Promise<readonly Finding[]> {
    return await Promise.all(this.#checks.map(async (check) => await this.#run(check, signal)));
  }

  async #run({ id, run }: Check, signal: AbortSignal | undefined): Promise<Finding> {
    const deadline = AbortSignal.timeout(this.#deadlineMs);
    const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    try {
      return { check: id, ...(await within(run(either), either)) };
    } catch (error) {
      if (deadline.aborted && signal?.aborted !== true) {
        return {
          check: id,
          level: 'fail',
          message: `no answer within ${this.#deadlineMs / 1000} s`,
          fix: 'See whether the host is overloaded, then try again.',
        };
      }
      return { check: id, level: 'fail', ...describe(error) };
    }
  }
}

/** A check that ignores its signal does not hold up the others. */
async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function describe(error: unknown): { readonly message: string; readonly fix?: string } {
  if (!(error instanceof RuntimeError))
    return { message: 'the check itself failed', fix: 'The daemon log has the reason.' };
  const lastLine = error.details?.trim().split('\n').at(-1);
  const message =
    lastLine === undefined || lastLine === '' ? error.message : `${error.message} (${lastLine})`;
  return error.hint === undefined ? { message } : { message, fix: error.hint };
}

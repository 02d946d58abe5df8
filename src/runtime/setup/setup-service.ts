import { CancelledError, RuntimeError } from '../core/errors.ts';
import type { Finding } from '../doctor/contract.ts';
import type { Setup, SetupStep } from './contract.ts';
import { failing } from './finding.ts';

/** Steps of one stage do not depend on each other; a stage is worth trying only when those before it are fine. */
export type Stage = readonly SetupStep[];

/**
 * Brings the host into the state that tasks need, a stage at a time. Within a stage it goes on past a step
 * that this user cannot do, so that one run names everything an administrator has to do.
 */
export class SetupService implements Setup {
  readonly #stages: readonly Stage[];

  constructor(deps: { readonly stages: readonly Stage[] }) {
    this.#stages = deps.stages;
  }

  async run(
    options: { readonly check: boolean; readonly progress: (message: string) => void },
    signal?: AbortSignal,
  ): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    for (const stage of this.#stages) {
      const isBlocked = findings.some((finding) => finding.level === 'fail');
      for (const step of stage) {
        findings.push(isBlocked ? notReached(step) : await this.#settle(step, options, signal));
      }
    }
    return findings;
  }

  async #settle(
    step: SetupStep,
    options: { readonly check: boolean; readonly progress: (message: string) => void },
    signal: AbortSignal | undefined,
  ): Promise<Finding> {
    try {
      const before = await step.check(signal);
      if (options.check || before.level === 'ok') return before;
      options.progress(step.title);
      await step.apply(options.progress, signal);
      return await step.check(signal);
    } catch (error) {
      if (signal?.aborted === true || error instanceof CancelledError) throw error;
      return describe(step, error);
    }
  }
}

const notReached = (step: SetupStep): Finding =>
  failing(step.id, 'not looked at: something it needs is missing', 'See the findings above.');

function describe(step: SetupStep, error: unknown): Finding {
  if (!(error instanceof RuntimeError)) throw error;
  const message = error.details === undefined ? error.message : `${error.message}: ${error.details}`;
  return failing(step.id, message, error.hint);
}

import type { Turn } from './conversation.ts';

/**
 * What the model does next. `run` and `write` become calls of whatever tool the agent offers for that; `times` is
 * how often a failure is given before the next step takes its place (default: for ever).
 */
export type Step =
  | { readonly run: string }
  | { readonly write: { readonly path: string; readonly content: string } }
  | { readonly text: string }
  | { readonly error: Failure }
  /** The request is taken and never answered. */
  | { readonly hang: true }
  | { readonly after: Promise<unknown>; readonly next: Step };

export interface Failure {
  readonly status: number;
  readonly type?: string;
  readonly message?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly times?: number;
}

export type Script = readonly Step[];

/** A script for all, or one for each conversation. */
export type Scripts = Script | ((conversation: readonly Turn[]) => Script);

/** Where in its script a conversation is: as many steps are done as there are results since the last prompt. */
export function stepsDone(conversation: readonly Turn[]): number {
  const prompt = conversation.findLastIndex(({ kind }) => kind === 'user');
  return conversation.slice(prompt + 1).filter(({ kind }) => kind === 'tool_result').length;
}

const NOTHING: Step = { text: 'There is nothing to do.' };

/**
 * The step that comes when `done` are done, the last of them for ever. A failure that passes is no step: it comes
 * before the next one, as often as `isStillFailing` says of it.
 */
export function nextStep(script: Script, done: number, isStillFailing: (failure: Failure) => boolean): Step {
  let left = done;
  let last = NOTHING;
  for (const step of script) {
    if ('error' in step && step.error.times !== undefined) {
      if (left === 0 && isStillFailing(step.error)) return step;
      continue;
    }
    if (left === 0) return step;
    left -= 1;
    last = step;
  }
  return last;
}

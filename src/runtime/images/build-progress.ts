import type { Progress } from '../engine/contract.ts';

const MAX_LENGTH = 100;

/**
 * A build's output as a person wants to follow it: every step, and in a long one a sign of life every
 * `intervalMs`. The whole output matters only when the build fails, and then it is in the error.
 */
export function followBuild(
  progress: Progress,
  options: { readonly monotonicMs: () => number; readonly intervalMs: number },
): Progress {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (line) => {
    const text = line
      .trim()
      .replace(/\s+/g, ' ')
      .replace(/--mount=\S+ /g, '')
      .replace(/RUN sh \S+\/install-agent\.sh (\S+) .*/, 'install $1');
    const isStep = /^STEP [0-9]+\/[0-9]+: (?!LABEL )/.test(text);
    const isSignOfLife = /^(?:Get:|Unpacking |Setting up |added [0-9]+ packages)/.test(text);
    const now = options.monotonicMs();
    if (!isStep && !(isSignOfLife && now - lastMs >= options.intervalMs)) return;
    lastMs = now;
    progress(text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH)}…`);
  };
}

import type { EventFormat, RunSummary, Usage } from '../transcript/contract.ts';

/** Formats whose agents count what their whole conversation used, earlier runs included. */
const COUNT_CONVERSATION: readonly EventFormat[] = ['codex'];

/** The summary with what this run alone used (pure); `earlier` are the runs before it in the same conversation. */
export function withOwnUsage(
  summary: RunSummary,
  format: EventFormat,
  earlier: readonly RunSummary[],
): RunSummary {
  const { usage } = summary;
  if (usage === undefined || !COUNT_CONVERSATION.includes(format)) return summary;
  const own = (count: (of: Usage) => number): number =>
    earlier.reduce((rest, run) => rest - (run.usage === undefined ? 0 : count(run.usage)), count(usage));
  const inputTokens = own((of) => of.inputTokens);
  const cachedInputTokens = own((of) => of.cachedInputTokens);
  const outputTokens = own((of) => of.outputTokens);
  // It did not count as we think it does: then what it said stands.
  if (inputTokens < 0 || cachedInputTokens < 0 || outputTokens < 0) return summary;
  return { ...summary, usage: { ...usage, inputTokens, cachedInputTokens, outputTokens } };
}

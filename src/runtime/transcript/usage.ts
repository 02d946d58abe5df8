import type { Usage } from './contract.ts';

/** Beyond any real count or sum; whole numbers are exact up to it. */
const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;

export function addUsage(before: Usage | undefined, turn: Usage): Usage {
  if (before === undefined) return boundedUsage(turn);
  const costUsd =
    before.costUsd === undefined && turn.costUsd === undefined
      ? undefined
      : (before.costUsd ?? 0) + (turn.costUsd ?? 0);
  return boundedUsage({
    inputTokens: before.inputTokens + turn.inputTokens,
    cachedInputTokens: before.cachedInputTokens + turn.cachedInputTokens,
    outputTokens: before.outputTokens + turn.outputTokens,
    costUsd,
  });
}

export const boundedUsage = ({ inputTokens, cachedInputTokens, outputTokens, costUsd }: Usage): Usage => ({
  inputTokens: Math.min(MAX_AMOUNT, inputTokens),
  cachedInputTokens: Math.min(MAX_AMOUNT, cachedInputTokens),
  outputTokens: Math.min(MAX_AMOUNT, outputTokens),
  ...(costUsd === undefined ? {} : { costUsd: Math.min(MAX_AMOUNT, costUsd) }),
});

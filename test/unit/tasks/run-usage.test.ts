import { describe, expect, it } from 'vitest';
import { withOwnUsage } from '../../../src/runtime/tasks/run-usage.ts';
import { EMPTY_SUMMARY, type RunSummary } from '../../../src/runtime/transcript/contract.ts';

const used = (inputTokens: number, cachedInputTokens: number, outputTokens: number): RunSummary => ({
  ...EMPTY_SUMMARY,
  usage: { inputTokens, cachedInputTokens, outputTokens },
});

describe('what a run used', () => {
  it('is what its agent says, where that counts each run', () => {
    const now = used(10, 2, 3);
    expect(withOwnUsage(now, 'claude', [used(8, 1, 1)])).toBe(now);
  });

  it('is what came on top, where the agent counts its whole conversation', () => {
    const second = withOwnUsage(used(10, 2, 3), 'codex', [used(4, 1, 1)]);
    expect(second.usage).toEqual({ inputTokens: 6, cachedInputTokens: 1, outputTokens: 2 });
    const third = withOwnUsage(used(15, 2, 5), 'codex', [used(4, 1, 1), second]);
    expect(third.usage).toEqual({ inputTokens: 5, cachedInputTokens: 0, outputTokens: 2 });
  });

  it('is what the agent says when the difference makes no sense, and nothing where it says nothing', () => {
    const now = used(3, 0, 1);
    expect(withOwnUsage(now, 'codex', [used(4, 1, 1)])).toBe(now);
    expect(withOwnUsage(EMPTY_SUMMARY, 'codex', [used(4, 1, 1)])).toBe(EMPTY_SUMMARY);
  });
});

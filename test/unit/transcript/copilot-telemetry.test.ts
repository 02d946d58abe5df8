import { describe, expect, it } from 'vitest';
import { parseEvents } from '../../../src/runtime/transcript/parse-events.ts';

const scope = { instrumentationScope: { name: 'github.copilot', version: '1.0.102' } };
const chat = {
  'gen_ai.operation.name': 'chat',
  'gen_ai.usage.input_tokens': 100,
  'gen_ai.usage.output_tokens': 20,
  'gen_ai.usage.cache_read.input_tokens': 40,
};
const said = (value: unknown, stream: 'stdout' | 'stderr' = 'stderr') =>
  parseEvents('copilot', { stream, text: typeof value === 'string' ? value : JSON.stringify(value) });

describe('telemetry of Copilot on standard error', () => {
  it('says what each call of the model used', () => {
    expect(said({ type: 'span', name: 'chat gpt-5', attributes: chat, ...scope })).toEqual([
      { kind: 'usage', isTotal: false, inputTokens: 100, cachedInputTokens: 40, outputTokens: 20 },
    ]);
  });

  it('tells nothing besides: not its sums, its other spans and its metrics, and not a call that failed', () => {
    const run = { ...chat, 'gen_ai.operation.name': 'invoke_agent' };
    expect(said({ type: 'span', attributes: run, ...scope })).toEqual([]);
    expect(said({ type: 'span', attributes: { 'gen_ai.operation.name': 'chat' }, ...scope })).toEqual([]);
    expect(said({ type: 'metric', name: 'tokens', dataPoints: [], ...scope })).toEqual([]);
  });

  it('is text when it is of another kind, broken, or printed where events are', () => {
    for (const line of [
      '{"type":"span"',
      '{"type":"span","attributes":{}}',
      'Error: {"type":"metric"}',
      'null',
    ])
      expect(said(line)).toMatchObject([{ kind: 'text', stream: 'stderr' }]);
    const span = { type: 'span', attributes: chat, ...scope };
    expect(said(span, 'stdout')).toMatchObject([{ kind: 'text', stream: 'stdout' }]);
    const hostile = {
      ...chat,
      'gen_ai.usage.output_tokens': -1,
      'gen_ai.usage.cache_read.input_tokens': 'x',
    };
    expect(said({ type: 'span', attributes: hostile, ...scope })).toMatchObject([
      { cachedInputTokens: 0, outputTokens: 0 },
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { Bill, ConversationBill, modelOfBody } from '../../../src/runtime/vault/proxy/bill.ts';
import { mayCost, tokensOfEvent } from '../../../src/runtime/vault/proxy/usage-estimate.ts';
import { UsageMeter } from '../../../src/runtime/vault/proxy/usage-meter.ts';

const POST = { method: 'POST', path: '/v1/messages' };
const seen = {
  nowMs: 10_000,
  sentBytes: 400,
  receivedBytes: 0,
  isGivenUp: false,
  model: () => 'asked-for',
};

describe('what an answer may have cost', () => {
  it('is asked of what lets a model work, and of nothing else', () => {
    for (const path of ['/v1/messages', '/v1/responses', '/v1beta/models/g:generateContent'])
      expect(mayCost({ method: 'POST', path }), path).toBe(true);
    for (const path of [
      '/v1/messages/count_tokens',
      '/v1beta/models/g:countTokens',
      '/v1/responses/input_tokens',
      '/v1/responses/r/cancel',
      '/v1/files',
      '/v1/files/a',
      '/upload/v1beta/files',
    ])
      expect(mayCost({ method: 'POST', path }), path).toBe(false);
    expect(mayCost({ method: 'GET', path: '/v1/models' })).toBe(false);
  });

  it('grows with words, and with each event that holds none', () => {
    expect(tokensOfEvent('{"delta":{"text":"four four four four "}}')).toBe(5);
    expect(tokensOfEvent('{"type":"signature"}')).toBe(1);
    expect(tokensOfEvent('{"text":"\\"quoted\\" and on"}')).toBe(5);
  });

  it('counts time, for models that think unseen, and has bounds', () => {
    const bill = new Bill({ request: POST, sentAtMs: 0 });
    expect(bill.total({ ...seen, isGivenUp: true })).toEqual({
      isEstimate: true,
      usage: {
        model: 'asked-for',
        inputTokens: 100,
        outputTokens: 300,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
      },
    });
    const long = new Bill({ request: POST, sentAtMs: 0 }).total({
      ...seen,
      nowMs: 1e9,
      sentBytes: 1e9,
      isGivenUp: true,
    });
    expect(long?.usage).toMatchObject({ inputTokens: 200_000, outputTokens: 128_000 });
  });

  it('is nothing where the upstream was not reached, or refused', () => {
    expect(new Bill({ request: POST, sentAtMs: 0 }).total(seen)).toBeUndefined();
    const refused = new Bill({ request: POST, sentAtMs: 0 });
    refused.answered(429, undefined);
    expect(refused.total({ ...seen, isGivenUp: true })).toBeUndefined();
  });

  it('of Google is guessed where the fields that tell it were not asked for, by the model of the path', () => {
    const meter = UsageMeter.of({ usage: 'google' }, 'application/json');
    meter?.push(Buffer.from('{"candidates":[{"finishReason":"STOP","content":{}}]}'));
    const bill = new Bill({
      request: { method: 'POST', path: '/v1beta/models/gemini-x:generateContent' },
      sentAtMs: 10_000,
    });
    bill.answered(200, meter);
    expect(bill.total(seen)).toMatchObject({
      isEstimate: true,
      usage: { model: 'gemini-x', inputTokens: 100 },
    });
  });

  it('of a websocket is what came since its upstream told last', () => {
    const bill = new ConversationBill('openai');
    expect(bill.rest({ nowMs: 0, sentBytes: 10 })).toBeUndefined();
    bill.heard('{"type":"response.created"}', { nowMs: 0, sentBytes: 100 });
    const done = '{"response":{"model":"g","usage":{"input_tokens":5,"output_tokens":2}}}';
    expect(bill.heard(done, { nowMs: 500, sentBytes: 400 })).toMatchObject({ inputTokens: 5 });
    expect(bill.rest({ nowMs: 900_000, sentBytes: 410 })).toBeUndefined();
    expect(bill.rest({ nowMs: 900_000, sentBytes: 800 })).toMatchObject({ model: 'g', inputTokens: 100 });
  });
});

it('the model of a body is the one at its top', () => {
  expect(modelOfBody(Buffer.from('{"metadata":{"model":"cheap"},"model":"dear"}'))).toBe('dear');
  for (const text of ['', '[]', '{"model":5}', '{"model":"cut'])
    expect(modelOfBody(Buffer.from(text)), text).toBeUndefined();
});

import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../../src/runtime/agents/agent-loader.ts';
import { openOutcome, sealingKey, sealOutcome } from '../../../../src/runtime/vault/oauth/outcome-seal.ts';
import { readOrder, writeOrder } from '../../../../src/runtime/vault/oauth/renewal-order.ts';
import { type EndpointWord, readAnswer } from '../../../../src/runtime/vault/oauth/token-answer.ts';
import { reachesTokenEndpoint, tokenRequest } from '../../../../src/runtime/vault/oauth/token-endpoint.ts';
import type { OAuthCredential } from '../../../../src/runtime/vault/stored-credential.ts';
import { resourcesDir } from '../../../support/host.ts';

const before: OAuthCredential = {
  kind: 'oauth',
  access_token: 'old-access',
  refresh_token: 'old+refresh&x',
  expires_at: 1,
  facts: { account_id: 'a1' },
};
const rule = { token_url: 'https://id.vendor.example/v1/oauth/token', client_id: 'c1' };
const at = '2026-01-02T03:04:05.000Z';
const word = (status: number, body: unknown): EndpointWord => ({
  status,
  at,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('what is sent to a token endpoint', () => {
  it('is JSON or a form, as its vendor takes it', () => {
    expect(JSON.parse(tokenRequest({ ...rule, body: 'json', scope: 's t' }, before).body)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'old+refresh&x',
      client_id: 'c1',
      scope: 's t',
    });
    expect(tokenRequest({ ...rule, body: 'form' }, before)).toEqual({
      url: rule.token_url,
      contentType: 'application/x-www-form-urlencoded',
      body: 'grant_type=refresh_token&refresh_token=old%2Brefresh%26x&client_id=c1',
    });
  });

  it('is nothing where the order was cut off', () => {
    const order = writeOrder({
      inbox: '/i',
      id: 'x',
      key: Buffer.alloc(32),
      url: 'u',
      contentType: 't',
      body: 'b',
    });
    for (let length = 0; length < order.length; length += 1)
      expect(readOrder(order.slice(0, length))).toBeUndefined();
    expect(readOrder(order)).toMatchObject({ inbox: '/i', body: 'b' });
  });
});

describe('what it answers', () => {
  it.each<[string, object, Partial<OAuthCredential>]>([
    ['all new', { refresh_token: 'r', expires_in: 60 }, { refresh_token: 'r', expires_at: 1767323105 }],
    ['no refresh token', { expires_in: '60' }, { refresh_token: 'old+refresh&x', expires_at: 1767323105 }],
    ['milliseconds', { expires_at: 1767323105000 }, { expires_at: 1767323105 }],
    ['a date', { expires_at: '2026-01-02T03:05:05Z' }, { expires_at: 1767323105 }],
    ['no end', {}, { expires_at: null }],
    ['nonsense for an end', { expires_in: true, expires_at: 'soon' }, { expires_at: null }],
    ['an identity', { id_token: 'i' }, { facts: { account_id: 'a1', id_token: 'i' } }],
  ])('is taken with %s', (_, more, expected) => {
    const outcome = readAnswer(word(200, { access_token: 'new', ...more }), before);
    expect(outcome).toMatchObject({ kind: 'renewed', credential: { access_token: 'new', ...expected } });
  });

  it.each<[EndpointWord, string, string]>([
    [word(400, { error: 'invalid_grant' }), 'refused', 'the token endpoint answered 400 (invalid_grant)'],
    [word(401, 'sk-secret'), 'refused', 'the token endpoint answered 401'],
    [word(403, { error: { code: 'refresh_token_reused' } }), 'refused', '403 (refresh_token_reused)'],
    [word(400, { error: 'sk-ant-ort01-1234567890' }), 'refused', 'the token endpoint answered 400'],
    [word(403, '<html>challenge</html>'), 'unreachable', '403'],
    [word(400, '\n<html>The plain HTTP request was sent to HTTPS port</html>'), 'unreachable', '400'],
    [word(429, { error: 'slow_down' }), 'unreachable', '429'],
    [word(500, { error: 'invalid_grant' }), 'unreachable', '500'],
    [word(200, '{}'), 'unreachable', '200 without a token'],
    [word(200, { access_token: 'two\nlines' }), 'unreachable', '200 without a token'],
    [word(302, ''), 'unreachable', '302'],
    [{ unreachable: 'ECONNREFUSED' }, 'unreachable', 'ECONNREFUSED'],
  ])('%j is %s', (answer, kind, reason) => {
    const outcome = readAnswer(answer, before);
    expect(outcome).toMatchObject({ kind, reason: expect.stringContaining(reason) });
    expect(JSON.stringify(outcome)).not.toMatch(/sk-|old/);
  });
});

describe('a sealed outcome', () => {
  it('opens with the tokens that it replaces and its own id, and with nothing else', () => {
    const key = sealingKey({ id: 'a' }, before);
    const sealed = sealOutcome('new tokens', key, 'a');
    expect(sealed.toString('latin1')).not.toContain('new tokens');
    expect(openOutcome(sealed, key, 'a')).toBe('new tokens');
    expect(openOutcome(sealed, sealingKey({ id: 'b' }, before), 'a')).toBeUndefined();
    expect(openOutcome(sealed, key, 'b')).toBeUndefined();
    const other = { ...before, refresh_token: 'another' };
    expect(openOutcome(sealed, sealingKey({ id: 'a' }, other), 'a')).toBeUndefined();
    for (let at = 0; at < sealed.length; at += 1) {
      const bent = Buffer.from(sealed);
      bent[at] = (bent[at] ?? 0) ^ 1;
      expect(openOutcome(bent, key, 'a')).toBeUndefined();
      expect(openOutcome(sealed.subarray(0, at), key, 'a')).toBeUndefined();
    }
  });
});

describe('the guard of token endpoints', () => {
  it.each([
    'https://id.vendor.example/v1/oauth/token',
    'https://ID.vendor.example./v1/oauth/token/',
    'https://id.vendor.example:443//v1/./oauth/x/../token?a=b#c',
    'https://id.vendor.example/v1/oauth/%74oken',
    'https://id.vendor.example/v1/oauth%2Ftoken',
    'https://id.vendor.example/v1/oauth%252Ftoken',
    'https://id.vendor.example/V1/OAuth/Token;x=1',
    'https://id.vendor.example/v1\\oauth\\token',
    'http://id.vendor.example/v1/oauth/%',
    'no address',
  ])('knows %s', (address) => {
    expect(reachesTokenEndpoint(address, [rule])).toBe(true);
  });

  it.each(['https://api.vendor.example/v1/oauth/token', 'https://id.vendor.example/v1/messages'])(
    'lets %s pass',
    (address) => expect(reachesTokenEndpoint(address, [rule])).toBe(false),
  );

  it('is met by no upstream of the roster', async () => {
    const { entries } = await new AgentLoader({
      bundled: path.join(resourcesDir, 'agents'),
      own: '/nonexistent',
    }).roster();
    const rules = entries.flatMap(({ route }) => (route?.refresh === undefined ? [] : [route.refresh]));
    expect(rules.length).toBeGreaterThan(1);
    for (const { route } of entries) {
      for (const upstream of route === undefined ? [] : [route.upstream, ...Object.values(route.paths)])
        for (const { token_url } of rules) expect(new URL(upstream).host).not.toBe(new URL(token_url).host);
    }
  });
});

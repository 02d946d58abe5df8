import { describe, expect, it } from 'vitest';
import type { CredentialRoute } from '../../../src/runtime/agents/contract.ts';
import { signatureOf } from '../../../src/runtime/vault/proxy/admission.ts';
import { checkRules } from '../../../src/runtime/vault/proxy/route-rules.ts';
import { bundledRoster } from '../agents/roster-fixture.ts';

function routeOf(name: string): CredentialRoute {
  const route = bundledRoster().find((entry) => entry.name === name)?.route;
  if (route === undefined) throw new Error(`no route of ${name}`);
  return route;
}

function passes(name: string, request: string): boolean {
  const [method = '', path = ''] = request.split(' ');
  try {
    checkRules(routeOf(name), { method, path });
    return true;
  } catch {
    return false;
  }
}

describe('what a task may do with a bundled entry', () => {
  it.each([
    ['gh', 'GET /repos/o/r/pulls/7'],
    ['gh', 'GET /repos/o/r/contents/README.md'],
    ['gh', 'POST /repos/o/r/issues'],
    ['gh', 'POST /repos/o/r/issues/7/comments'],
    ['gh', 'POST /repos/o/r/pulls'],
    ['gh', 'PATCH /repos/o/r/pulls/7'],
    ['gh', 'POST /graphql'],
    ['glab', 'GET /api/v4/projects/o%2Fr/issues'],
    ['claude', 'POST /v1/messages'],
    ['claude', 'POST /v1/messages/count_tokens'],
    ['codex', 'POST /v1/responses'],
    ['codex', 'GET /v1/responses'],
    ['codex', 'POST /backend-api/codex/responses'],
    ['opencode', 'POST /v1/chat/completions'],
    ['copilot', 'POST /v1/chat/completions'],
    ['gemini', 'POST /v1beta/models/gemini-x:streamGenerateContent'],
    ['qwen', 'POST /compatible-mode/v1/chat/completions'],
    ['vibe', 'POST /v1/chat/completions'],
  ])('%s: %s', (name, request) => {
    expect(passes(name, request)).toBe(true);
  });

  it.each([
    // All by which something would get upstream that nobody has promoted.
    ['gh', 'PUT /repos/o/r/contents/README.md'],
    ['gh', 'DELETE /repos/o/r/contents/README.md'],
    ['gh', 'POST /repos/o/r/git/refs'],
    ['gh', 'PATCH /repos/o/r/git/refs/heads/main'],
    ['gh', 'POST /repos/o/r/git/commits'],
    ['gh', 'POST /repos/o/r/git/blobs'],
    ['gh', 'POST /repos/o/r/merges'],
    ['gh', 'PUT /repos/o/r/pulls/7/merge'],
    ['gh', 'PUT /repos/o/r/pulls/7/update-branch'],
    ['gh', 'POST /repos/o/r/pulls/7/reviews'],
    ['gh', 'POST /repos/o/r/merge-upstream'],
    ['gh', 'POST /repos/o/r/keys'],
    ['gh', 'POST /user/keys'],
    ['gh', 'POST /repos/o/r/hooks'],
    ['gh', 'PUT /repos/o/r/actions/secrets/X'],
    ['gh', 'POST /repos/o/r/actions/workflows/1/dispatches'],
    ['gh', 'POST /repos/o/r/dispatches'],
    ['gh', 'POST /repos/o/r/releases'],
    ['gh', 'POST /repos/o/r/forks'],
    ['gh', 'PATCH /repos/o/r'],
    ['gh', 'DELETE /repos/o/r'],
    ['gh', 'PUT /repos/o/r/collaborators/x'],
    ['gh', 'POST /repos/o/r/issues/../git/refs'],
    ['gh', 'POST /repos/o/r%2Fgit/refs'],
    ['glab', 'POST /api/v4/projects/o%2Fr/repository/commits'],
    ['glab', 'PUT /api/v4/projects/o%2Fr/merge_requests/7/merge'],
    // A comment may hold "/merge".
    ['glab', 'POST /api/v4/projects/o%2Fr/merge_requests/7/notes'],
    ['glab', 'GET /oauth/token'],
    // Where one gets keys, or manages the people of an organization.
    ['claude', 'GET /v1/organizations/api_keys'],
    ['claude', 'POST /api/oauth/claude_cli/create_api_key'],
    ['claude', 'POST /v1/oauth/token'],
    // Nobody would be told what they cost.
    ['claude', 'POST /v1/messages/batches'],
    ['codex', 'GET /v1/organization/admin_api_keys'],
    ['codex', 'GET /v1/files'],
    ['codex', 'POST /backend-api/wham/tasks'],
    ['codex', 'GET /backend-api/me'],
    ['copilot', 'GET /v1/organization/users'],
    ['sonar', 'POST /api/user_tokens/generate'],
  ])('not %s: %s', (name, request) => {
    expect(passes(name, request)).toBe(false);
  });

  it('sends a login of ChatGPT to its own address, and no key of the API', () => {
    const request = { method: 'POST', path: '/backend-api/codex/responses' };
    expect(() => checkRules(routeOf('codex'), { ...request, kind: 'oauth' })).not.toThrow();
    expect(() => checkRules(routeOf('codex'), { ...request, kind: 'api_key' })).toThrow();
  });

  it('limits every entry that has a phantom', () => {
    for (const { name, phantom, route } of bundledRoster())
      if (Object.keys(phantom).length > 0) expect(route?.rules, name).not.toBeUndefined();
  });
});

describe('a header with a place', () => {
  const info = {
    provider: 'codex',
    set: 'default',
    kind: 'oauth',
    version: 1,
    storedAt: '',
    expiresAt: undefined,
    problem: undefined,
  } as const;
  const headers = (facts: Record<string, string | number>) =>
    signatureOf(routeOf('codex'), {
      info,
      credential: { kind: 'oauth', access_token: 'a', refresh_token: '', expires_at: null, facts },
    }).extra;

  it('holds what the login told, and is left out where that is missing or no header', () => {
    expect(headers({ account_id: 'acc-1' })).toEqual({ 'ChatGPT-Account-ID': 'acc-1' });
    for (const facts of [{}, { account_id: 7 }, { account_id: 'a\r\nb: c' }])
      expect(headers(facts)).toEqual({});
  });
});

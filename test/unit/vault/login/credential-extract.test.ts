import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../../src/runtime/agents/agent-loader.ts';
import { type ExtractRule, extractFrom } from '../../../../src/runtime/vault/login/credential-extract.ts';
import { resolvePointer } from '../../../../src/runtime/vault/login/json-pointer.ts';
import { loginContainer } from '../../../../src/runtime/vault/login/login-container.ts';
import { LoginDirectoryStore } from '../../../../src/runtime/vault/login/login-directory-store.ts';
import { parseDocument } from '../../../../src/runtime/vault/login/login-document.ts';
import { gid, resourcesDir, uid } from '../../../support/host.ts';

const { entries } = await new AgentLoader({
  bundled: path.join(resourcesDir, 'agents'),
  own: '/nonexistent',
}).roster();

/** The rule of a bundled entry. */
function ruleOf(name: string, file: string): ExtractRule {
  const rule = entries.find((entry) => entry.name === name)?.auth?.extract.find((one) => one.file === file);
  if (rule === undefined) throw new Error(`${name} has no rule for ${file}`);
  return rule;
}

const claude = (login: object): string => JSON.stringify({ claudeAiOauth: login });

describe('what a login left', () => {
  it.each<[string, string, string, unknown]>([
    [
      'claude',
      '.credentials.json',
      claude({
        accessToken: 'a',
        refreshToken: 'r',
        expiresAt: 1893456000123,
        scopes: ['x'],
        subscriptionType: 'max',
      }),
      {
        kind: 'oauth',
        access_token: 'a',
        refresh_token: 'r',
        expires_at: 1893456000,
        facts: { scopes: ['x'], subscription_type: 'max' },
      },
    ],
    [
      'claude',
      '.credentials.json',
      claude({ accessToken: 'a', expiresAt: true }),
      { kind: 'oauth', access_token: 'a', refresh_token: '', expires_at: null, facts: {} },
    ],
    [
      'claude',
      '.credentials.json',
      claude({ accessToken: 'a', refreshToken: '', expiresAt: 1893456000 }),
      { kind: 'oauth', access_token: 'a', refresh_token: '', expires_at: 1893456000, facts: {} },
    ],
    ['claude', 'config.json', '{"api_key":"k"}', { kind: 'api_key', key: 'k' }],
    [
      'codex',
      'auth.json',
      '{"OPENAI_API_KEY":null,"tokens":{"access_token":"a","refresh_token":"r","id_token":"i","account_id":"n"}}',
      {
        kind: 'oauth',
        access_token: 'a',
        refresh_token: 'r',
        expires_at: null,
        facts: { id_token: 'i', account_id: 'n' },
      },
    ],
    [
      'gh',
      'hosts.yml',
      'git.example.org:\n  oauth_token: other\ngithub.com:\n  user: u\n  oauth_token: gho_1\n',
      { kind: 'oauth_token', token: 'gho_1', host: 'github.com' },
    ],
    [
      'gh',
      'hosts.yml',
      'github.com:\n  user: u\ngit.example.org:\n  oauth_token: other\n',
      { kind: 'oauth_token', token: 'other', host: 'git.example.org' },
    ],
    [
      'glab',
      'config.yml',
      'hosts:\n  gitlab.com:\n    token: glpat-1\n',
      { kind: 'pat', token: 'glpat-1', host: 'gitlab.com' },
    ],
    ['vibe', '.env', '# x\nMISTRAL_API_KEY=\nMISTRAL_API_KEY = "k 1"\n', undefined],
    [
      'vibe',
      '.env',
      "OTHER=1\nMISTRAL_API_KEY=\nexport MISTRAL_API_KEY='k1'\nMISTRAL_API_KEY=k2\n",
      { kind: 'api_key', key: 'k1' },
    ],
    ['blablador', 'config.json', '{"api_key":"k"}', { kind: 'api_key', key: 'k' }],
  ])('of %s in %s is read: %s', (name, file, text, expected) => {
    expect(extractFrom(text, ruleOf(name, file)).credential).toEqual(expected);
  });

  it.each<[string, string, string, string]>([
    ['codex', 'auth.json', '{"OPENAI_API_KEY":"sk-secret","tokens":null}', 'auth.json has no access_token'],
    ['claude', '.credentials.json', claude({ accessToken: 'sk-secret\nX: y' }), 'access_token'],
    ['claude', '.credentials.json', claude({ accessToken: { x: 'sk-secret' } }), 'access_token'],
    [
      'claude',
      '.credentials.json',
      claude({ accessToken: 'a', refreshToken: ['sk-secret'] }),
      'refresh_token',
    ],
    ['claude', '.credentials.json', '{"claudeAiOauth": sk-secret', 'is not JSON'],
    [
      'claude',
      '.credentials.json',
      '{"__proto__":{"claudeAiOauth":{"accessToken":"sk-secret"}}}',
      'has no access_token',
    ],
    ['gh', 'hosts.yml', 'a: &a [sk-secret]\nb: [*a,*a,*a]\n: :', 'hosts.yml'],
    ['vibe', '.env', 'MISTRAL_API_KEY=sk-secret and more', 'key in .env'],
  ])('of %s in %s that is no use says which field, and no value', (name, file, text, said) => {
    const { problem } = extractFrom(text, ruleOf(name, file));
    expect(problem).toContain(said);
    expect(problem).not.toContain('sk-secret');
  });

  it('is taken without a fact that is nested to break whoever looks through it', () => {
    const scopes = '['.repeat(200_000) + ']'.repeat(200_000);
    const text = `{"claudeAiOauth":{"accessToken":"a","scopes":${scopes},"__proto__":{"refreshToken":"r"}}}`;
    expect(extractFrom(text, ruleOf('claude', '.credentials.json'))).toEqual({
      credential: { kind: 'oauth', access_token: 'a', refresh_token: '', expires_at: null, facts: {} },
    });
    expect(Object.hasOwn(Object.prototype, 'refreshToken')).toBe(false);
  });

  it('may be the part of TOML that programs keep logins in', () => {
    const text =
      'top = 1 # one\n[auth."x.y"]\ntoken = "a\\"b" # c\nraw = \'c\\d\'\non = true\nlist = [1,\n 2]\n[[many]]\ntoken = "no"\n';
    const document = parseDocument(text, 'toml');
    expect(JSON.parse(JSON.stringify(document))).toEqual({
      top: 1,
      auth: { 'x.y': { token: 'a"b', raw: 'c\\d', on: true } },
    });
  });

  it('is found by pointers as RFC 6901 writes them', () => {
    const document = { 'a/b': { '~': [{ x: 1 }] }, toString: 2 };
    expect(resolvePointer(document, '/a~1b/~0/0/x')?.value).toBe(1);
    expect(resolvePointer(document, '/*/~0/*/x')).toEqual({ value: 1, keys: ['a/b', '0'] });
    expect(resolvePointer({}, '/toString')).toBeUndefined();
    expect(resolvePointer({}, '/constructor/name')).toBeUndefined();
  });
});

describe('the directory of a login', () => {
  it('is read through no link and no pipe, within bounds, and destroyed without following one', async () => {
    const root = await mkdtemp('/tmp/tk-login-');
    const store = new LoginDirectoryStore({ directory: path.join(root, 'logins') });
    const { home } = await store.create('one', { uid, gid });
    await writeFile(path.join(root, 'outside'), 'kept');
    await mkdir(path.join(home, 'deep'));
    await writeFile(path.join(home, 'deep/file'), 'text');
    await symlink(path.join(root, 'outside'), path.join(home, 'link'));
    await symlink(root, path.join(home, 'up'));
    await writeFile(path.join(home, 'large'), 'x'.repeat(2 * 1024 * 1024));
    expect((await store.read('one', 'deep/file')).text).toBe('text');
    for (const file of ['link', 'up/outside', 'large', '../../outside', 'deep', 'none'])
      expect((await store.read('one', file)).text).toBeUndefined();
    expect(await store.ids()).toEqual(['one']);
    await store.destroy('one');
    await store.destroy('one');
    expect(await store.ids()).toEqual([]);
    expect(await readdir(root)).toEqual(['logins', 'outside']);
    await rm(root, { recursive: true });
  });
});

describe('the container of a login', () => {
  const input = (publish: readonly string[]) => ({
    entry: { name: 'vendor', title: 'Vendor' },
    name: 'terok-login-vendor-1',
    image: 'localhost/terok-l1-cli:x',
    instance: 'i',
    login: { command: ['vendor', 'login'], publish },
    home: '/home/dev/.vendor',
    directory: { home: '/run/logins/1/home', log: '/run/logins/1/terminal.log' },
    idMapping: { kind: 'keep-id' as const, user: 1000 },
    networkProgram: 'pasta' as const,
  });

  it('has one mount, no privilege and no variable of ours', () => {
    const spec = loginContainer(input(['127.0.0.1:1455:1455']));
    expect(spec.mounts).toEqual([
      { hostPath: '/run/logins/1/home', containerPath: '/home/dev/.vendor', readOnly: false },
    ]);
    expect(spec).toMatchObject({ capabilities: [], noNewPrivileges: true, lifetimeS: 1800 });
    expect(Object.keys(spec.environment)).toEqual(['TERM']);
    expect(spec.network).toEqual({ kind: 'open', program: 'pasta', loopbackPorts: [1455] });
  });

  it.each([
    '0.0.0.0:1455:1455',
    '1455:1455',
    '127.0.0.1:80:80',
    '127.0.0.1:1455:22',
    '127.0.0.1:99999:99999',
  ])('does not publish %s', (publish) => expect(() => loginContainer(input([publish]))).toThrow('loopback'));

  it('has a network that nothing but a login asks for', async () => {
    const { readFile } = await import('node:fs/promises');
    const sources = path.resolve(resourcesDir, '../src');
    const files = (await readdir(sources, { recursive: true })).filter((file) => file.endsWith('.ts'));
    const openers: string[] = [];
    for (const file of files)
      if (/kind: 'open'/.test(await readFile(path.join(sources, file), 'utf8'))) openers.push(file);
    expect(openers.toSorted()).toEqual([
      'runtime/engine/contract.ts',
      'runtime/vault/login/login-container.ts',
    ]);
  });
});

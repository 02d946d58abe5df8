import { expect, it } from 'vitest';
import { holdsCredential } from '../../../src/runtime/vault/scan/credential-file.ts';

const PHANTOM = `terokp${'0123456789abcdef'.repeat(4)}`;
const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"synthetic"}').toString('base64url')}.`;
const signed = `${unsigned}${'A'.repeat(43)}`;
const holds = (name: string, content: string | Uint8Array): boolean =>
  holdsCredential(typeof content === 'string' ? Buffer.from(content) : content, name);

it.each([
  ['nothing', '.credentials.json', ''],
  ['blanks', '.credentials.json', ' \n'],
  ['a phantom', '.credentials.json', JSON.stringify({ claudeAiOauth: { accessToken: PHANTOM } })],
  [
    'one with the beginning of a key',
    '.credentials.json',
    JSON.stringify({ token: `sk-ant-oat01-${PHANTOM}` }),
  ],
  [
    'phantoms in the place of three tokens',
    'auth.json',
    JSON.stringify({
      OPENAI_API_KEY: null,
      tokens: { access_token: PHANTOM, refresh_token: PHANTOM, id_token: unsigned, account_id: 'synthetic' },
    }),
  ],
  [
    'a phantom for gh',
    'hosts.yml',
    `github.com:\n    oauth_token: gho_${PHANTOM}\n    git_protocol: https\n`,
  ],
  ['settings alone', 'config.yml', 'git_protocol: ssh\neditor: vim\nhosts:\n  gitlab.com:\n    token:\n'],
  ['settings of a shell', '.env', '# a comment\nexport GEMINI_MODEL="pro"\nGEMINI_API_KEY=\n'],
])('%s is no credential', (_what, name, content) => {
  expect(holds(name, content)).toBe(false);
});

it.each([
  [
    'a login of Claude',
    '.credentials.json',
    '{"claudeAiOauth":{"accessToken":"sk-ant-oat01-abcdefghijklmnopqrst"}}',
  ],
  ['a key', 'auth.json', '{"OPENAI_API_KEY":"sk-proj-abcdefghijklmnop1234"}'],
  [
    'a real token beside phantoms',
    'auth.json',
    JSON.stringify({ a: PHANTOM, refresh_token: 'rt_9f8e7d6c5b4a3210' }),
  ],
  ['a signed web token', 'auth.json', JSON.stringify({ anything: signed })],
  ['a token of GitHub', 'hosts.yml', `github.com:\n    oauth_token: gho_${'a1B2'.repeat(9)}\n`],
  ['a token of GitLab', 'config.yml', 'hosts:\n  gitlab.com:\n    token: glpat-abcdefghijklmnopqrst\n'],
  ['a key of Google', '.env', `GEMINI_API_KEY=AIza${'b'.repeat(35)}\n`],
  ['a key that looks like nobody’s', '.env', 'export BLABLADOR_API_KEY="0123456789abcdef0123"\n'],
  ['tokens in a list', 'config.json', '{"tokens":["0123456789abcdef"]}'],
  ['a key too long to be a phantom', '.env', `K_TOKEN=sk-real-0123456789abcdefghijklmnop${PHANTOM}\n`],
  ['a phantom that goes on', '.env', `K_TOKEN=${PHANTOM}0123456789abcdef\n`],
  ['JSON that is none', 'auth.json', '{"tokens": '],
  ['YAML that is none', 'hosts.yml', 'a: [b\n'],
  ['what is no list of settings', '.env', 'just words\n'],
  ['what is no text', 'auth.json', Uint8Array.of(0xff, 0xfe, 0x00)],
  ['what is deeper than settings are', 'auth.json', `${'['.repeat(60)}${']'.repeat(60)}`],
])('%s counts as one', (_what, name, content) => {
  expect(holds(name, content)).toBe(true);
});

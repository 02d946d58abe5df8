import { describe, expect, it } from 'vitest';
import { parseAgent, readAgentDocument } from '../../../src/runtime/agents/agent-document.ts';
import { type ApiEndpoint, CredentialKind } from '../../../src/runtime/agents/contract.ts';
import { readRoster } from '../../../src/runtime/agents/roster.ts';
import {
  agentOf,
  agentText,
  bundledAgent,
  bundledRoster,
  contentOf,
  plan,
  settings,
} from './roster-fixture.ts';

const endpoint = (changed: Partial<ApiEndpoint> = {}): ApiEndpoint => ({
  baseUrl: 'http://localhost:9419',
  token: 'no-key',
  kind: 'api_key',
  ...changed,
});

const routed = (name: string, phantom: string): string =>
  agentText(
    name,
    `route: { prefix: ${name}, upstream: https://api.example.org, auth: { api_key: { header: X-Key }, oauth: { header: Authorization } } }
phantom: ${phantom}
`,
  );

describe('an endpoint', () => {
  const agent = agentOf(
    routed(
      'mine',
      `{ api_key: { env: { MINE_URL: "{base_url}/v1", MINE_HOST: "{base_address}", MINE_KEY: "{token}" },
  files: [{ path: /etc/mine.json, content: '{"url":"{base_url}","socket":"{socket}","other":"{else}"}' }] },
  oauth: { env: { MINE_TOKEN: "{token}" } } }`,
    ),
  );

  it('takes the place of the vendor in variables and files, by kind of credential', () => {
    const socket = '/run/terok/proxy.sock';
    const run = plan(agent, { endpoints: new Map([['mine', endpoint({ socket })]]) });
    // What is another at each start is no part of the container, which is the same then.
    expect(run.environment).toMatchObject({
      MINE_URL: 'http://localhost:9419/v1',
      MINE_HOST: 'localhost:9419',
    });
    expect(run.phantomEnvironment).toEqual({ MINE_KEY: 'no-key' });
    expect(run.environment).not.toHaveProperty('MINE_KEY');
    expect(run.files).toContainEqual(expect.objectContaining({ mountedAt: '/etc/mine.json' }));
    expect(JSON.parse(contentOf(run, 'managed/etc/mine.json'))).toEqual({
      url: 'http://localhost:9419',
      socket,
      other: '{else}',
    });
    const other = plan(agent, { endpoints: new Map([['mine', endpoint({ kind: 'oauth' })]]) });
    expect(other.phantomEnvironment).toEqual({ MINE_TOKEN: 'no-key' });
    expect(other.files.map(({ mountedAt }) => mountedAt)).not.toContain('/etc/mine.json');
  });

  it('at a proxy has a path in its address, and none where a program takes host and port alone', () => {
    const proxy = endpoint({ baseUrl: 'http://localhost:9420/mine', baseAddress: 'localhost:9420' });
    const run = plan(agent, { endpoints: new Map([['mine', { ...proxy, socket: '/run/s' }]]) });
    expect(run.environment).toMatchObject({
      MINE_URL: 'http://localhost:9420/mine/v1',
      MINE_HOST: 'localhost:9420',
    });
  });

  it('changes nothing where there is none, or it is of another entry, or of a kind that is not told', () => {
    const none = plan(agent);
    expect(Object.keys(none.environment).join()).not.toContain('MINE');
    expect(plan(agent, { endpoints: new Map([['other', endpoint()]]) })).toEqual(none);
    const keyless = agentOf(agentText('keyless'));
    expect(plan(keyless, { endpoints: new Map([['keyless', endpoint()]]) })).toEqual(plan(keyless));
  });

  it.each(['a"b', "a'b", 'a\nb', 'a\\b', 'a b', 'a#', '$(a)', '{token}', ''])(
    'is never %j, which would be more than a value in one format or another',
    (odd) => {
      for (const changed of [{ token: odd }, { baseUrl: odd }, { socket: odd }])
        expect(() =>
          plan(agent, { endpoints: new Map([['mine', endpoint({ socket: '/run/s', ...changed })]]) }),
        ).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    },
  );

  it('without a socket is an error for an entry that needs one', () => {
    expect(() => plan(agent, { endpoints: new Map([['mine', endpoint()]]) })).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining('mine') }),
    );
  });

  it('of every entry holds in the one container, also of tools', () => {
    const roster = bundledRoster();
    const endpoints = new Map([
      ['gh', endpoint({ kind: 'oauth_token', token: 'of-gh', socket: '/run/terok/proxy.sock' })],
      ['codex', endpoint({ token: 'of-codex' })],
    ]);
    const run = plan(bundledAgent('claude'), { roster, endpoints });
    expect(run.phantomEnvironment).toEqual({ GH_TOKEN: 'of-gh', CODEX_API_KEY: 'of-codex' });
    expect(run.environment).not.toHaveProperty('ANTHROPIC_BASE_URL');
    expect(contentOf(run, 'managed/home/dev/.config/gh/config.yml')).toContain('/run/terok/proxy.sock');
    expect(contentOf(run, 'managed/etc/codex/config.toml')).toContain(
      'base_url = "http://localhost:9419/v1"',
    );
  });

  it('may differ for each bundled agent without a contradiction', () => {
    const roster = bundledRoster();
    for (const kind of CredentialKind.options) {
      const endpoints = new Map(
        roster.map(({ name }) => [name, endpoint({ kind, token: `of-${name}`, socket: '/run/s' })]),
      );
      expect(() => plan(bundledAgent('claude'), { roster, endpoints })).not.toThrow();
    }
  });
});

describe('a route', () => {
  const renewed = (more: string): string =>
    agentText(
      'mine',
      `route: { prefix: mine, upstream: https://api.example.org/v2, auth: { oauth: { header: X-Key } },
  refresh: { token_url: https://api.example.org/v2/oauth/token, client_id: me }${more} }
`,
    );
  const problem = (text: string): string | undefined =>
    readRoster({ bundled: [], own: [{ file: '/o/mine.yaml', text }] }).broken.get('mine')?.message;

  it.each([
    ['without rules', renewed('')],
    ['with a rule that lets it through', renewed(', rules: [{ path: /oauth/** }]')],
    [
      'by another upstream',
      renewed(', rules: [{ path: /x/** }], paths: { /x/: https://api.example.org/v2 }').replace(
        'v2/oauth/token',
        'v2/x/token',
      ),
    ],
  ])('%s may not lead to where tokens are renewed', (_, text) => {
    expect(problem(text)).toMatch(/route\.refresh\.token_url.*could reach it/);
  });

  it.each([
    [
      'of another host',
      renewed('').replace('https://api.example.org/v2/oauth', 'https://login.example.org/oauth'),
    ],
    ['that its rules leave out', renewed(', rules: [{ path: /v1/** }, { methods: [GET], path: /** }]')],
  ])('may have its tokens renewed at a place %s', (_, text) => {
    expect(problem(text)).toBeUndefined();
  });

  it('says how a kind of credential is sent, for tools as for agents', () => {
    expect(problem(routed('mine', '{ pat: { env: { A: "{token}" } } }'))).toContain('phantom.pat');
  });
});

describe('entries that want one variable or file for different endpoints', () => {
  const one = routed('one', '{ api_key: { env: { KEY: "{token}" } } }');
  const other = routed('other', '{ api_key: { env: { KEY: "{token}" } } }');

  it('agree as long as what fills it is the same, and are an error when it is not', () => {
    const roster = [agentOf(one), agentOf(other)];
    const [agent] = roster;
    if (agent === undefined) throw new Error('no agent');
    const same = new Map([
      ['one', endpoint()],
      ['other', endpoint()],
    ]);
    expect(plan(agent, { roster, endpoints: same }).phantomEnvironment).toHaveProperty('KEY', 'no-key');
    const different = new Map([...same, ['other', endpoint({ token: 'another' })] as const]);
    expect(() => plan(agent, { roster, endpoints: different })).toThrow(
      'one and other give KEY different values',
    );
  });

  it.each([
    ['templates that differ', routed('two', '{ oauth: { env: { KEY: "x{token}" } } }'), 'the variable "KEY"'],
    [
      'a variable that the other always sets',
      `${agentText('two')}env: { KEY: mine }\n`,
      'the variable "KEY"',
    ],
    [
      'files that differ',
      routed('two', '{ api_key: { files: [{ path: /etc/one.conf, content: "x" }] } }'),
      '/etc/one.conf',
    ],
  ])('%s are a broken roster', (_, text, blamed) => {
    const first = one.replace('env: { KEY', 'files: [{ path: /etc/one.conf, content: "y" }], env: { KEY');
    const { broken } = readRoster({
      bundled: [{ file: '/b/one.yaml', text: first }],
      own: [{ file: '/o/two.yaml', text }],
    });
    expect(broken.get('two')?.message).toContain(blamed);
  });
});

describe('OpenCode', () => {
  const endpoints = new Map([['opencode', endpoint()]]);
  const opencode = bundledAgent('opencode');

  it('keeps its own providers and names of models as long as nothing stands for its vendor', () => {
    const run = plan(opencode, { settings: settings({ model: 'anthropic/claude-sonnet-4-5' }) });
    expect(JSON.parse(contentOf(run, 'opencode/opencode.json'))).not.toHaveProperty('provider');
    expect(run.command).toContain('anthropic/claude-sonnet-4-5');
    expect(Object.keys(run.environment).join()).not.toContain('TEROK_OC_OPENCODE');
  });

  it('is pointed to an endpoint with any model, which it must find listed', () => {
    for (const model of ['gpt-5', 'mistralai/devstral:free']) {
      const run = plan(opencode, { endpoints, settings: settings({ model }) });
      expect(run.command).toContain(`terok/${model}`);
      const config = JSON.parse(contentOf(run, 'opencode/opencode.json'));
      expect(config).toHaveProperty(['provider', 'terok', 'models', model]);
      expect(config.provider.terok.options).toMatchObject({
        baseURL: '{env:TEROK_OC_OPENCODE_BASE_URL}',
        apiKey: '{env:OPENCODE_API_KEY}',
      });
    }
    const { environment, phantomEnvironment } = plan(opencode, { endpoints });
    expect(environment).toHaveProperty('TEROK_OC_OPENCODE_BASE_URL', 'http://localhost:9419/v1');
    expect(phantomEnvironment).toEqual({ OPENCODE_API_KEY: 'no-key' });
  });

  it('is pointed nowhere by a kind of credential that it is not told', () => {
    const other = new Map([['opencode', endpoint({ kind: 'oauth' })]]);
    const asked = { settings: settings({ model: 'anthropic/claude-sonnet-4-5' }) };
    expect(plan(opencode, { ...asked, endpoints: other })).toEqual(plan(opencode, asked));
  });

  it('has a default model there, which a person starts with as well', () => {
    const run = plan(opencode, { endpoints, prompt: undefined });
    const config = JSON.parse(contentOf(run, 'opencode/opencode.json'));
    expect(config).toHaveProperty('model', 'terok/gpt-5');
    expect(config).toHaveProperty('provider.terok.models.gpt-5');
  });

  it('under another name is sent elsewhere by the same variable that names its vendor', () => {
    const kisski = bundledAgent('kisski');
    const base = (run: ReturnType<typeof plan>) => run.environment['TEROK_OC_KISSKI_BASE_URL'];
    expect(base(plan(kisski))).toBe('https://chat-ai.academiccloud.de/v1');
    expect(base(plan(kisski, { endpoints: new Map([['kisski', endpoint()]]) }))).toBe(
      'http://localhost:9419/v1',
    );
  });
});

describe('what an agent keeps between containers', () => {
  it('is its own alone, with the files it begins with', () => {
    const agent = agentOf(
      agentText('mine', 'state: [.mine, .local/share/mine]\nfirst_state: { .mine/a.json: { "x": 1 } }\n'),
    );
    const run = plan(agent, { roster: [agent, bundledAgent('claude')] });
    expect(run.state).toEqual(['.mine', '.local/share/mine']);
    expect(run.firstState).toEqual([{ path: '.mine/a.json', content: '{\n  "x": 1\n}\n' }]);
  });

  it.each([
    ['state: [../x]', 'state'],
    ['state: [a/../b]', 'state'],
    ['state: [/abs]', 'state'],
    ['state: [a//b]', 'state'],
    ['state: [a/]', 'state'],
    ['state: ["."]', 'state'],
    ['state: [.terok]', 'state'],
    ['state: [.terok/x]', 'state'],
    ['state: [.a, .a/b]', 'state'],
    ['state: [.a, .a]', 'state'],
    ['state: [.a]\nfirst_state: { .b/x.json: 1 }', 'first_state'],
    ['state: [.a]\nfirst_state: { .a: 1 }', 'first_state'],
    ['state: [.a]\nfirst_state: { .a/../.ssh/x: 1 }', 'first_state'],
    ['state: [.a]\nfirst_state: { .ab/x: 1 }', 'first_state'],
    ['state: [.a]\nfirst_state: { .a/x: 1, .a/x/y: 2 }', 'first_state'],
    ['state: [.a]\nunrestricted: [{ via: first_state, files: { .b/x: 1 } }]', 'unrestricted.0.files'],
    ['state: ["x:/etc/terok:rw"]', 'state'],
    ['state: ["a,b"]', 'state'],
    ['state: ["a\\u001bb"]', 'state'],
    ['state: ["a\\u202eb"]', 'state'],
    [`state: [${'x'.repeat(300)}]`, 'state'],
  ])('is refused as %j', (more, key) => {
    expect(() => agentOf(agentText('mine', `${more}\n`))).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(key) }),
    );
  });
});

describe('a file that the host writes', () => {
  it.each([
    ['/home/dev/.mine/x.json', 'state: [.mine]'],
    ['/home/dev/.mine/deep/x.json', 'state: [.mine]'],
    ['/home/dev/.mine', 'state: [.mine/deep]'],
  ])('%s never lies where an agent may put a link (%s)', (file, state) => {
    const text = agentText('mine', `${state}\nfiles: [{ path: ${file}, content: x }]\n`);
    const { entries, broken } = readRoster({ bundled: [], own: [{ file: '/o/mine.yaml', text }] });
    expect([...entries.keys()]).toEqual([]);
    expect(broken.get('mine')?.message).toContain(file);
    const apart = readRoster({
      bundled: [{ file: '/b/mine.yaml', text: agentText('mine', `${state}\n`) }],
      own: [{ file: '/o/two.yaml', text: agentText('two', `files: [{ path: ${file}, content: x }]\n`) }],
    });
    expect(apart.broken.get('two')?.message).toContain(file);
  });
});

describe('a web program', () => {
  const web = (command: string): string => `kind: web
name: page
title: Page
description: A page.
binary: page
install: { bundled: [page] }
command: ${command}
`;
  const parse = (text: string) => parseAgent(readAgentDocument({ file: '/x/page.yaml', text }));

  it('says where it listens, and nothing that nobody fills in', () => {
    expect(parse(web('[page, "{port}", "{public_url}"]'))).toMatchObject({ kind: 'web', env: {} });
    expect(() => parse(web('[page]'))).toThrow('{port}');
    expect(() => parse(web('[page, "{port}", "{token}"]'))).toThrow('{token}');
  });

  it('gets no wrapper, for it is started by us alone', () => {
    const run = plan(bundledAgent('claude'), { roster: bundledRoster() });
    expect(run.files.map(({ path }) => path)).not.toContain('bin/toad');
  });

  it('Toad is told of each agent that speaks ACP, and of none where it is not in the roster', () => {
    const run = plan(bundledAgent('claude'), { roster: bundledRoster() });
    const told = run.files.filter(({ path }) => path.startsWith('toad/agents/'));
    expect(told.map(({ path }) => path)).toContain('toad/agents/codex.toml');
    expect(told.map(({ path }) => path)).not.toContain('toad/agents/scripted.toml');
    const claude = contentOf(run, 'toad/agents/claude.toml');
    expect(claude).toContain('claude-agent-acp');
    expect(claude).toContain('GIT_AUTHOR_NAME=Claude');
    expect(contentOf(run, 'toad/agents/opencode.toml')).toContain("'/etc/terok/bin/opencode' 'acp'");
    const without = bundledRoster().filter(({ name }) => name !== 'toad');
    const paths = plan(bundledAgent('claude'), { roster: without }).files.map(({ path }) => path);
    expect(paths.join()).not.toContain('toad');
  });

  it('Toad reads a command that the shell takes apart into what was meant', () => {
    const hostile = agentOf(
      agentText('mine', 'acp: { command: [mine-acp, "it\'s $(here) \\"x\\""], env: { A: "b c" } }\n'),
    );
    const toad = bundledRoster().filter(({ name }) => name === 'toad');
    const toml = contentOf(plan(hostile, { roster: [hostile, ...toad] }), 'toad/agents/mine.toml');
    expect(toml).toContain(`'A=b c'`);
    expect(toml).toContain(`'mine-acp' 'it'\\\\''s $(here) \\"x\\"'`);
  });
});

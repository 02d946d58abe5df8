import { describe, expect, it } from 'vitest';
import { parseAgent, readAgentDocument } from '../../../src/runtime/agents/agent-document.ts';
import { readRoster } from '../../../src/runtime/agents/roster.ts';
import { agentOf, agentText, bundledSources } from './roster-fixture.ts';

const text = (name: string): string => agentText(name);
const parse = (content: string): unknown =>
  parseAgent(readAgentDocument({ file: '/x/a.yaml', text: content }));

describe('an agent file that is wrong', () => {
  it.each([
    ['an unknown key', `${text('a')}colour: red\n`, '/x/a.yaml:11: colour: is no known key'],
    [
      'a key of another kind',
      text('a')
        .replace('kind: agent', 'kind: tool')
        .replace(/git:.*\n|headless:\n.*\n/g, '')
        .concat('state: [.a]\n'),
      '/x/a.yaml:8: state: is no known key',
    ],
    ['an almost known key', `${text('a')}egres: []\n`, 'did you mean "egress"?'],
    [
      'an unknown key further in',
      text('a').replace('  command', '  shell: yes\n  command'),
      '/x/a.yaml:10: headless.shell: is no known key',
    ],
    [
      'a value of the wrong kind',
      text('a').replace('[run-it, --now]', 'run-it'),
      '/x/a.yaml:10: headless.command: must be a list',
    ],
    [
      'a wrong element of a list',
      text('a').replace('terok-scripted', '"../evil"'),
      '/x/a.yaml:8: install.bundled.0: a program name',
    ],
    ['a missing key', text('a').replace(/^title.*\n/m, ''), '/x/a.yaml:1: title: is missing'],
    ['a key twice', `${text('a')}name: a\n`, '/x/a.yaml:11: name: stands there twice'],
    ['broken syntax', `${text('a')}more: [1, 2\n`, '/x/a.yaml:1'],
    ['a list in place of it all', '- a\n', '/x/a.yaml:1: '],
    ['nothing', '', '/x/a.yaml:1: '],
    ['a name other than the file says', text('b'), '/x/a.yaml:2: name: is "b"'],
    ['an unknown kind', text('a').replace('agent', 'robot'), '/x/a.yaml:1: kind: must be "agent" or "tool"'],
    [
      'a program that is not the binary',
      text('a').replace('[run-it', '[env, run-it'),
      '/x/a.yaml:10: headless.command: begins with "run-it", the binary',
    ],
    [
      'a place nobody fills in',
      text('a').replace('--now', '"{prompt}"'),
      '/x/a.yaml:10: headless.command: {prompt} is not filled in here',
    ],
    [
      'options without a place for them',
      `${text('a')}  options: { model: [--model, "{model}"] }\n`,
      '/x/a.yaml:10: headless.command: needs {options}',
    ],
    [
      'two places for options',
      `${text('a').replace('--now', '"{options}", "{options}"')}  options: { model: [-m, "{model}"] }\n`,
      '/x/a.yaml:10: headless.command: {options} stands there twice',
    ],
    [
      'a flag without its value',
      `${text('a').replace('--now', '"{options}"')}  options: { model: [--model] }\n`,
      '/x/a.yaml:11: headless.options.model: needs {model}',
    ],
    [
      'resuming without a session',
      `${text('a')}  resume: [run-it, "{session}"]\n`,
      '/x/a.yaml:1: session: headless.resume needs to know',
    ],
    [
      'a session without resuming',
      `${text('a')}session: { id: host }\n`,
      '/x/a.yaml:9: headless.resume: is missing',
    ],
    [
      'resuming nothing in particular',
      `${text('a')}  resume: [run-it]\nsession: { id: host }\n`,
      '/x/a.yaml:11: headless.resume: needs {session}',
    ],
    [
      'a phantom without a rule for its header',
      `${text('a')}phantom: { api_key: { env: { K: "{token}" } } }\n`,
      '/x/a.yaml:11: phantom.api_key: route.auth has no rule',
    ],
    [
      'a socket without an address',
      `${text('a')}phantom: { api_key: { env: { K: "{socket}" } } }\nroute:\n  prefix: a\n  upstream: https://a.example.org\n  auth: { api_key: { header: X } }\n`,
      '/x/a.yaml:11: phantom: a socket needs a plain-HTTP base URL as well',
    ],
    [
      'a path that climbs',
      `${text('a')}files: [{ path: /etc/../x, content: "" }]\n`,
      '/x/a.yaml:11: files.0.path: an absolute path without ".."',
    ],
    ...['//etc/x', '/etc/./x', '/etc/x/', '/', '/etc/a:b'].map((file) => [
      `a path like ${file}`,
      `${text('a')}files: [{ path: "${file}", content: "" }]\n`,
      '/x/a.yaml:11: files.0.path: an absolute path',
    ]),
    ...[
      '/etc/passwd',
      '/etc/terok/bin/git',
      '/run/terok/prompt',
      '/workspace/.mcp.json',
      '/home/dev/.terok/x',
      '/usr/local/bin/terok-init',
      '/bin/sh',
      '/lib/x86_64-linux-gnu/libc.so.6',
      '/etc/ld.so.preload',
      '/etc/gitconfig',
      '/etc/profile.d/terok.sh',
      '/etc/sudoers.d/x',
      '/proc/sys/x',
      '/dev/null',
      '/etc',
      '/home/dev',
    ].map((file) => [
      `a file in the way at ${file}`,
      `${text('a')}unrestricted: [{ via: file, path: ${file}, content: "" }]\n`,
      '/x/a.yaml:11: unrestricted.0.path: a place that is not needed for something else',
    ]),
    ...['.', '..', './x', 'x/', 'a//b', '../x', '/x'].map((file) => [
      `instructions in a file called ${file}`,
      `${text('a')}instructions: { via: env_dir, env: X, file: "${file}" }\n`,
      '/x/a.yaml:11: instructions.file: a relative path',
    ]),
    [
      'a version that is a range',
      text('a').replace('bundled: [terok-scripted]', 'npm: { left-pad: { version: ^1.0.0 } }'),
      '/x/a.yaml:8: install.npm.left-pad.version: one exact version',
    ],
  ])('with %s is refused with file, line and key', (_, content, message) => {
    expect(() => parse(content)).toThrow(message);
  });

  it('cannot blow up by aliases', () => {
    const bomb =
      'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n';
    expect(() => parse(bomb)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  it('cannot reach the prototype of what it becomes', () => {
    expect(() => parse(`${text('a')}env: { __proto__: { x: y } }\n`)).toThrow(
      '/x/a.yaml:11: env.__proto__: ',
    );
  });
});

describe("a person's own file", () => {
  const own = (name: string, content: string) =>
    readRoster({ bundled: bundledSources(), own: [{ file: `/o/${name}.yaml`, text: content }] });

  it('changes what it names of the bundled agent, and keeps the rest', () => {
    const { entries, broken } = own(
      'claude',
      'title: My Claude\nheadless: { options: { max_turns: null } }\nrefuse: [_inherit, [doctor]]\n',
    );
    expect([...broken]).toEqual([]);
    expect(entries.get('claude')).toMatchObject({
      title: 'My Claude',
      binary: 'claude',
      headless: { options: { model: ['--model', '{model}'], subagents: ['--agents', '{file}'] } },
      refuse: expect.arrayContaining([['auth', 'login'], ['doctor']]),
    });
    expect(entries.get('claude')).not.toHaveProperty('headless.options.max_turns');
  });

  it('chooses another way to hand over instructions whole, not key by key', () => {
    const { entries, broken } = own('claude', 'instructions: { via: prompt }\n');
    expect([...broken]).toEqual([]);
    expect(entries.get('claude')).toMatchObject({ instructions: { via: 'prompt' } });
  });

  it('stands alone for a name of its own', () => {
    const { entries } = own('mine', text('mine'));
    expect(entries.get('mine')).toMatchObject({ title: 'Title', kind: 'agent' });
    expect([...entries.keys()]).toEqual([...entries.keys()].sort());
  });

  it.each([
    ['a key it has', 'title: x\nbinary: ../evil\n', '/o/claude.yaml:2: binary: a program name'],
    [
      'a key further in',
      'install:\n  npm:\n    "@anthropic-ai/claude-code": { version: latest! }\n',
      '/o/claude.yaml:3: install.npm.@anthropic-ai/claude-code.version: one exact version',
    ],
    [
      'what is not in it',
      'title: x\nheadless: { command: [claude] }\n',
      '/o/claude.yaml:2: headless.command: needs {options}',
    ],
    ['what it takes away', 'binary: null\n', '/o/claude.yaml:1: binary: is missing'],
    ['another name', 'title: x\nname: other\n', '/o/claude.yaml:2: name: is "other"'],
    ['no mapping', '- x\n', '/o/claude.yaml:1: '],
    ['broken syntax', 'title: [\n', '/o/claude.yaml:'],
  ])('is blamed for %s by line and key, and never passed over silently', (_, content, message) => {
    const { entries, broken } = own('claude', content);
    expect(broken.get('claude')?.message).toContain(message);
    // The image is still built with what is bundled.
    expect(entries.get('claude')?.title).toBe('Claude');
  });
});

describe('files that contradict each other', () => {
  const source = (file: string, content: string) => ({ file, text: content });
  const route = (prefix: string) =>
    `route:\n  prefix: ${prefix}\n  upstream: https://x.example.org\n  auth: { api_key: { header: X } }\n`;
  const approval = (value: string) => `unrestricted: [{ via: env, env: { ALLOW: "${value}" } }]\n`;
  const file = (name: string) => agentText(name, `files: [{ path: /etc/x.conf, content: of-${name} }]\n`);
  const npm = (version: string) =>
    `kind: tool\nname: NAME\ntitle: T\ndescription: D\nbinary: t\ninstall: { npm: { left-pad: { version: ${version} } } }\n`;
  const requires = (name: string, other: string) =>
    agentText(name).replace('bundled: [terok-scripted]', `requires: [${other}]`);

  it.each([
    [
      'one route prefix',
      agentText('a', route('p')),
      agentText('b', route('p')),
      'both set the route prefix "p"',
    ],
    [
      'different values for one variable',
      agentText('a', approval('yes')),
      agentText('b', approval('true')),
      'both set the variable "ALLOW"',
    ],
    [
      'a variable that undoes the approval of another',
      agentText('a', 'env: { ALLOW: "no" }\n'),
      agentText('b', approval('true')),
      'both set the variable "ALLOW"',
    ],
    [
      'a variable of headless runs that undoes an approval',
      agentText('a', '  env: { ALLOW: "no" }\n'),
      agentText('b', approval('true')),
      'both set the variable "ALLOW"',
    ],
    [
      'a variable of ACP that undoes what keeps another asking',
      agentText('a', 'acp: { command: [run-it], env: { ALLOW: "yes" } }\n'),
      agentText('b', approval('no').replace('un', '')),
      'both set the variable "ALLOW", but not to the same',
    ],
    [
      'a variable for the name of a log, a model or instructions that undoes an approval',
      agentText('a', '  log_env: ALLOW\n'),
      agentText('b', approval('true')),
      'both set the variable "ALLOW"',
    ],
    [
      'an approval of unrestricted tasks that another always gives',
      agentText('a', 'env: { ALLOW: "true" }\n'),
      agentText('b', approval('true')),
      'both set the variable "ALLOW", which is an approval in unrestricted tasks',
    ],
    [
      'an approval of unrestricted tasks that comes with an endpoint',
      agentText('a', `${route('p')}phantom: { api_key: { env: { ALLOW: "true" } } }\n`),
      agentText('b', approval('true')),
      'both set the variable "ALLOW", which is an approval in unrestricted tasks',
    ],
    [
      'different versions of one package',
      npm('1.0.0').replace('NAME', 'a'),
      npm('1.0.1').replace('NAME', 'b'),
      'both set the version of the package "left-pad"',
    ],
    [
      'different values for one variable of restricted tasks',
      agentText('a', approval('yes').replace('un', '')),
      agentText('b', approval('true').replace('un', '')),
      'both set the variable "ALLOW"',
    ],
    ['different content of one file', file('a'), file('b'), 'want different things in /etc/x.conf'],
    [
      'files of which one would be the directory of the other',
      file('a'),
      file('b').replace('/etc/x.conf', '/etc/x.conf/b'),
      'cannot both have their file: /etc/x.conf/b is below /etc/x.conf',
    ],
    ['requirements in a circle', requires('a', 'b'), requires('b', 'a'), 'goes in a circle: a → b → a'],
  ])('by %s are refused, both named', (_, a, b, problem) => {
    const sources = [source('/r/a.yaml', a), source('/r/b.yaml', b)];
    const refused = () => readRoster({ bundled: sources, own: [] });
    expect(refused).toThrow(problem);
    expect(refused).toThrow('/r/a.yaml');
    expect(refused).toThrow('/r/b.yaml');
    expect(refused).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  it('may agree on a variable or a package', () => {
    const sources = [
      source('/r/a.yaml', agentText('a', approval('yes'))),
      source('/r/b.yaml', agentText('b', approval('yes'))),
    ];
    expect(readRoster({ bundled: sources, own: [] }).entries.size).toBe(2);
  });

  it('may do so within one file, which is named once', () => {
    const problems = (more: string) =>
      readRoster({ bundled: [], own: [source('/o/a.yaml', agentText('a', more))] }).broken.get('a')?.message;
    expect(problems(`${approval('yes')}env: { ALLOW: "no" }\n`)).toBe(
      '/o/a.yaml: sets the variable "ALLOW" twice, which is an approval in unrestricted tasks',
    );
    expect(problems('state: [.a]\nfiles: [{ path: /home/dev/.a/x, content: x }]\n')).toMatch(
      /^\/o\/a\.yaml: the file \/home\/dev\/\.a\/x would lie/,
    );
  });

  it('cost the own one of them, and nobody else', () => {
    const { entries, broken } = readRoster({
      bundled: bundledSources(),
      own: [
        source('/o/thief.yaml', agentText('thief', route('claude'))),
        source('/o/fine.yaml', agentText('fine')),
        source('/o/lonely.yaml', requires('lonely', 'nowhere')),
        source('/o/needy.yaml', requires('needy', 'thief')),
      ],
    });
    expect(entries.has('claude')).toBe(true);
    expect(entries.has('fine')).toBe(true);
    expect([...broken.keys()].sort()).toEqual(['lonely', 'needy', 'thief']);
    expect(broken.get('thief')?.message).toMatch(/claude\.yaml/);
    expect(broken.get('lonely')?.message).toBe(
      '/o/lonely.yaml: install.requires: there is no "nowhere" in the roster',
    );
    expect(broken.get('needy')?.message).toContain('there is no "thief"');
  });

  it('of another agent leave the tasks of all others alone', () => {
    const { entries, broken } = readRoster({
      bundled: bundledSources(),
      own: [
        source(
          '/o/other.yaml',
          agentText('other', 'files: [{ path: /etc/codex/managed_config.toml, content: "x = 1" }]\n'),
        ),
        source('/o/text.yaml', agentText('text', 'files: [{ path: /etc/text.json, content: "{" }]\n')),
        source('/o/fine.yaml', agentText('fine')),
      ],
    });
    expect(entries.get('codex')?.title).toBe('Codex');
    expect(entries.has('fine')).toBe(true);
    expect([...broken.keys()].sort()).toEqual(['other', 'text']);
    expect(broken.get('text')?.message).toBe('/o/text.yaml: puts into /etc/text.json what is not JSON');
  });

  it('cannot require themselves', () => {
    expect(() => readRoster({ bundled: [source('/r/a.yaml', requires('a', 'a'))], own: [] })).toThrow(
      'goes in a circle: a → a',
    );
  });
});

it('has what a file leaves out as it is most often', () => {
  expect(agentOf(agentText('a'))).toMatchObject({
    session: { id: 'none' },
    instructions: { via: 'prompt' },
    events: { format: 'text', exit_code_is_reliable: true },
    headless: { prompt: 'stdin', options: {}, env: {} },
    refuse: [],
    unrestricted: [],
    files: [],
  });
});

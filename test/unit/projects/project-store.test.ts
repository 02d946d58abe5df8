import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigLoader } from '../../../src/runtime/config/config-loader.ts';
import { ProjectStore } from '../../../src/runtime/projects/project-store.ts';
import { repositoriesIn } from '../../support/repositories.ts';

let directory: string;
let configDirectory: string;
let store: ProjectStore;

const open = (projects: string): ProjectStore =>
  new ProjectStore({
    directory: projects,
    config: new ConfigLoader({ directory: configDirectory, bundledInstructions: '/nonexistent' }),
    repositories: repositoriesIn(configDirectory),
  });

beforeEach(async () => {
  configDirectory = await mkdtemp('/tmp/tp-');
  directory = path.join(configDirectory, 'projects');
  await mkdir(directory);
  store = open(directory);
});
afterEach(() => rm(configDirectory, { recursive: true, force: true }));

async function given(id: string, text: string): Promise<string> {
  const file = path.join(directory, id, 'project.yml');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

const GOOD = 'git:\n  upstream_url: https://example.invalid/x.git\n';

describe('reading project.yml', () => {
  it('fills in what may be left out', async () => {
    const file = await given('demo', GOOD);
    const project = await store.get('demo');
    expect(project).toMatchObject({
      id: 'demo',
      file,
      settings: { run: { memory: 8 * 1024 ** 3, cpus: 4 }, promotion: { approval: 'human' } },
    });
  });

  it.each([
    [
      'a wrong value',
      `${GOOD}run:\n  cpus: 2\n  memory: lots\n`,
      5,
      'run.memory: a number followed by k, m or g',
    ],
    [
      'an unknown key',
      `${GOOD}run:\n  memroy: 4g\n`,
      4,
      'run.memroy: is no known key; did you mean "memory"?',
    ],
    ['an unknown section', `${GOOD}runs:\n  memory: 4g\n`, 3, 'runs: is no known key; did you mean "run"?'],
    ['a wrong type', `${GOOD}run:\n  restricted: maybe\n`, 4, 'run.restricted: must be true or false'],
    [
      'a value that is none of the allowed',
      `${GOOD}promotion:\n  approval: robot\n`,
      4,
      'promotion.approval: must be "human" or "supervisor" or "disabled"',
    ],
    ['broken YAML', `${GOOD}run: [1, 2\nx: y\n`, 4, 'not valid YAML'],
    ['a key given twice', `${GOOD}git:\n  upstream_url: /x\n`, 3, 'git: stands there twice'],
    ['no git section', '# nothing\nproject:\n  description: x\n', 2, 'git.upstream_url: is missing'],
    ['an empty file', '', 1, 'git.upstream_url: is missing'],
    ['no upstream', 'project: {}\ngit:\n  default_branch: main\n', 2, 'git.upstream_url: is missing'],
    [
      'an upstream that is an option',
      'git:\n  upstream_url: --upload-pack=/bin/evil\n',
      2,
      'git.upstream_url: begins with "-"',
    ],
    [
      'an upstream that runs programs',
      'git:\n  upstream_url: "ext::sh -c evil"\n',
      2,
      'git.upstream_url: contains spaces',
    ],
    ['a branch that is an option', `${GOOD}  default_branch: -x\n`, 3, 'git.default_branch: begins with "-"'],
    ['another id than the directory', `project:\n  id: other\n${GOOD}`, 2, 'project.id: must equal'],
    ['a list in place of it all', '# x\n- git\n', 2, 'must be a mapping'],
    ['a text in place of it all', 'git\n', 1, 'must be a mapping'],
    ['a section without keys', `${GOOD}run:\n  # cpus: 4\n`, 3, 'run: is empty'],
    ['an unknown key that is unset', `${GOOD}run:\n  memroy: null\n`, 4, 'run.memroy: is no known key'],
    [
      'something to inherit where there is nothing',
      `${GOOD}docker:\n  agents: [claude, _inherit]\n`,
      4,
      'docker.agents.1: has "_inherit"',
    ],
    [
      'a key that reaches a prototype',
      `${GOOD}run:\n  __proto__: {cpus: 1}\n`,
      4,
      'run.__proto__: cannot be a key',
    ],
    [
      'a name that would break a commit',
      `${GOOD}  human_name: "A <b@c>"\n`,
      3,
      'git.human_name: a name without',
    ],
    [
      'a layer of the wrong kind',
      `${GOOD}agent:\n  model:\n    claude: 3\n`,
      5,
      'agent.model.claude: must be',
    ],
    [
      'an unknown key of a layer',
      `${GOOD}agent:\n  modle: x\n`,
      4,
      'agent.modle: is no known key; did you mean "model"?',
    ],
    ['an address without a key of that name', 'git:\n  human_name: A\n', 1, 'git.upstream_url: is missing'],
    [
      'a port that is none',
      `${GOOD}relay:\n  endpoint: tcp://127.0.0.1:70000\n`,
      4,
      'relay.endpoint: its port is 1 to 65535',
    ],
    ['text where a mapping belongs', 'git: hello\n', 1, 'git: must be a mapping'],
  ])('names file, line and key of %s', async (_what, text, line, problem) => {
    const file = await given('demo', text);
    await expect(store.get('demo')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`${file}:${line}: ${problem}`),
    });
  });

  it('takes a model server and a web program from config.yml, changes them key by key, or has none', async () => {
    await writeFile(
      path.join(configDirectory, 'config.yml'),
      'relay: { endpoint: tcp://127.0.0.1:8090 }\nweb: { program: files }\n',
    );
    const of = async (more: string) => {
      await given('demo', `${GOOD}${more}`);
      const { relay, web } = (await store.get('demo')).settings;
      return [relay?.endpoint, web.program];
    };
    expect(await of('')).toEqual(['tcp://127.0.0.1:8090', 'files']);
    expect(await of('relay: _inherit\nweb: { program: _inherit }\n')).toEqual([
      'tcp://127.0.0.1:8090',
      'files',
    ]);
    expect(await of('relay: { endpoint: "unix:///run/x:0" }\nweb: { program: null }\n')).toEqual([
      'unix:///run/x:0',
      'toad',
    ]);
    await expect(of('relay: { endpoint: null }\n')).rejects.toThrow('relay.endpoint: is missing');
    await expect(of('relay: null\n')).rejects.toThrow('relay: is empty');
  });

  it('says how many more problems there are', async () => {
    await given('demo', `${GOOD}run:\n  cpus: -1\n  pids: 1\n`);
    await expect(store.get('demo')).rejects.toMatchObject({
      message: expect.stringContaining('(and 1 more)'),
      details: expect.stringContaining('run.pids'),
    });
  });

  it('is not brought down by huge files, alias bombs or named pipes', async () => {
    await given('huge', `${GOOD}# ${'x'.repeat(1024 * 1024)}\n`);
    const bomb = Array.from(
      { length: 20 },
      (_, index) =>
        `x${index + 1}: &a${index + 1} [${Array.from({ length: 10 }, () => `*a${index}`).join(', ')}]`,
    );
    await given('bomb', `x0: &a0 [1]\n${bomb.join('\n')}\n${GOOD}`);
    await mkdir(path.join(directory, 'pipe'));
    execFileSync('mkfifo', [path.join(directory, 'pipe/project.yml')]);
    await given('good', GOOD);
    const { projects, broken } = await store.list();
    expect(projects.map(({ id }) => id)).toEqual(['good']);
    expect(broken.map(({ id, problem }) => [id, problem.replace(directory, '')])).toEqual([
      ['bomb', '/bomb/project.yml:1: its aliases (*name) expand to too much'],
      ['huge', '/huge/project.yml: is larger than 1 MB'],
      ['pipe', '/pipe/project.yml: is not a regular file'],
    ]);
  });

  it('lists what is broken beside what works', async () => {
    await given('good', GOOD);
    await given('bad', 'git: 1\n');
    await given('Not-An-Id', GOOD);
    await mkdir(path.join(directory, 'empty'));
    await writeFile(path.join(directory, 'a-file'), '');
    const { projects, broken } = await store.list();
    expect(projects.map(({ id }) => id)).toEqual(['good']);
    expect(broken.map(({ id }) => id)).toEqual(['Not-An-Id', 'bad', 'empty']);
    expect(broken.every(({ problem }) => problem.includes(directory))).toBe(true);
  });

  it('has no projects where there is no directory yet', async () => {
    expect(await open(path.join(directory, 'none')).list()).toEqual({
      projects: [],
      broken: [],
    });
  });

  it('suggests near names for an unknown one, however long the name', async () => {
    await given('website', GOOD);
    await expect(store.get('webiste')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'Did you mean "website"?',
    });
    await expect(store.get('x'.repeat(1_000_000))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(store.get('../website')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('creating a project', () => {
  it('writes a file that reads back, with comments, readable by its owner only', async () => {
    const project = await store.create({
      id: 'demo',
      upstreamUrl: 'https://example.invalid/a/b.git',
      defaultBranch: 'true',
    });
    expect(project.settings.git).toMatchObject({
      upstream_url: 'https://example.invalid/a/b.git',
      default_branch: 'true',
    });
    expect(await readFile(project.file, 'utf8')).toContain('# ');
    expect(await store.get('demo')).toEqual(project);
    expect(await readdir(path.dirname(project.file))).toEqual(['project.yml']);
  });

  it('never replaces one: of many at once, one wins', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => store.create({ id: 'demo', upstreamUrl: `/srv/${index}` })),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'CONFLICT' },
    });
  });

  it.each([
    '-x',
    '--upload-pack=x',
    'ext::sh -c x',
    'fd::3',
    'ftp://x/y',
    'https://',
    'ssh://-oProxyCommand=x/y',
    '-oProxyCommand=x:y',
    'user@-x:y',
    'relative/path',
    'a\nb',
    'https://x/\u202ey',
    'file://relative',
    '',
    `https://h/${'x'.repeat(3000)}`,
  ])('refuses the upstream %j', async (upstreamUrl) => {
    await expect(store.create({ id: 'demo', upstreamUrl })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(await readdir(directory)).toEqual([]);
  });

  it.each([
    'https://example.invalid/x.git',
    'http://u:p@h:80/x',
    'git://h/x',
    'file:///srv/x',
    '/srv/x',
    'ssh://git@h/x',
    'h:x',
    'git@h:x/y.git',
  ])('takes the upstream %j', async (upstreamUrl) => {
    expect((await store.create({ id: 'demo', upstreamUrl })).settings.git.upstream_url).toBe(upstreamUrl);
  });

  it.each(['Demo', '../x', 'default', '', 'x'.repeat(64)])('refuses the id %j', async (id) => {
    await expect(store.create({ id, upstreamUrl: '/srv/x' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });
});

describe('a repository without a project', () => {
  it('has the settings of config.yml, is remembered, and is the same one each time', async () => {
    await writeFile(
      path.join(configDirectory, 'config.yml'),
      'git:\n  human_name: Ada\nrun:\n  memory: 2g\nagent:\n  model: big\ndefault_agent: codex\n',
    );
    const project = await store.forRepository('/srv/repos/Some Thing'.replace(' ', '_'));
    expect(project).toMatchObject({
      isRepository: true,
      settings: {
        default_agent: 'codex',
        git: { upstream_url: '/srv/repos/Some_Thing', human_name: 'Ada' },
        run: { memory: 2 * 1024 ** 3 },
      },
    });
    expect(project.id).toMatch(/^repo-some-thing-[0-9a-f]{8}$/);
    expect(await store.forRepository('/srv/repos//Some_Thing/')).toEqual(project);
    expect(await open(directory).get(project.id)).toEqual(project);
    expect((await store.list()).projects.map(({ id }) => id)).toEqual([project.id]);
    expect((await store.forRepository('/srv/other')).id).not.toBe(project.id);
    await expect(store.create({ id: project.id, upstreamUrl: '/srv/x' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });

  it.each([
    ['../here', /absolute path/],
    ['ext::sh -c x', /spaces|uses/],
    ['git@host:x', /SSH/],
    ['https://me:secret@host/x', /user name or password/],
    ['--upload-pack=x', /option/],
    ['git://me:secret@host/x', /user name or password/],
    ['https://host/x?access_token=secret', /query/],
    ['~/here', /absolute path/],
    [`https://host/${'x'.repeat(3000)}`, /is longer than 2000 characters/],
    [`/${'x'.repeat(3000)}`, /is longer than 2000 characters/],
  ])('is refused as %s, and what is secret is not repeated', async (url, problem) => {
    const failure = store.forRepository(url);
    await expect(failure).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(problem),
    });
    await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining('secret') });
    expect((await store.list()).projects).toEqual([]);
  });

  it.each([
    ['/srv/x', ['file:///srv/x', '/srv//x/', '/srv/./x', '/srv/y/../x', 'file:///srv/x/']],
    ['https://example.org/A/b', ['https://EXAMPLE.org/A/b', 'https://example.org/A/b//']],
    ['/', ['file:///', '//']],
  ])('is one, however %s is written', async (url, others) => {
    const project = await store.forRepository(url);
    expect(project.settings.git.upstream_url).toBe(url);
    for (const other of others) expect(await store.forRepository(other)).toEqual(project);
    expect((await store.list()).projects).toEqual([project]);
  });

  it('is another one with another path, suffix or case', async () => {
    const urls = [
      '/srv/x',
      '/srv/x.git',
      '/srv/X',
      '/srv/日本',
      '/srv/ü',
      'https://h/x',
      'http://h/x',
      'file:///srv/%78',
    ];
    const ids = await Promise.all(urls.map(async (url) => (await store.forRepository(url)).id));
    expect(new Set(ids).size).toBe(urls.length);
  });

  it('never gets the id of another one, though somebody looked for an address with the same hash', async () => {
    const seen = new Map<string, string>();
    let pair: readonly [string, string] | undefined;
    for (let index = 0; pair === undefined; index++) {
      const url = `https://h/${index}/x`;
      const hash = createHash('sha256').update(url).digest('hex').slice(0, 8);
      const other = seen.get(hash);
      if (other !== undefined) pair = [other, url];
      seen.set(hash, url);
    }
    const [first, second] = pair;
    const project = await store.forRepository(first);
    await expect(store.forRepository(second)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await store.get(project.id)).settings.git.upstream_url).toBe(first);
  });

  it('gives way to a project of that name, and a broken config.yml is its error too', async () => {
    const { id } = await store.forRepository('/srv/repos/thing');
    await given(id, 'git:\n  upstream_url: /srv/x\n');
    expect(await store.get(id)).toMatchObject({
      isRepository: false,
      settings: { git: { upstream_url: '/srv/x' } },
    });
    expect((await store.list()).projects).toHaveLength(1);
    await expect(store.forRepository('/srv/repos/thing')).rejects.toMatchObject({ code: 'CONFLICT' });
    await writeFile(path.join(configDirectory, 'config.yml'), 'run: 3\n');
    await expect(store.forRepository('/srv/repos/thing')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

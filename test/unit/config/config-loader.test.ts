import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigLoader } from '../../../src/runtime/config/config-loader.ts';

let directory: string;
let config: ConfigLoader;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/tc-');
  config = new ConfigLoader({ directory, bundledInstructions: path.join(directory, 'bundled.md') });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function given(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(directory, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

describe('config.yml', () => {
  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['all comments', '# agent:\n#   model: x\n'],
  ])('may be %s', async (_what, text) => {
    if (text !== undefined) await given('config.yml', text);
    expect(await config.global()).toEqual({
      file: path.join(directory, 'config.yml'),
      sections: { docker: {}, git: {}, run: {}, promotion: {} },
      defaultAgent: undefined,
      agent: undefined,
    });
  });

  it('may say everything a project may inherit, and stays as it was written', async () => {
    const text = `# mine
default_agent: codex  # for now
preset: fast
agent: {model: {claude: opus, _default: null}}
docker: {base_image: "debian:12", user_snippet_file: snippets/all, agents: [claude, codex]}
git: {authorship: " Human ", human_name: Ада Лавлейс, human_email: ada@example.org}
run: {gpus: [nvidia], memory: 2g, restricted: true}
promotion: {approval: supervisor}
`;
    const file = await given('config.yml', text);
    expect(await config.global()).toMatchObject({
      defaultAgent: 'codex',
      agent: { model: { claude: 'opus', _default: null } },
      sections: {
        preset: 'fast',
        docker: { base_image: 'debian:12', user_snippet_file: path.join(directory, 'snippets/all') },
        git: { human_name: 'Ада Лавлейс' },
        run: { gpus: ['nvidia'], memory: '2g' },
        promotion: { approval: 'supervisor' },
      },
    });
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  it.each([
    ['an unknown key', 'agent: {}\nagnet: {}\n', 2, 'agnet: is no known key; did you mean "agent"?'],
    ['a key of a project only', 'git:\n  upstream_url: /x\n', 2, 'git.upstream_url: is no known key'],
    [
      'an unknown key that is unset',
      'run:\n  memroy: null\n',
      2,
      'run.memroy: is no known key; did you mean "memory"?',
    ],
    ['a section without keys', 'run:\n', 1, 'run: is empty'],
    ['a wrong value', 'run:\n  cpus: 1\n  gpus: 0\n', 3, 'run.gpus: must be'],
    [
      'a wrong value for one agent',
      'agent:\n  max_turns:\n    claude: many\n',
      3,
      'agent.max_turns.claude: must be',
    ],
    [
      'a sub-agent without a name',
      'agent:\n  subagents:\n    - prompt: x\n',
      3,
      'agent.subagents.0: needs a "name"',
    ],
    ['a list in place of it all', '- a\n', 1, 'must be a mapping'],
    ['text in place of it all', '\nhello\n', 2, 'must be a mapping'],
    ['broken YAML', 'a: [\n', 2, 'not valid YAML'],
    [
      'an attack on prototypes',
      'run:\n  constructor: {prototype: {x: 1}}\n',
      2,
      'run.constructor: cannot be a key',
    ],
  ])('with %s is refused with file, line and key', async (_what, text, line, problem) => {
    const file = await given('config.yml', text);
    await expect(config.global()).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`${file}:${line}: ${problem}`),
    });
  });

  it('that cannot be read is never taken for an empty one', async () => {
    const file = path.join(directory, 'config.yml');
    execFileSync('mkfifo', [file]);
    await expect(config.global()).rejects.toMatchObject({ message: `${file}: is not a regular file` });
    await rm(file);
    await given('config.yml', Buffer.from([0xff, 0xfe, 0x00]));
    await expect(config.global()).rejects.toMatchObject({ message: `${file}: is not UTF-8 text` });
    await given('config.yml', `# ${'x'.repeat(1024 * 1024)}`);
    await expect(config.global()).rejects.toMatchObject({ message: `${file}: is larger than 1 MB` });
  });
});

describe('presets', () => {
  it('are layers of their own, by the names of their files', async () => {
    const file = await given('presets/fast.yml', 'model: haiku\nsubagents: [_inherit, {file: a.md}]\n');
    await given('presets/Größe 2.yml', '');
    await given('presets/notes.txt', 'x');
    await given('presets/.hidden.yml', 'x');
    expect(await config.presets()).toEqual(['Größe 2', 'fast']);
    expect(await config.preset('fast')).toEqual({
      level: 'preset',
      source: file,
      directory: path.dirname(file),
      layer: { model: 'haiku', subagents: ['_inherit', { file: 'a.md' }] },
    });
    expect((await config.preset('Größe 2')).layer).toEqual({});
  });

  it('need not exist', async () => {
    expect(await config.presets()).toEqual([]);
    await expect(config.preset('fast')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('presets/<name>.yml'),
    });
  });

  it('suggest near names, and a name leads nowhere else', async () => {
    await given('presets/thorough.yml', 'model: x\n');
    await given('secret.yml', 'model: x\n');
    await expect(config.preset('thoruogh')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'Did you mean "thorough"?',
    });
    for (const name of ['../secret', '/etc/passwd', '', '.', '..', 'a/b', 'x\0', '../presets/thorough']) {
      await expect(config.preset(name)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it.each([
    ['modle: x\n', 1, 'modle: is no known key; did you mean "model"?'],
    ['agent:\n  model: x\n', 1, 'agent: is no known key'],
    ['model: a\ntimeout: -1\n', 2, 'timeout: must be'],
    ['- a\n', 1, 'must be a mapping'],
  ])('that say %j are refused with file, line and key', async (text, line, problem) => {
    const file = await given('presets/bad.yml', text);
    await expect(config.preset('bad')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`${file}:${line}: ${problem}`),
    });
  });

  it('that are named pipes keep nobody waiting', async () => {
    await given('presets/a.yml', '');
    execFileSync('mkfifo', [path.join(directory, 'presets/pipe.yml')]);
    await expect(config.preset('pipe')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

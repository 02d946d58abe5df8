import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigLoader } from '../../../src/runtime/config/config-loader.ts';
import type { ConfigScope, ResolveInput } from '../../../src/runtime/config/contract.ts';

let directory: string;
let config: ConfigLoader;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/tr-');
  await writeFile(path.join(directory, 'bundled.md'), 'BUNDLED\n');
  config = new ConfigLoader({ directory, bundledInstructions: path.join(directory, 'bundled.md') });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function given(name: string, content: string): Promise<string> {
  const file = path.join(directory, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

const LEVELS = ['global', 'project', 'preset', 'task', 'call'] as const;

/** Scopes from the lowest up, one a level. */
function scopes(...layers: ReadonlyArray<ConfigScope['layer']>): ConfigScope[] {
  return layers.map((layer, index) => {
    const level = LEVELS[index] ?? 'call';
    const isFile = level !== 'task' && level !== 'call';
    return {
      level,
      source: `/cfg/${level}.yml`,
      directory: isFile ? path.join(directory, level) : undefined,
      layer,
    };
  });
}

const resolve = (layers: ReadonlyArray<ConfigScope['layer']>, more: Partial<ResolveInput> = {}) =>
  config.resolve({ agent: 'claude', scopes: scopes(...layers), projectDirectory: undefined, ...more });

describe('a value for one agent', () => {
  it.each([
    ['absent', {}, undefined],
    ['null', { model: null }, undefined],
    ['one for all', { model: 'opus' }, 'opus'],
    ["the agent's own", { model: { claude: 'opus', _default: 'fast' } }, 'opus'],
    ['that of others only', { model: { codex: 'o3' } }, undefined],
    ['the default', { model: { codex: 'o3', _default: 'fast' } }, 'fast'],
    ['null, so that the default counts', { model: { claude: null, _default: 'fast' } }, 'fast'],
    ['null without a default', { model: { claude: null } }, undefined],
    ['a null default', { model: { _default: null } }, undefined],
    ['an empty mapping', { model: {} }, undefined],
    ['"_inherit" with nothing below', { model: '_inherit' }, undefined],
    [
      '"_inherit" for the agent with nothing below',
      { model: { claude: '_inherit', _default: 'fast' } },
      'fast',
    ],
    ['the mark with nothing below', { model: { _inherit: true, claude: 'opus' } }, 'opus'],
  ])('is %s', async (_what, layer, model) => {
    expect((await resolve([layer])).model).toBe(model);
  });

  it('comes from the uppermost layer that says anything', async () => {
    const layers = [
      { model: 'a', timeout: 1, max_turns: { claude: 1, _default: 9 } },
      { model: 'b', timeout: 2 },
      { model: 'c', max_turns: { claude: null } },
      { timeout: '_inherit' },
      { model: 'e' },
    ] as const;
    expect(await resolve(layers)).toMatchObject({ model: 'e', timeoutS: 2, maxTurns: 9 });
    expect(await resolve(layers.slice(0, 2))).toMatchObject({ model: 'b', timeoutS: 2, maxTurns: 1 });
  });

  it('in a layer above joins the mapping below', async () => {
    const below = { model: { claude: 'opus', _default: 'fast' } };
    expect(await resolve([below, { model: { codex: 'o3' } }])).toMatchObject({ model: 'opus' });
    expect(await resolve([below, { model: 'x' }])).toMatchObject({ model: 'x' });
    expect(await resolve([{ model: 'x' }, below])).toMatchObject({ model: 'opus' });
  });

  it('has its last resort', async () => {
    expect(await resolve([])).toEqual({
      model: undefined,
      maxTurns: undefined,
      timeoutS: 1800,
      instructions: 'BUNDLED',
      hasCustomInstructions: false,
      isUnrestricted: true,
      subagents: [],
    });
  });

  it.each([
    [true, true],
    [false, false],
    ['', false],
    ['false', false],
    [' FALSE ', false],
    ['0', false],
    ['No', false],
    ['off\n', false],
    ['true', true],
    ['yes', true],
    ['1', true],
    ['nope', true],
    [{ claude: 'no', _default: true }, false],
    [{ codex: false }, true],
    [null, true],
  ])('unrestricted: %j means %j', async (unrestricted, isUnrestricted) => {
    expect(await resolve([{ unrestricted }])).toMatchObject({ isUnrestricted });
  });

  it.each([
    [{ model: 3 }, 'model: must be a text'],
    [{ modle: 'x' }, 'modle: is no known key; did you mean "model"?'],
    [{ subagents: [{ name: '\u202e' }] }, 'subagents.0.name: a name of at most 64 visible characters'],
    [JSON.parse('{"model": {"__proto__": "x"}}'), '"__proto__" cannot be a key'],
  ])('that cannot be used is blamed on its layer: %j', async (layer, problem) => {
    await expect(resolve([{ model: 'a' }, {}, {}, layer])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(problem),
    });
  });
});

describe('instructions', () => {
  it.each([
    ['nothing', undefined, 'BUNDLED'],
    ['null', null, 'BUNDLED'],
    ['a bare "_inherit"', '_inherit', 'BUNDLED'],
    ['a text', 'mine', 'mine'],
    ['an empty text', '', ''],
    ['a list', ['a', 'b'], 'a\n\nb'],
    ['an empty list', [], ''],
    ['a list that takes up the bundled text', ['a', '_inherit', 'b'], 'a\n\nBUNDLED\n\nb'],
    ['… twice', ['_inherit', '_inherit'], 'BUNDLED\n\nBUNDLED'],
    ['a list of other scalars', ['a', 3, false], 'a\n\n3\n\nfalse'],
    ['a mapping with the agent', { claude: 'mine', _default: 'x' }, 'mine'],
    ['a mapping with a list', { claude: ['_inherit', 'more'] }, 'BUNDLED\n\nmore'],
    ['a mapping with "_inherit"', { claude: '_inherit' }, 'BUNDLED'],
    ['a mapping with a default', { codex: 'x', _default: 'mine' }, 'mine'],
    ['a mapping with null and a default', { claude: null, _default: 'mine' }, 'mine'],
    ['a mapping without the agent', { codex: 'x' }, 'BUNDLED'],
    ['a mapping with an empty text', { claude: '', _default: 'x' }, ''],
  ])('from %s', async (_what, instructions, text) => {
    const layer = instructions === undefined ? {} : { instructions };
    expect((await resolve([layer])).instructions).toBe(text);
  });

  it('of a layer above take up those below', async () => {
    const result = await resolve([{ instructions: ['_inherit', 'g'] }, { instructions: ['p', '_inherit'] }]);
    expect(result.instructions).toBe('p\n\nBUNDLED\n\ng');
  });

  it.each([
    ['  own\n\n', 'BUNDLED\n\nown', true],
    [' \n', 'BUNDLED', true],
    ['', 'BUNDLED', true],
  ])('get the file of the project appended: %j', async (content, text, hasCustomInstructions) => {
    await given('p/instructions.md', content);
    const result = await resolve([], { projectDirectory: path.join(directory, 'p') });
    expect(result).toMatchObject({ instructions: text, hasCustomInstructions });
  });

  it('that are emptied on purpose are the file alone', async () => {
    await given('p/instructions.md', 'own');
    const result = await resolve([{ instructions: '' }], { projectDirectory: path.join(directory, 'p') });
    expect(result.instructions).toBe('own');
  });

  it('given with a call replace everything, the file as well', async () => {
    await given('p/instructions.md', 'own');
    const projectDirectory = path.join(directory, 'p');
    const layers = [{ instructions: 'layer' }];
    expect(await resolve(layers, { projectDirectory, instructions: 'only this' })).toMatchObject({
      instructions: 'only this',
      hasCustomInstructions: true,
    });
    expect(await resolve(layers, { projectDirectory, instructions: '' })).toMatchObject({ instructions: '' });
  });

  it.each([
    [{}, false],
    [{ instructions: null }, false],
    [{ instructions: '_inherit' }, false],
    [{ instructions: '' }, true],
    [{ instructions: [] }, true],
    [{ instructions: ['_inherit'] }, true],
    [{ instructions: { codex: 'x' } }, true],
  ])('of a person or not: %j', async (layer, hasCustomInstructions) => {
    expect(await resolve([layer])).toMatchObject({ hasCustomInstructions });
  });

  it('in a file that cannot be read are an error, not left out', async () => {
    await mkdir(path.join(directory, 'p'));
    const file = path.join(directory, 'p/instructions.md');
    execFileSync('mkfifo', [file]);
    await expect(resolve([], { projectDirectory: path.join(directory, 'p') })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: `${file}: is not a regular file`,
    });
  });
});

describe('sub-agents', () => {
  const names = async (...args: Parameters<typeof resolve>) =>
    (await resolve(...args)).subagents.map(({ name }) => name);

  it('are those that are default and those that are selected', async () => {
    const subagents = [
      { name: 'a', default: true },
      { name: 'b' },
      { name: 'c', default: false },
      { name: 'd' },
    ];
    expect(await names([{ subagents }])).toEqual(['a']);
    expect(await names([{ subagents }], { selectedSubagents: ['d', 'c', 'c'] })).toEqual(['a', 'c', 'd']);
  });

  it('tell an agent what it may know, and nothing else', async () => {
    const subagents = [
      {
        name: 'a',
        default: true,
        description: 'Reviews.',
        tools: ['Read'],
        maxTurns: 0,
        model: null,
        color: 'red',
        prompt: 'not this',
        system_prompt: 'but this',
      },
    ];
    expect((await resolve([{ subagents }])).subagents).toEqual([
      { name: 'a', fields: { description: 'Reviews.', tools: ['Read'], maxTurns: 0, prompt: 'but this' } },
    ]);
  });

  it('of one name: the later counts, in the place of the earlier', async () => {
    const below = {
      subagents: [
        { name: 'a', default: true, prompt: '1' },
        { name: 'b', default: true },
      ],
    };
    const above = { subagents: ['_inherit', { name: 'a', default: true, prompt: '2' }] };
    const { subagents } = await resolve([below, above]);
    expect(subagents.map(({ name, fields }) => [name, fields['prompt']])).toEqual([
      ['a', '2'],
      ['b', undefined],
    ]);
    const off = { subagents: ['_inherit', { name: 'a', default: false }] };
    expect(await names([below, off])).toEqual(['b']);
  });

  it('are taken up, replaced and cleared like any list', async () => {
    const below = { subagents: [{ name: 'a', default: true }] };
    expect(await names([below, { subagents: [{ name: 'b', default: true }] }])).toEqual(['b']);
    expect(await names([below, { subagents: [] }])).toEqual([]);
    expect(await names([below, { subagents: null }])).toEqual([]);
    expect(await names([{ subagents: ['_inherit', { name: 'b', default: true }] }])).toEqual(['b']);
  });

  it('come from files beside the file that names them', async () => {
    await given('global/a.md', '---\nname: a\ndefault: true\ntools: [Read]\n---\n\nOf all.\n');
    await given('project/sub/a.md', '---\nname: b\ncolor: red\n---\nOf the project.');
    await given('elsewhere.md', 'Plain.');
    const { subagents } = await resolve([
      { subagents: [{ file: 'a.md' }] },
      {
        subagents: [
          '_inherit',
          { file: 'sub/a.md', default: true, model: 'opus' },
          { file: '../elsewhere.md', name: 'c', default: true },
        ],
      },
    ]);
    expect(subagents).toEqual([
      { name: 'a', fields: { tools: ['Read'], prompt: 'Of all.' } },
      { name: 'b', fields: { model: 'opus', prompt: 'Of the project.' } },
      { name: 'c', fields: { prompt: 'Plain.' } },
    ]);
  });

  it.each([
    ['a missing file', undefined, 'does not exist, and /cfg/project.yml names it'],
    ['a file without a name', 'Only a prompt.', 'has no name, and /cfg/project.yml makes it a sub-agent'],
    ['broken front matter', '---\nname: a\nb: [1\n---\nx', '/a.md:3: not valid YAML'],
    ['front matter with a key twice', '---\nname: a\nname: b\n---\nx', '/a.md:3: name: stands there twice'],
    [
      'an attack on prototypes',
      '---\nname: a\n__proto__: {x: 1}\n---\nx',
      '/a.md:3: __proto__: cannot be a key',
    ],
    ['a name that is none', '---\nname: [a]\n---\nx', '/a.md: name: must be a text'],
  ])('from %s are an error that names it', async (_what, content, problem) => {
    if (content !== undefined) await given('project/a.md', content);
    const attempt = resolve([{}, { subagents: [{ file: 'a.md' }] }]);
    await expect(attempt).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(problem),
    });
  });

  it('from a named pipe or a huge file keep nobody waiting', async () => {
    await mkdir(path.join(directory, 'global'));
    execFileSync('mkfifo', [path.join(directory, 'global/pipe.md')]);
    await given('global/huge.md', 'x'.repeat(2 * 1024 * 1024));
    for (const file of ['pipe.md', 'huge.md', '.', '/dev/zero']) {
      await expect(resolve([{ subagents: [{ file, name: 'a' }] }])).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
    }
  });

  it('of a call cannot be files of the host', async () => {
    const file = await given('secret.md', '---\nname: a\ndefault: true\n---\nsecret');
    const subagents = [{ file }];
    await expect(resolve([{}, {}, {}, {}, { subagents }])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('/cfg/call.yml'),
    });
    // The same entry in a file of the person is fine.
    expect(await names([{ subagents }])).toEqual(['a']);
  });

  it('that are selected and unknown are an error with the nearest names', async () => {
    const subagents = [{ name: 'reviewer' }, { name: 'tester' }];
    await expect(resolve([{ subagents }], { selectedSubagents: ['reveiwer'] })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'Did you mean "reviewer"?',
    });
    await expect(resolve([{ subagents }], { selectedSubagents: ['zzz'] })).rejects.toMatchObject({
      hint: 'Known sub-agents: reviewer, tester.',
    });
    await expect(resolve([], { selectedSubagents: ['x'] })).rejects.toMatchObject({
      hint: expect.stringContaining('agent.subagents'),
    });
  });
});

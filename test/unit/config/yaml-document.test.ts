import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readPersonalFile } from '../../../src/runtime/core/files.ts';
import { checkUnsetKeys, checkValue, locateProblems } from '../../../src/runtime/core/schema-problems.ts';
import { documentError, parseYaml } from '../../../src/runtime/core/yaml-document.ts';

describe('reading YAML', () => {
  it.each([
    ['', null],
    ['# only a comment\n', null],
    ['a: 1\nb: [x, {c: yes}]\n', { a: 1, b: ['x', { c: 'yes' }] }],
    ['a: &x [1]\nb: *x\n', { a: [1], b: [1] }],
    ['ключ: 💥\n', { ключ: '💥' }],
    ['"text"', 'text'],
  ])('takes %j', (text, value) => {
    expect(parseYaml(text).document?.value).toEqual(value);
  });

  const deep = (opening: string) => opening.repeat(30_000);
  it.each([
    ['a key given twice', 'a: 1\nb:\n  c: 1\n  c: 2\n', 4, 'b.c', 'stands there twice'],
    ['a key given twice in two ways', '1: a\n"1": b\n', 2, '1', 'stands there twice'],
    ['__proto__', 'a: 1\n__proto__: {x: 1}\n', 2, '__proto__', 'cannot be a key'],
    ['constructor', 'a:\n  - constructor: 1\n', 2, 'a.0.constructor', 'cannot be a key'],
    ['a list as a key', 'a: 1\n[b]: 1\n', 2, '["b"]', 'a key must be a text'],
    ['an unknown tag', 'a: 1\nb: !evil x\n', 2, '', 'not valid YAML: Unresolved tag: !evil'],
    ['bytes', 'a: !!binary aGk=\n', 1, 'a', 'is no plain value'],
    ['an alias to nothing', 'a: 1\nb: *nope\n', 2, 'b', 'there is no &nope before'],
    ['an alias to what it is part of', 'a: &a [*a]\n', 1, '', 'its aliases (*name) expand to too much'],
    ['two documents', 'a: 1\n---\nb: 1\n', 2, '', 'not valid YAML: Source contains multiple documents'],
    ['broken syntax', 'a: 1\nb: [1\nc: 2\n', 3, '', 'not valid YAML'],
    ['lists without end', deep('['), 1, '', 'is nested too deeply'],
    ['mappings without end', deep('{a: '), 1, '', 'is nested too deeply'],
    ['block lists without end', deep('- '), 1, '', 'is nested too deeply'],
  ])('refuses %s, with its line', (_what, text, line, key, problem) => {
    const [first] = parseYaml(text).problems ?? [];
    expect(first).toEqual({ line, key, problem: expect.stringContaining(problem) });
  });

  it('takes sixty levels, and says in which line there are too many', () => {
    const levels = (count: number) => `${'['.repeat(count)}${']'.repeat(count)}`;
    expect(parseYaml(levels(60)).problems).toBeUndefined();
    const blocks = Array.from({ length: 100 }, (_, level) => `${' '.repeat(level)}a:`).join('\n');
    for (const text of [levels(70), `${'- '.repeat(70)}x`]) {
      expect(parseYaml(`a: 1\nb:\n  ${text}\n`).problems).toEqual([
        { line: 3, key: expect.any(String), problem: 'is nested too deeply' },
      ]);
    }
    expect(parseYaml(blocks).problems).toMatchObject([{ problem: 'is nested too deeply' }]);
  });

  it('is not slowed down by very many keys', () => {
    const text = Array.from({ length: 30_000 }, (_, index) => `k${index}: 1`).join('\n');
    const start = performance.now();
    expect(parseYaml(text).problems).toBeUndefined();
    // Comparing each key with each other takes minutes.
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('does not let an escape sequence of the file through', () => {
    const result = parseYaml('"\u001b[31m\\q": 1\n');
    expect(documentError('/f', result.problems ?? []).message).not.toContain('\u001b');
  });
});

describe('checking a document', () => {
  const Schema = z.strictObject({
    name: z.string().min(2).optional(),
    count: z.int().max(9).optional(),
    mode: z.enum(['fast', 'slow']).optional(),
    either: z.union([z.string(), z.array(z.string())]).optional(),
    by_name: z.record(z.string(), z.strictObject({ size: z.int() })).optional(),
    shape: z
      .discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('round'), radius: z.int() }),
        z.strictObject({ kind: z.literal('flat'), width: z.int() }),
      ])
      .optional(),
    section: z.strictObject({ memory: z.string().optional() }).prefault({}),
  });

  it.each([
    ['nmae: x', 1, 'nmae', 'is no known key; did you mean "name"?'],
    ['zzzzzzzz: x', 1, 'zzzzzzzz', 'is no known key'],
    ['name: 3', 1, 'name', 'must be a text'],
    ['name: x', 1, 'name', 'must have a length of at least 2'],
    ['count: 1.5', 1, 'count', 'must be a whole number'],
    ['count: 10', 1, 'count', 'must be at most 9'],
    ['mode: fats', 1, 'mode', 'must be "fast" or "slow"'],
    ['either: 3', 1, 'either', 'must be a text or a list'],
    ['either:\n  - a\n  - 3', 3, 'either.1', 'must be a text'],
    [
      'by_name:\n  a:\n    size: 1\n    siez: 1',
      4,
      'by_name.a.siez',
      'is no known key; did you mean "size"?',
    ],
    ['by_name:\n  a: {}', 2, 'by_name.a.size', 'is missing'],
    ['shape:\n  kind: rond', 2, 'shape.kind', 'must be "round" or "flat"'],
    ['shape: {kind: flat,\n  widht: 1}', 1, 'shape.width', 'is missing'],
    ['- a', 1, '', 'must be a mapping'],
    ['a', 1, '', 'must be a mapping'],
  ])('says of %j what is wrong and where', (text, line, key, problem) => {
    const { document } = parseYaml(text);
    const { problems } = checkValue(Schema, document?.value);
    expect(document && locateProblems(document, problems ?? [])[0]).toEqual({ line, key, problem });
  });

  it('finds what merging would hide', () => {
    const found = checkUnsetKeys(Schema, {
      name: null,
      nmae: null,
      section: { memroy: '_inherit', memory: null },
      by_name: { anything: null },
    });
    expect(found.map(({ path: at }) => at.join('.'))).toEqual(['nmae', 'section.memroy']);
    expect(checkUnsetKeys(Schema, { section: null })).toEqual([
      { path: ['section'], problem: 'is empty; leave it out, or give it keys' },
    ]);
  });
});

describe('a file of a person', () => {
  let directory: string;
  const at = (name: string) => path.join(directory, name);
  beforeEach(async () => {
    directory = await mkdtemp('/tmp/tf-');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('is read as a whole, also through a link, without its byte order mark', async () => {
    await writeFile(at('a'), '\ufeffgrüße 💥\n');
    await symlink('a', at('b'));
    expect(await readPersonalFile(at('b'))).toEqual({ text: 'grüße 💥\n' });
  });

  it('is told apart from what is none', async () => {
    await writeFile(at('bytes'), Buffer.from([0x61, 0xff, 0xfe]));
    await writeFile(at('large'), 'x'.repeat(2049));
    await mkdir(at('directory'));
    execFileSync('mkfifo', [at('pipe')]);
    await symlink('loop', at('loop'));
    const problems = await Promise.all(
      ['bytes', 'large', 'directory', 'pipe', 'loop', 'none', 'none/below', 'large/below'].map(
        async (name) => (await readPersonalFile(at(name), 2048)).problem,
      ),
    );
    expect(problems).toEqual([
      'is not UTF-8 text',
      'is larger than 2 KB',
      'is not a regular file',
      'is not a regular file',
      'cannot be read (ELOOP)',
      'does not exist',
      'does not exist',
      'cannot be read (ENOTDIR)',
    ]);
    expect(await readPersonalFile('/dev/zero')).toMatchObject({ problem: 'is not a regular file' });
  });
});

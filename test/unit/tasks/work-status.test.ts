import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { parseWorkStatus } from '../../../src/runtime/tasks/work-status.ts';
import { loadWorkStatus } from '../../../src/runtime/tasks/work-status-loader.ts';

describe('a work status', () => {
  it.each([
    ['a mapping', 'status: testing\nmessage: the parser is done', 'testing', 'the parser is done'],
    ['a status alone', 'blocked', 'blocked', undefined],
    ['any case', 'status: " Done "', 'done', undefined],
    ['a word of its own', 'status: waiting for tea', 'waiting for tea', undefined],
    ['more keys', 'status: done\nprogress: 5\nlist: [1]', 'done', undefined],
    ['a message that is no text', 'status: done\nmessage: [a]', 'done', undefined],
    ['a message of lines', 'status: done\nmessage: "a\\nb"', 'done', 'a\\nb'],
    ['escapes', 'status: "\\x1b[31mdone"\nmessage: "\\u202ex"', 'done', '\\u{202e}x'],
  ])('with %s is understood', (_, text, status, message) => {
    expect(parseWorkStatus(text)).toEqual({ said: { status, message } });
  });

  it.each(['', '\n# nothing yet\n', 'null'])('that says nothing is none: %j', (text) => {
    expect(parseWorkStatus(text)).toEqual({ said: undefined });
  });

  it.each([
    ['no text as status', 'status: 5', 'has no text as its status'],
    ['no status', 'message: hello', 'has no text as its status'],
    ['a list', '- done', 'is neither a mapping nor a text'],
    ['a number', '7', 'is neither a mapping nor a text'],
    ['two statuses', 'status: done\nstatus: blocked', 'is not valid YAML: stands there twice'],
    ['an alias', 'a: &x done\nstatus: *x', 'is not valid YAML: aliases (*name) cannot be used'],
    ['a tag', 'status: !!js/function x', 'is not valid YAML'],
    ['a prototype', '__proto__: {status: done}', 'is not valid YAML: cannot be a key'],
    ['half a document', 'status: "done', 'is not valid YAML'],
    ['a thousand levels', '['.repeat(5_000), 'is not valid YAML'],
  ])('with %s is told as a problem', (_, text, problem) => {
    const parsed = parseWorkStatus(text);
    expect(parsed.said).toBeUndefined();
    expect(parsed.problem).toContain(problem);
    expect(parsed.problem?.length).toBeLessThan(400);
  });

  it('of aliases that multiply is refused at once', () => {
    const levels = Array.from({ length: 9 }, (_, level) =>
      level === 0
        ? 'l0: &l0 [x]'
        : `l${level}: &l${level} [${Array(9)
            .fill(`*l${level - 1}`)
            .join(',')}]`,
    );
    const startedAt = performance.now();
    expect(parseWorkStatus(`${levels.join('\n')}\nstatus: done`).problem).toContain('aliases');
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('is bounded', () => {
    const parsed = parseWorkStatus(`status: ${'s'.repeat(5_000)}\nmessage: ${'m'.repeat(9_000)}`);
    expect(parsed.said?.status.length).toBeLessThan(80);
    expect(parsed.said?.message?.length).toBeLessThan(550);
  });
});

describe('the work-status file', () => {
  const directory = mkdtempSync('/tmp/tk-status-');
  afterAll(() => rmSync(directory, { recursive: true }));
  const file = path.join(directory, 'work-status.yml');
  beforeEach(() => rmSync(file, { recursive: true, force: true }));

  it('is read with its time; its absence is no problem', async () => {
    expect(await loadWorkStatus(directory)).toEqual({ status: undefined, problem: undefined });
    writeFileSync(file, 'status: done\nmessage: pushed\n');
    utimesSync(file, 1_800_000_000, 1_800_000_000);
    expect(await loadWorkStatus(directory)).toEqual({
      status: { status: 'done', message: 'pushed', at: '2027-01-15T08:00:00.000Z' },
      problem: undefined,
    });
  });

  it.each([
    ['a link', () => symlinkSync('/etc/hostname', file)],
    ['a directory', () => mkdirSync(file)],
    ['a named pipe', () => execFileSync('mkfifo', [file])],
    [
      'a gigabyte',
      () => {
        writeFileSync(file, '');
        truncateSync(file, 2 ** 30);
      },
    ],
  ])('replaced by %s is a problem that names it, at once', async (_, replace) => {
    replace();
    const startedAt = performance.now();
    const { status, problem } = await loadWorkStatus(directory);
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect(status).toBeUndefined();
    expect(problem).toMatch(/^work-status\.yml is /);
  });

  it('in a directory that is gone is none', async () => {
    expect(await loadWorkStatus('/nonexistent/agent-state')).toEqual({
      status: undefined,
      problem: undefined,
    });
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditFile } from '../../../src/runtime/vault/audit-log-store.ts';
import type { AuditRecord } from '../../../src/runtime/vault/contract.ts';
import { compileProgram } from '../../support/compiled-program.ts';

const RECORD: AuditRecord = {
  at: '2030-01-01T00:00:00.000Z',
  task: 'k3f9a',
  project: 'demo',
  channel: 'http',
  provider: 'claude',
  set: 'default',
  method: 'POST',
  target: '/v1/messages',
  status: 200,
  outcome: 'ok',
  durationMs: 12,
  inputTokens: 5,
};
const ALL = { limit: 1_000_000 };

describe('the audit of credentials', () => {
  let directory: string;
  let file: string;
  let audit: AuditFile;
  beforeEach(() => {
    directory = path.join(mkdtempSync('/tmp/tk-audit-'), 'audit');
    file = path.join(directory, 'credentials.jsonl');
    audit = new AuditFile({ directory });
  });
  afterEach(() => {
    audit[Symbol.dispose]();
    rmSync(path.dirname(directory), { recursive: true });
  });
  const targets = async (filter = ALL) => (await audit.read(filter)).map(({ target }) => target);

  it('has one line for each record (V9), private, and gives them back newest last', async () => {
    expect(await audit.read(ALL)).toEqual([]);
    audit.append(RECORD);
    audit.append({ ...RECORD, target: '/2' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(3);
    expect(await audit.read(ALL)).toEqual([RECORD, { ...RECORD, target: '/2' }]);
    audit[Symbol.dispose]();
    audit = new AuditFile({ directory });
    audit.append({ ...RECORD, target: '/3' });
    expect(await targets()).toEqual(['/v1/messages', '/2', '/3']);
  });

  it('is private under any umask, and made private again', () => {
    const before = process.umask(0);
    try {
      audit.append(RECORD);
    } finally {
      process.umask(before);
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    audit[Symbol.dispose]();
    rmSync(file);
    writeFileSync(file, '', { mode: 0o644 });
    audit.append(RECORD);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('is not led elsewhere by a link', () => {
    audit.append(RECORD);
    audit[Symbol.dispose]();
    const victim = path.join(directory, 'victim');
    rmSync(file);
    writeFileSync(victim, 'x');
    symlinkSync(victim, file);
    audit.append({ ...RECORD, target: '/linked' });
    expect(readFileSync(victim, 'utf8')).toBe('x');
    // It waited until there was a place for it.
    rmSync(file);
    audit.append({ ...RECORD, target: '/after' });
    expect(readFileSync(file, 'utf8')).toMatch(/linked.*\n.*after/);
  });

  it('keeps whole lines when its process is killed in the middle of writing', async () => {
    const program = path.join(await compileProgram(), '../../src/runtime/vault/audit-log-store.js');
    const script = `
      import { AuditFile } from ${JSON.stringify(program)};
      const audit = new AuditFile({ directory: ${JSON.stringify(directory)} });
      for (let n = 0; ; n++) audit.append({ ...${JSON.stringify(RECORD)}, target: '/' + n });`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    await expect.poll(() => existsSync(file) && statSync(file).size > 10_000, { timeout: 10_000 }).toBe(true);
    await delay(50);
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(await targets()).toEqual(lines.map((_, index) => `/${index}`));
  });

  it('does not glue a line to one that was cut off, and tells of the others', async () => {
    audit.append({ ...RECORD, target: '/1' });
    audit[Symbol.dispose]();
    appendFileSync(file, JSON.stringify(RECORD).slice(0, 40));
    expect(await targets()).toEqual(['/1']);
    audit.append({ ...RECORD, target: '/2' });
    audit.append({ ...RECORD, target: '/3' });
    appendFileSync(file, 'null\n{}\n\n[1]\n\u0000\n');
    expect(await targets()).toEqual(['/1', '/2', '/3']);
    expect(
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line === ''),
    ).toHaveLength(2);
  });

  it('is begun anew at its size, keeps four files, and is read across them', async () => {
    audit[Symbol.dispose]();
    audit = new AuditFile({ directory, maxFileBytes: 2_000 });
    for (let n = 0; n < 100; n++) audit.append({ ...RECORD, target: `/${n}` });
    expect(readdirSync(directory).sort()).toEqual([
      'credentials.jsonl',
      'credentials.jsonl.1',
      'credentials.jsonl.2',
      'credentials.jsonl.3',
    ]);
    for (const name of readdirSync(directory)) {
      const { size, mode } = statSync(path.join(directory, name));
      expect(size).toBeLessThanOrEqual(2_000);
      expect(mode & 0o777).toBe(0o600);
    }
    const kept = await targets();
    expect(kept.length).toBeGreaterThan(25);
    expect(kept).toEqual(kept.map((_, index) => `/${100 - kept.length + index}`));
    expect(await targets({ limit: 3 })).toEqual(['/97', '/98', '/99']);
    expect(await targets({ limit: 15 })).toEqual(kept.slice(-15));
    expect(await targets({ limit: 0 })).toEqual([]);
    // Also after a restart, when the file it finds is full.
    audit[Symbol.dispose]();
    audit.append({ ...RECORD, target: '/100' });
    expect((await targets({ limit: 2 })).at(-1)).toBe('/100');
  });

  it('is filtered by task and provider', async () => {
    audit.append(RECORD);
    audit.append({ ...RECORD, task: 'k3f9b', provider: 'gh' });
    audit.append({ ...RECORD, provider: undefined });
    expect(await audit.read({ ...ALL, task: 'k3f9b' })).toHaveLength(1);
    expect(await audit.read({ ...ALL, provider: 'claude' })).toHaveLength(1);
    expect(await audit.read({ ...ALL, provider: 'gh', task: 'k3f9a' })).toEqual([]);
  });

  it('cannot be forged or made unreadable by what a container asks for', async () => {
    const evil = [
      '/a\n{"at":"forged"}',
      '/\u001b[2J\u001b]0;title\u0007',
      '/\u202egnp.exe\u2028\u0000\u007f',
      `/${'x'.repeat(100_000)}`,
      '/grün/日本/😀',
    ];
    for (const target of evil)
      audit.append({ ...RECORD, target, method: 'GET\r\nX: y', model: 'm\u001b[31m' });
    const text = readFileSync(file, 'latin1');
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    expect(text.trimEnd().split('\n')).toHaveLength(evil.length);
    expect(text.length).toBeLessThan(10_000);
    expect(await targets()).toEqual([
      '/a\\n{"at":"forged"}',
      '/',
      '/\\u{202e}gnp.exe\\u{2028}\\u{0}\\u{7f}',
      expect.stringMatching(/^\/x+… \(\d+ more\)$/),
      '/grün/日本/😀',
    ]);
    expect((await audit.read({ limit: 1 }))[0]).toMatchObject({ method: 'GET\\nX: y', model: 'm' });
  });

  it('never holds what stands behind a path, which may be a secret', () => {
    audit.append({ ...RECORD, target: '/v1?key=sk-secret' });
    audit.append({ ...RECORD, target: '/v1#sk-secret' });
    expect(readFileSync(file, 'utf8')).not.toContain('sk-secret');
  });

  it('is found again by its name when somebody removed it', async () => {
    audit.append(RECORD);
    rmSync(file);
    audit.append({ ...RECORD, target: '/next' });
    expect(await targets()).toEqual(['/next']);
  });

  it('is read from its end: the last lines of a full set cost neither time nor memory', async () => {
    audit.append(RECORD);
    audit[Symbol.dispose]();
    const line = readFileSync(file, 'utf8');
    const full = line.repeat(Math.floor((16 * 1024 * 1024) / line.length));
    for (const suffix of ['', '.1', '.2', '.3']) writeFileSync(`${file}${suffix}`, full);
    const before = process.memoryUsage().rss;
    const begin = performance.now();
    expect(await audit.read({ limit: 100 })).toHaveLength(100);
    expect(performance.now() - begin).toBeLessThan(500);
    expect(await audit.read({ limit: 100, task: 'nobody' })).toEqual([]);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  });
});

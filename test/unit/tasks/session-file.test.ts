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
import { loadSessionFile } from '../../../src/runtime/tasks/session-file-loader.ts';

const base = mkdtempSync('/tmp/tk-session-');
afterAll(() => rmSync(base, { recursive: true }));
const home = path.join(base, 'agent-home');
const vibe = { file: '.vibe/logs/session/*/meta.json', pointer: '/session_id' };

function write(file: string, content: string, at = 1_000): void {
  const target = path.join(home, file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, content);
  utimesSync(target, at, at);
}

beforeEach(() => {
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home);
});

describe('the id of a conversation in a file', () => {
  it('is that of the newest one', async () => {
    write('.vibe/logs/session/session_a/meta.json', '{"session_id":"aaa"}', 1_000);
    write('.vibe/logs/session/session_b/meta.json', '{"session_id":"bbb"}', 3_000);
    write('.vibe/logs/session/session_c/meta.json', '{"session_id":"ccc"}', 2_000);
    write('.vibe/logs/session/session_d/other.json', '{"session_id":"ddd"}', 4_000);
    expect(await loadSessionFile(home, vibe)).toBe('bbb');
  });

  it('is the whole file where nothing points into it', async () => {
    write('.agent/last-session', '5f0b2c1e-7a3d\n');
    expect(await loadSessionFile(home, { file: '.agent/last-session' })).toBe('5f0b2c1e-7a3d');
    expect(await loadSessionFile(home, { file: '.agent/*' })).toBe('5f0b2c1e-7a3d');
  });

  it('is found by a JSON pointer, escapes included', async () => {
    write('x.json', '{"a/b":{"~":["zero","one"]}}');
    expect(await loadSessionFile(home, { file: 'x.json', pointer: '/a~1b/~0/1' })).toBe('one');
  });

  it.each([
    ['nothing there', undefined],
    ['no JSON', '{'],
    ['no such key', '{"id":"x"}'],
    ['a key of a prototype', '{"__proto__":{"session_id":"x"}}'],
    ['no text', '{"session_id":5}'],
    ['a flag', '{"session_id":"--dangerous"}'],
    ['a path', '{"session_id":"../../etc"}'],
    ['two words', '{"session_id":"a b"}'],
    ['a line break', '{"session_id":"a\\n"}'],
    ['129 characters', `{"session_id":"${'a'.repeat(129)}"}`],
  ])('is none with %s', async (_, content) => {
    if (content !== undefined) write('.vibe/logs/session/s/meta.json', content);
    expect(await loadSessionFile(home, vibe)).toBeUndefined();
  });

  it('is not looked for behind links, wherever they stand', async () => {
    mkdirSync(path.join(base, 'host/session/s'), { recursive: true });
    writeFileSync(path.join(base, 'host/session/s/meta.json'), '{"session_id":"of-the-host"}');
    mkdirSync(path.join(home, '.vibe'));
    symlinkSync('../../host', path.join(home, '.vibe/logs'));
    expect(await loadSessionFile(home, vibe)).toBeUndefined();
    rmSync(path.join(home, '.vibe/logs'));
    mkdirSync(path.join(home, '.vibe/logs/session'), { recursive: true });
    symlinkSync(path.join(base, 'host/session/s'), path.join(home, '.vibe/logs/session/s'));
    expect(await loadSessionFile(home, vibe)).toBeUndefined();
    mkdirSync(path.join(home, '.vibe/logs/session/t'));
    symlinkSync(
      path.join(base, 'host/session/s/meta.json'),
      path.join(home, '.vibe/logs/session/t/meta.json'),
    );
    expect(await loadSessionFile(home, vibe)).toBeUndefined();
  });

  it('is not waited for in a named pipe, nor read from a gigabyte', async () => {
    mkdirSync(path.join(home, '.vibe/logs/session/s'), { recursive: true });
    const meta = path.join(home, '.vibe/logs/session/s/meta.json');
    execFileSync('mkfifo', [meta]);
    expect(await loadSessionFile(home, vibe)).toBeUndefined();
    rmSync(meta);
    writeFileSync(meta, '');
    truncateSync(meta, 2 ** 30);
    expect(await loadSessionFile(home, vibe)).toBeUndefined();
  });

  it('is not searched for without end', async () => {
    for (let index = 0; index < 3_000; index += 1)
      mkdirSync(path.join(home, `.vibe/logs/session/s${index}`), { recursive: true });
    const startedAt = performance.now();
    expect(await loadSessionFile(home, vibe)).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sessionHook } from '../../../src/runtime/agents/claude-hook.ts';
import { tomlString } from '../../../src/runtime/agents/managed-files.ts';
import { agentOf, agentText, bundledAgent, contentOf, plan, settings } from './roster-fixture.ts';

const withFile = (name: string, content: string, file = '/etc/x/settings.json') =>
  agentOf(agentText(name, `files: [{ path: ${file}, content: '${content}' }]\n`));
const joined = (contents: readonly string[], file?: string) => {
  const roster = contents.map((content, index) => withFile(`a${index}`, content, file));
  const [first] = roster;
  if (first === undefined) throw new Error('none');
  return contentOf(plan(first, { roster }), `managed${file ?? '/etc/x/settings.json'}`);
};

describe('a file that several agents contribute to', () => {
  it('holds what all say, in JSON', () => {
    const result = joined(['{"a":{"b":1},"l":[1,2]}', '{"a":{"b":1,"c":true},"l":[2,3]}', '{"d":null}']);
    expect(JSON.parse(result)).toEqual({ a: { b: 1, c: true }, l: [1, 2, 3], d: null });
  });

  it.each([
    ['values that differ', ['{"a":{"b":1}}', '{"a":{"b":2}}'], 'a0 and a1 want different things'],
    ['a list and a mapping', ['{"a":[]}', '{"a":{}}'], 'a0 and a1 want different things'],
    ['what is not JSON', ['{"a":1}', '{a:1}'], 'a1 puts into /etc/x/settings.json what is not JSON'],
  ])('is refused for %s', (_, contents, problem) => {
    expect(() => joined(contents)).toThrow(problem);
    expect(() => joined(contents)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  it('is refused in a format that cannot be merged, unless all say the same', () => {
    expect(() => joined(['a = 1', 'b = 2'], '/etc/x/c.toml')).toThrow('a0 and a1 want different things');
    expect(joined(['a = 1', 'a = 1'], '/etc/x/c.toml')).toBe('a = 1\n');
  });
});

describe('instructions in TOML', () => {
  it.each([
    ['quotes and backslashes', 'say "hi" \\ C:\\new', '"say \\"hi\\" \\\\ C:\\\\new"'],
    ['lines and tabs', 'a\r\nb\tc', '"a\\r\\nb\\tc"'],
    ['an end that is none', 'a"""\nsandbox_mode = "x"', '"a\\"\\"\\"\\nsandbox_mode = \\"x\\""'],
    ['control characters', 'a\u0000\u001b\u007fb', '"a\\u0000\\u001b\\u007fb"'],
    ['half a character', 'a\ud800b', '"a\ufffdb"'],
    ['other scripts', 'grüße 🙂', '"grüße 🙂"'],
  ])('survive %s', (_, text, expected) => {
    expect(tomlString(text)).toBe(expected);
  });

  it('stand before all tables, and with Codex’s approvals', () => {
    const run = plan(bundledAgent('codex'), { settings: settings({ instructions: 'x = "y"\n[table]' }) });
    const lines = contentOf(run, 'managed/etc/codex/managed_config.toml').split('\n');
    expect(lines[0]).toBe('developer_instructions = "x = \\"y\\"\\n[table]"');
    expect(lines.indexOf('approval_policy = "never"')).toBeLessThan(lines.indexOf('[analytics]'));
  });
});

describe("Claude's hook", () => {
  const run = (input: string, directory: string, before?: string): string | undefined => {
    const file = path.join(directory, 'claude-session.txt');
    const settingsOfHook: unknown = JSON.parse(sessionHook().content);
    const command = JSON.stringify(settingsOfHook).match(/"command":("(?:[^"\\]|\\.)*")/)?.[1] ?? '""';
    const text = String(JSON.parse(command)).replaceAll('/home/dev/.terok', directory);
    if (before !== undefined) spawnSync('sh', ['-c', `printf %s ${before} > ${file}`]);
    const done = spawnSync('sh', ['-c', text], { input });
    expect(done.status).toBe(0);
    return readFileSync(file, { encoding: 'utf8', flag: 'a+' });
  };

  it.each([
    ['the id', '{"session_id":"0a-1B","cwd":"/w"}', undefined, '0a-1B\n'],
    ['the id among blanks and lines', '{\n "cwd": "/w",\n "session_id" : "77"\n}\n', undefined, '77\n'],
    ['not an id in a text', '{"cwd":"\\"session_id\\":\\"evil\\"","session_id":"good"}', undefined, 'good\n'],
    ['no command of an id', '{"session_id":"$(touch /tmp/x)"}', undefined, ''],
    ['the id before, when there is none', '{"other":1}', 'old', 'old'],
    ['the id before, when there is nothing', '', 'old', 'old'],
  ])('keeps %s', (_, input, before, expected) => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'hook-'));
    try {
      expect(run(input, directory, before)).toBe(expected);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('is there once, however many agents take it', () => {
    const copy = agentOf(agentText('copy', 'session_hook: true\n'));
    const claude = bundledAgent('claude');
    const content = contentOf(
      plan(claude, { roster: [claude, copy] }),
      'managed/etc/claude-code/managed-settings.json',
    );
    expect(content.match(/"command":/g)).toHaveLength(1);
  });
});

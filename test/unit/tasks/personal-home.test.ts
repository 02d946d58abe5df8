import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareAgentHome } from '../../../src/runtime/tasks/agent-home-store.ts';
import { credentialFilesOf } from '../../../src/runtime/tasks/credential-files.ts';
import { loadPersonalHome } from '../../../src/runtime/tasks/personal-home-loader.ts';
import { gid, isRoot, uid } from '../../support/host.ts';
import { bundledRoster } from '../agents/roster-fixture.ts';

let root: string;
let own: string;
let home: string;
beforeEach(() => {
  root = mkdtempSync('/tmp/tk-own-');
  own = path.join(root, 'own');
  home = path.join(root, 'agent-home');
});
afterEach(() => rmSync(root, { recursive: true }));

const owner = isRoot ? { uid: 101_000, gid: 101_000 } : { uid, gid };
const rules = { state: ['.claude'], refused: credentialFilesOf(bundledRoster()) };
function write(name: string, text: string): void {
  mkdirSync(path.dirname(path.join(own, name)), { recursive: true });
  writeFileSync(path.join(own, name), text);
}
const read = (name: string): string => readFileSync(path.join(home, name), 'utf8');

/** A start of a task with what the person keeps, and what the roster puts there. */
async function start(firstState: readonly { path: string; content: string }[] = []) {
  const { files, problems } = await loadPersonalHome(own, rules);
  const more = await prepareAgentHome(home, { state: ['.claude'], firstState, personal: files }, owner);
  return [...problems, ...more];
}

describe('what a person keeps for an agent', () => {
  it('is copied into a new task, and is its own there', async () => {
    write('.claude/CLAUDE.md', 'Be brief.');
    write('.claude/commands/go.md', 'Go.');
    expect(await start()).toEqual([]);
    expect([read('.claude/CLAUDE.md'), read('.claude/commands/go.md')]).toEqual(['Be brief.', 'Go.']);
    expect(statSync(path.join(home, '.claude/commands/go.md')).uid).toBe(owner.uid);
  });

  it('does not change a task that there is already, and nothing of a task ever comes back', async () => {
    write('.claude/CLAUDE.md', 'Be brief.');
    await start();
    writeFileSync(path.join(home, '.claude/CLAUDE.md'), 'Poisoned.');
    await start();
    expect(read('.claude/CLAUDE.md')).toBe('Poisoned.');
    expect(readFileSync(path.join(own, '.claude/CLAUDE.md'), 'utf8')).toBe('Be brief.');
  });

  it('lies below what the roster says, which is what lets an agent work', async () => {
    write('.claude/.claude.json', '{"theme":"dark","hasCompletedOnboarding":false}');
    await start([{ path: '.claude/.claude.json', content: '{"hasCompletedOnboarding":true}' }]);
    expect(JSON.parse(read('.claude/.claude.json'))).toEqual({ theme: 'dark', hasCompletedOnboarding: true });
  });

  it('that cannot lie below it is left out, and said to be', async () => {
    write('.claude/.claude.json', '[1]');
    const problems = await start([{ path: '.claude/.claude.json', content: '{"a":1}' }]);
    expect(problems).toEqual([expect.stringContaining('.claude/.claude.json is no JSON object')]);
    expect(JSON.parse(read('.claude/.claude.json'))).toEqual({ a: 1 });
  });

  it('is none of its credentials, nor a link to other files of the host, nor anything beyond its directories', async () => {
    write('.claude/.credentials.json', '{"claudeAiOauth":{"accessToken":"real"}}');
    write('.bashrc', 'evil');
    write('../private-key', 'mine');
    symlinkSync(path.join(root, 'private-key'), path.join(own, '.claude/key'));
    symlinkSync(root, path.join(own, '.claude/dir'));
    const problems = await start();
    expect(problems).toEqual([
      expect.stringMatching(/\.bashrc is in none of the directories/),
      expect.stringMatching(/\.credentials\.json is where claude keeps credentials; "terok-mcp auth claude"/),
      expect.stringMatching(/dir is a link/),
      expect.stringMatching(/key is a link/),
    ]);
    for (const name of ['.claude/.credentials.json', '.claude/key', '.claude/dir', '.bashrc'])
      expect(() => read(name), name).toThrow('ENOENT');
  });

  it('that cannot be read is said to be, and keeps no task from starting', async () => {
    rmSync(own, { recursive: true, force: true });
    writeFileSync(own, 'not a directory');
    expect(await start()).toEqual([
      expect.stringContaining('cannot be read (ENOTDIR), so tasks do not get it'),
    ]);
  });

  it('is bounded', async () => {
    for (let index = 0; index < 510; index += 1) write(`.claude/${index}.md`, 'x');
    expect((await start()).length).toBe(10);
    rmSync(own, { recursive: true });
    write('.claude/big.bin', 'x'.repeat(17 * 1024 * 1024));
    rmSync(home, { recursive: true });
    expect(await start()).toEqual([expect.stringContaining('beyond 500 files or 16 MiB')]);
  });
});

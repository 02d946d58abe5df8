import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mountProblem, prepareAgentHome } from '../../../src/runtime/tasks/agent-home-store.ts';
import { gid, isRoot, uid } from '../../support/host.ts';

let root: string;
let home: string;
beforeEach(() => {
  root = mkdtempSync('/tmp/tk-home-');
  home = path.join(root, 'agent-home');
});
afterEach(() => rmSync(root, { recursive: true }));

const owner = isRoot ? { uid: 101_000, gid: 101_000 } : { uid, gid };
const run = (state: readonly string[], firstState: readonly { path: string; content: string }[] = []) => ({
  state,
  firstState,
});

describe("the home of an agent's conversations", () => {
  it("is made with its first files, which are the container user's", async () => {
    await prepareAgentHome(
      home,
      run(
        ['.claude', '.local/share/opencode'],
        [
          { path: '.claude/.claude.json', content: '{"done":true}' },
          { path: '.claude/projects/a.json', content: '{}' },
        ],
      ),
      owner,
    );
    expect(readdirSync(home).sort()).toEqual(['.claude', '.local']);
    expect(readFileSync(path.join(home, '.claude/.claude.json'), 'utf8')).toBe('{"done":true}');
    for (const name of ['.claude', '.claude/.claude.json', '.claude/projects', '.local/share/opencode'])
      expect(statSync(path.join(home, name)).uid, name).toBe(owner.uid);
    // What lies above the mounts stays ours: nobody inside can put a link there.
    expect(statSync(path.join(home, '.local/share')).uid).toBe(uid);
    expect(statSync(home).mode & 0o777).toBe(0o700);
  });

  it('is left as it is at the next start, whatever is in there', async () => {
    await prepareAgentHome(home, run(['.claude']), owner);
    const secret = path.join(root, 'secret');
    writeFileSync(secret, 'mine');
    symlinkSync(secret, path.join(home, '.claude/.claude.json'));
    await prepareAgentHome(home, run(['.claude'], [{ path: '.claude/.claude.json', content: 'x' }]), owner);
    expect(readFileSync(secret, 'utf8')).toBe('mine');
    expect(statSync(secret).uid).toBe(uid);
  });

  it('is refused where a link stands in the place of a directory, in any part', async () => {
    const precious = path.join(root, 'precious');
    mkdirSync(precious);
    mkdirSync(home);
    symlinkSync(precious, path.join(home, '.claude'));
    symlinkSync(precious, path.join(home, '.local'));
    await expect(prepareAgentHome(home, run(['.claude']), owner)).rejects.toThrow('is not a directory');
    await expect(prepareAgentHome(home, run(['.local/share']), owner)).rejects.toThrow('is not a directory');
    expect(readdirSync(precious)).toEqual([]);
    expect(statSync(precious).uid).toBe(uid);
  });

  it('has no directory within another, which a container could replace by a link to be mounted', async () => {
    expect(mountProblem(['.claude', '.config/x', '.config/y'])).toBeUndefined();
    expect(mountProblem(['.config', '.config/x'])).toBe('the state directory .config/x lies in .config');
    expect(mountProblem(['.terok/x'])).toBe('the state directory .terok/x lies in .terok');
    expect(mountProblem(['.terok'])).toContain('twice');
    await expect(prepareAgentHome(home, run(['.a', '.a/b']), owner)).rejects.toThrow('lies in .a');
  });
});

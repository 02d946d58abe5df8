import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { HostError } from '../../../src/runtime/core/errors.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { LeakScanner, type ScanLimits } from '../../../src/runtime/vault/scan/leak-scanner-loader.ts';
import { resourcesDir } from '../../support/host.ts';

const VALUE = 'sk-ant-oat01-0123456789abcdefghijklmnopqrstuvwxyz';
const PHANTOM = `sk-ant-oat01-terokp${'0123456789abcdef'.repeat(4)}`;
const LOGIN = JSON.stringify({ claudeAiOauth: { accessToken: 'sk-ant-oat01-somebody-logged-in-here' } });

let ground: string;
let home: string;
beforeEach(async () => {
  ground = await mkdtemp('/tmp/ts-');
  home = path.join(ground, 'home');
  await mkdir(home);
});
afterEach(async () => {
  await rm(ground, { recursive: true, force: true });
});

const agents = new AgentLoader({ bundled: path.join(resourcesDir, 'agents'), own: '/nowhere' });

function scanner(limits: Partial<ScanLimits> = {}, isLocked = false): LeakScanner {
  return new LeakScanner({
    secrets: () => {
      if (isLocked) throw new HostError('The vault is locked');
      return [{ provider: 'claude', secret: new Secret(VALUE) }];
    },
    agents,
    limits,
  });
}

async function plant(file: string, content: string): Promise<string> {
  const whole = path.join(home, file);
  await mkdir(path.dirname(whole), { recursive: true });
  await writeFile(whole, content);
  return whole;
}

const scan = async (given = scanner(), signal?: AbortSignal) =>
  await given.scan([{ task: 'k3f9a', directory: home, agentHome: true }], signal);

describe('a scan of directories that containers write', () => {
  it('finds the very secret in any file, with its offset (V12)', async () => {
    const file = await plant('notes/deep/er/todo.txt', `${'x'.repeat(300_000)}${VALUE} and ${VALUE}`);
    const leak = { task: 'k3f9a', path: file, offset: 300_000, provider: 'claude', kind: 'exact' };
    expect(await scan()).toEqual({ leaks: [leak], skipped: [], hasExactMatches: true });
  });

  it('finds a login where a vendor’s program keeps it, also in a home below, and no phantom (V12)', async () => {
    const own = await plant('.claude/.credentials.json', LOGIN);
    const below = await plant(
      'repo/fixtures/home/.codex/auth.json',
      '{"OPENAI_API_KEY":"sk-live-0123456789abcdef"}',
    );
    await plant(
      'repo/.claude/.credentials.json',
      JSON.stringify({ claudeAiOauth: { accessToken: PHANTOM } }),
    );
    await plant('repo/.claude/settings.json', LOGIN);
    expect((await scan()).leaks).toEqual([
      { task: 'k3f9a', path: own, offset: undefined, provider: 'claude', kind: 'known_file' },
      { task: 'k3f9a', path: below, offset: undefined, provider: 'codex', kind: 'known_file' },
    ]);
  });

  it('looks for logins while the vault is locked, and says that it could look for no more', async () => {
    await plant('.claude/.credentials.json', LOGIN);
    await plant('notes.txt', VALUE);
    const report = await scan(scanner({}, true));
    expect(report).toMatchObject({ hasExactMatches: false, leaks: [{ kind: 'known_file' }] });
    expect(report.skipped).toEqual([expect.stringContaining('The vault is locked')]);
    expect(report.leaks).toHaveLength(1);
  });

  it('follows no link, to a file or a directory, and says how many there were (V12)', async () => {
    const outside = path.join(ground, 'outside');
    await mkdir(path.join(outside, '.claude'), { recursive: true });
    await writeFile(path.join(outside, '.claude/.credentials.json'), LOGIN + VALUE);
    await symlink(outside, path.join(home, 'directory'));
    await symlink(path.join(outside, '.claude'), path.join(home, '.claude'));
    await symlink(path.join(outside, '.claude/.credentials.json'), path.join(home, 'file'));
    const report = await scan();
    expect(report.leaks).toEqual([]);
    expect(report.skipped).toContain('links, which are not followed: 3');
  });

  it('opens no pipe, socket or device, and is not held up by one', async () => {
    execFileSync('mkfifo', [path.join(home, 'pipe')]);
    await mkdir(path.join(home, '.claude'));
    execFileSync('mkfifo', [path.join(home, '.claude/.credentials.json')]);
    const server = net.createServer().listen(path.join(home, 'socket'));
    await once(server, 'listening');
    const report = await scan();
    server.close();
    expect(report.leaks).toEqual([]);
    expect(report.skipped).toContain('pipes, sockets or devices: 3');
  });

  it('reads a file whose name is no text, and shows the name safely', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${home}/`), Buffer.of(0xff, 0x1b, 0x5b, 0x41)]), VALUE);
    const { leaks } = await scan();
    expect(leaks).toHaveLength(1);
    expect(leaks[0]?.path).not.toMatch(/[\u0000-\u001f]/);
  });

  it('says what it may not read and goes on', async () => {
    const file = await plant('secret/of-the-container', VALUE);
    await plant('zzz', VALUE);
    // Root may read everything: then there is nothing that it may not.
    await chmod(path.dirname(file), 0o000);
    const { leaks, skipped } = await scan();
    await chmod(path.dirname(file), 0o700);
    expect(leaks.map((leak) => leak.path)).toContain(path.join(home, 'zzz'));
    expect(skipped.length + leaks.length).toBe(2);
  });

  it.each([
    ['files', { filesPerPlace: 5 }, /over 5 files/],
    ['bytes', { bytesPerPlace: 5000 }, /over 5000 bytes/],
    ['depth', { depth: 2 }, /lies too deep/],
    ['a file', { bytesPerFile: 10 }, /beyond its first 10 bytes/],
    ['time', { timeMs: 0 }, /the time was up/],
  ])('keeps its bound on %s and says so', async (_what, limits, said) => {
    for (let index = 0; index < 20; index++) await plant(`d${index % 3}/e/f/file-${index}`, 'x'.repeat(1000));
    const { skipped } = await scan(scanner(limits));
    expect(skipped.join('\n')).toMatch(said);
  });

  it('tells what it found until it was stopped', async () => {
    await plant('.claude/.credentials.json', LOGIN);
    const report = await scan(scanner(), AbortSignal.abort());
    expect(report.leaks).toHaveLength(1);
    expect(report.skipped).toEqual(['1 of 1 directories: the time was up']);
  });

  it('gives no more leaks and words than a person reads', async () => {
    for (let index = 0; index < 60; index++) {
      await plant(`f${index}`, VALUE);
      await plant(`g${index}`, 'x'.repeat(100));
    }
    const { leaks, skipped } = await scan(scanner({ leaks: 10, bytesPerFile: 60 }));
    expect(leaks).toHaveLength(10);
    expect(skipped.length).toBeLessThan(25);
  });

  it('leaves no file open', async () => {
    await plant('a/b/c/d', VALUE);
    const before = (await readdir('/proc/self/fd')).length;
    for (let index = 0; index < 20; index++) await scan(scanner({ filesPerPlace: index }));
    expect((await readdir('/proc/self/fd')).length).toBeLessThanOrEqual(before + 2);
  });

  it('finds nothing where there is no directory', async () => {
    const places = [{ task: 'k3f9a', directory: path.join(ground, 'none'), agentHome: true }];
    expect(await scanner().scan(places)).toEqual({ leaks: [], skipped: [], hasExactMatches: true });
  });
});

describe('directories and files that are swapped for links while they are read', () => {
  let attacker: ChildProcess;

  beforeEach(async () => {
    const outside = path.join(ground, 'outside');
    await mkdir(outside);
    await writeFile(path.join(outside, 'inner'), `of the host: ${VALUE}`);
    await plant('swapped/inner', 'harmless');
    await symlink(outside, path.join(home, 'link'));
    await plant('file', 'harmless');
    await symlink(path.join(outside, 'inner'), path.join(home, 'file-link'));
    // renameat2(RENAME_EXCHANGE): at every moment one of the two stands there.
    attacker = spawn('python3', ['-c', SWAPPER], { cwd: home, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(attacker.stdout ?? attacker, 'data');
  });
  afterEach(async () => {
    attacker.kill('SIGKILL');
    await once(attacker, 'exit');
  });

  it('lead a reader that looks first and opens then to the outside', async () => {
    expect(await untilFound(async () => (await naiveRead(home)).includes(VALUE))).toBe(true);
  });

  it('never lead this scan outside', async () => {
    const one = scanner();
    expect(await untilFound(async () => (await scan(one)).leaks.length > 0)).toBe(false);
  });
});

/** Exchanges the directory with a link and the file with another, as fast as it can. */
const SWAPPER = `
import ctypes
libc = ctypes.CDLL(None)
print('ready', flush=True)
while True:
    libc.renameat2(-100, b'swapped', -100, b'link', 2)
    libc.renameat2(-100, b'file', -100, b'file-link', 2)
`;

async function untilFound(look: () => Promise<boolean>): Promise<boolean> {
  for (const untilMs = performance.now() + 3000; performance.now() < untilMs; ) if (await look()) return true;
  return false;
}

/** What the walk would be without its care: links are left out by what a listing says of them. */
async function naiveRead(directory: string): Promise<string> {
  const entries = await readdir(directory, { withFileTypes: true });
  const texts = await Promise.all(
    entries.map(async (entry) => {
      const name = path.join(directory, entry.name);
      if (entry.isDirectory()) return await naiveRead(name).catch(() => '');
      return entry.isFile() ? await readFile(name, 'utf8').catch(() => '') : '';
    }),
  );
  return texts.join('\n');
}

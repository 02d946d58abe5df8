import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/runtime/core/clock.ts';
import { silentLogger } from '../../../src/runtime/core/log.ts';
import { ProjectHosts } from '../../../src/runtime/vault/ssh/project-hosts.ts';
import { runCommandLine } from '../../../src/server/cli/command-line.ts';
import { Daemon } from '../../../src/server/daemon.ts';
import type { Host } from '../../../src/server/host.ts';
import { loadHost } from '../../../src/server/host-loader.ts';
import { pathsOf } from '../../../src/server/host-paths.ts';
import { FakeProjects, FakeRuntime } from '../../support/fake-runtime.ts';
import { runner } from '../../support/host.ts';
import { destinationOf, hostLine, SshLab } from '../../support/ssh-lab.ts';
import { type SshdServer, sshdServer } from '../../support/sshd-server.ts';

let directory: string;
let lab: SshLab;
let server: SshdServer;
let daemon: Daemon;
let host: Host;
beforeEach(async () => {
  directory = await mkdtemp('/tmp/tc-');
  lab = await SshLab.start();
  server = await sshdServer();
  host = {
    ...loadHost(process, '/main.js'),
    cwd: directory,
    env: {
      TEROK_CONFIG_DIR: path.join(directory, 'c'),
      TEROK_STATE_DIR: path.join(directory, 's'),
      TEROK_RUNTIME_DIR: path.join(directory, 'r'),
    },
    onSignal: () => undefined,
  };
  const runtime = new FakeRuntime();
  const { keys } = lab;
  const vault = Object.assign(runtime.vault, {
    initSshKey: (...[project, options]: Parameters<typeof keys.init>) => keys.init(project, options),
    sshKeys: () => keys.list(),
    removeSshKey: (project: string) => keys.remove(project),
  });
  const projects = new FakeProjects();
  const demo = projects.add('demo');
  const own = path.join(directory, 'demo');
  await mkdir(own);
  const get = async (id: string) => ({
    ...(await projects.get(id)),
    directory: own,
    file: path.join(own, 'project.yml'),
  });
  expect(demo.id).toBe('demo');
  daemon = await Daemon.start({
    paths: pathsOf(host),
    uid: host.uid,
    pid: host.pid,
    createRuntime: async () =>
      Object.assign(runtime, {
        vault,
        projects: Object.assign(new FakeProjects(), { get }),
        sshHosts: new ProjectHosts({ runner }),
      }),
    logger: silentLogger,
    clock: systemClock,
    idleMs: 600_000,
  });
});
afterEach(async () => {
  daemon.stop('the test is over');
  await daemon.finished;
  await server[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function project(...argv: readonly string[]) {
  return await projectWith({}, ...argv);
}

async function projectWith(typed: { readonly answer?: string }, ...argv: readonly string[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  let said = '';
  for (const stream of [stdout, stderr]) stream.on('data', (chunk) => (said += String(chunk)));
  stdin.end(typed.answer ?? '');
  const isInteractive = typed.answer !== undefined;
  const exitCode = await runCommandLine({
    ...host,
    argv: ['project', ...argv],
    isInteractive,
    stdin,
    stdout,
    stderr,
  });
  return { exitCode, said };
}

describe('terok-mcp project ssh-*', () => {
  it('makes a key, shows it again, says what is next, and never shows the private part', async () => {
    const made = await project('ssh-init', 'demo');
    expect(made).toMatchObject({ exitCode: 0 });
    const [key] = lab.keys.list();
    for (const text of [key?.publicKey, key?.fingerprint, 'made now', 'ssh-host demo', 'ssh.destinations'])
      expect(made.said).toContain(text);
    expect((await project('ssh-init', 'demo', '--type', 'rsa')).said).toContain('--rotate replaces it');
    expect((await project('ssh-key', 'demo')).said).toContain(key?.publicKey);
    const rotated = await project('ssh-init', 'demo', '--rotate');
    expect(rotated.said).not.toContain(key?.fingerprint);
    expect(rotated.said).not.toContain('PRIVATE');
    expect((await project('ssh-key', 'demo', '--remove')).said).toContain('removed');
    expect(await project('ssh-key', 'demo')).toMatchObject({ exitCode: 1 });
  });

  it('takes no key of an unknown kind, and none for a project that is not there', async () => {
    expect(await project('ssh-init', 'demo', '--type', 'dsa')).toMatchObject({ exitCode: 2 });
    expect(await project('ssh-init', 'dmeo')).toMatchObject({ exitCode: 1 });
    expect(lab.keys.list()).toEqual([]);
  });

  it("adds a host's keys on a person's word alone", async () => {
    const file = path.join(directory, 'demo/known_hosts');
    const arguments_ = ['ssh-host', 'demo', destinationOf(server)] as const;
    const there = (): Promise<string> => readFile(file, 'utf8').catch(() => '');
    expect(await project(...arguments_)).toMatchObject({ exitCode: 2 });
    expect(await projectWith({ answer: 'no\n' }, ...arguments_)).toMatchObject({ exitCode: 1 });
    expect(await there()).toBe('');
    const added = await projectWith({ answer: 'yes\n' }, ...arguments_);
    expect(added).toMatchObject({ exitCode: 0 });
    expect(added.said).toContain('SHA256:');
    expect(added.said).toContain(`- "${destinationOf(server)}"`);
    expect(await there()).toBe(hostLine(server));
    expect(await project(...arguments_, '--yes')).toMatchObject({ exitCode: 0 });
    expect(await there()).toBe(hostLine(server));
  });

  it('refuses what is no place to log in', async () => {
    const answer = await project('ssh-host', 'demo', 'git@-oProxyCommand=touch', '--yes');
    expect(answer).toMatchObject({ exitCode: 1 });
    expect(answer.said).toContain('no place to log in');
  });
});

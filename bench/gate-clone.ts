import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { systemClock } from '../src/runtime/core/clock.ts';
import { HostCommandRunner } from '../src/runtime/core/exec.ts';
import { ProjectId } from '../src/runtime/core/ids.ts';
import { silentLogger } from '../src/runtime/core/log.ts';
import { GitGate } from '../src/runtime/gate/git-gate.ts';
import { ProjectFile } from '../src/runtime/projects/contract.ts';
import { type Figure, toFigure } from '../test/support/figure.ts';
import { tcpBridge } from '../test/support/tcp-bridge.ts';

const COMMITS = 3000;
const BYTES_PER_COMMIT = 14_000;
const ROUNDS = 5;
const TASK = 'k3f9a';

/** A clone through the gate, as a task makes it, against `git clone file://` of the same mirror. */
export async function run(): Promise<readonly Figure[]> {
  const directory = await mkdtemp('/tmp/tb-');
  const env = { PATH: process.env['PATH'] ?? '' };
  const git = async (...args: readonly string[]): Promise<void> => {
    await execa('git', args, {
      cwd: directory,
      env: { ...env, HOME: directory, GIT_CONFIG_NOSYSTEM: '1' },
      extendEnv: false,
    });
  };
  const upstream = path.join(directory, 'upstream.git');
  await git('init', '--quiet', '--bare', '--initial-branch=main', upstream);
  await execa('git', ['fast-import', '--quiet'], { cwd: upstream, input: history(), env, extendEnv: false });

  const settings = ProjectFile.parse({ git: { upstream_url: upstream } });
  const project = {
    id: ProjectId.parse('bench'),
    file: '/nowhere/project.yml',
    directory: '/nowhere',
    isRepository: false,
    settings,
  };
  const runner = new HostCommandRunner({ baseEnv: env });
  const gates = path.join(directory, 'gate');
  const gate = new GitGate({
    gates,
    runner,
    env,
    clock: systemClock,
    log: silentLogger,
    onPush: () => undefined,
  });
  try {
    await gate.sync(project);
    await gate.openTask(project, TASK);
    await mkdir(path.join(directory, 'run'));
    const socketPath = path.join(directory, 'run/gate.sock');
    const token = randomBytes(16).toString('hex');
    await using _service = await gate.serve({
      project,
      task: TASK,
      socketPath,
      tokenHash: createHash('sha256').update(token).digest(),
      isReadOnly: false,
    });
    await using bridge = await tcpBridge(socketPath);
    const clone = async (url: string): Promise<number> => {
      const target = path.join(directory, 'clone');
      const started = performance.now();
      await git('clone', '--quiet', url, target);
      const elapsed = performance.now() - started;
      await rm(target, { recursive: true });
      return elapsed;
    };
    const ours: number[] = [];
    const baseline: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const throughGate = await clone(`http://${token}@127.0.0.1:${bridge.port}/bench.git`);
      const byFile = await clone(`file://${gate.path(project)}`);
      // The first round warms the caches of the file system.
      if (round === 0) continue;
      ours.push(throughGate);
      baseline.push(byFile);
    }
    return [toFigure('clone through the gate / git clone file://', { ours, baseline })];
  } finally {
    await gate[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Commits that change one of fifty files each, about 40 MB in all, for git fast-import(1). */
function history(): Buffer {
  const pieces: Buffer[] = [];
  for (let index = 0; index < COMMITS; index++) {
    const content = randomBytes(Math.floor(BYTES_PER_COMMIT * 0.75)).toString('base64');
    pieces.push(
      Buffer.from(
        `commit refs/heads/main\ncommitter Dev <dev@example.invalid> ${1_700_000_000 + index} +0000\ndata 8\nChange\n\n` +
          `M 100644 inline dir${index % 10}/file${index % 50}.txt\ndata ${content.length}\n${content}\n`,
      ),
    );
  }
  return Buffer.concat(pieces);
}

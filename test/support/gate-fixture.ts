import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { HostCommandRunner } from '../../src/runtime/core/exec.ts';
import { ProjectId } from '../../src/runtime/core/ids.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { Scope } from '../../src/runtime/core/scope.ts';
import type { UpstreamKeys } from '../../src/runtime/gate/contract.ts';
import type { GateLimits } from '../../src/runtime/gate/gate-limits.ts';
import { GitGate, type PushReport } from '../../src/runtime/gate/git-gate.ts';
import { type Project, ProjectFile } from '../../src/runtime/projects/contract.ts';
import { type GitClient, makeUpstream, type Playground, playground } from './git-fixtures.ts';
import { tcpBridge } from './tcp-bridge.ts';

export interface TaskAccess {
  readonly task: string;
  readonly token: string;
  readonly port: number;
  /** With the token in it, as a task's "origin" has it. */
  readonly url: string;
  /** Clones through the gate, as the task would. */
  clone(name?: string): Promise<GitClient>;
}

export interface GateFixture extends AsyncDisposable {
  readonly ground: Playground;
  readonly upstream: Awaited<ReturnType<typeof makeUpstream>>;
  readonly gate: GitGate;
  readonly project: Project;
  readonly pushes: PushReport[];
  /** The mirror, looked at with a plain client. */
  readonly mirror: GitClient;
  projectWith(git: { readonly upstream_url: string; readonly default_branch?: string }): Project;
  openTask(task: string, options?: { readonly isReadOnly: boolean }): Promise<TaskAccess>;
}

export function testProject(id: string, settings: unknown): Project {
  return {
    id: ProjectId.parse(id),
    file: `/nowhere/${id}/project.yml`,
    directory: `/nowhere/${id}`,
    isRepository: false,
    settings: ProjectFile.parse(settings),
  };
}

/** A gate on a real upstream, with real git on both sides; tasks reach it over TCP as they do in a sandbox. */
export async function gateFixture(
  options: {
    readonly limits?: Partial<GateLimits>;
    readonly env?: Readonly<Record<string, string>>;
    readonly onPush?: (report: PushReport) => void;
    readonly keys?: UpstreamKeys;
  } = {},
): Promise<GateFixture> {
  const scope = new Scope();
  const ground = await playground();
  scope.defer(async () => await ground[Symbol.asyncDispose]());
  const upstream = await makeUpstream(ground);
  const gates = path.join(ground.directory, 'gate');
  const pushes: PushReport[] = [];
  const env = { PATH: process.env['PATH'] ?? '', ...options.env };
  const gate = new GitGate({
    gates,
    runner: new HostCommandRunner({ baseEnv: env }),
    env,
    clock: systemClock,
    log: silentLogger,
    onPush: (report) => {
      pushes.push(report);
      options.onPush?.(report);
    },
    limits: options.limits,
    keys: options.keys,
  });
  scope.defer(() => gate[Symbol.asyncDispose]());
  const project = testProject('demo', { git: { upstream_url: upstream.url } });
  await mkdir(path.join(ground.directory, 'run'));

  return {
    ground,
    upstream,
    gate,
    project,
    pushes,
    mirror: ground.git.in(gate.path(project)),
    projectWith: (git) => testProject('demo', { git }),
    openTask: async (task, { isReadOnly } = { isReadOnly: false }) => {
      await gate.sync(project);
      await gate.openTask(project, task);
      const token = `token-of-${task}`;
      const socketPath = path.join(ground.directory, 'run', `${task}.sock`);
      const service = await gate.serve({
        project,
        task,
        socketPath,
        tokenHash: createHash('sha256').update(token).digest(),
        isReadOnly,
      });
      scope.defer(() => service.close());
      const bridge = await tcpBridge(socketPath);
      scope.defer(async () => await bridge[Symbol.asyncDispose]());
      const url = `http://${token}@127.0.0.1:${bridge.port}/demo.git`;
      return {
        task,
        token,
        port: bridge.port,
        url,
        clone: async (name = `work-${task}`) => {
          const directory = path.join(ground.directory, name);
          await ground.git.ok('clone', '--quiet', url, directory);
          return ground.git.in(directory);
        },
      };
    },
    [Symbol.asyncDispose]: () => scope.dispose(),
  };
}

import { randomBytes } from 'node:crypto';
import { ProjectId, TaskId } from '../../src/runtime/core/ids.ts';
import { Secret } from '../../src/runtime/core/secret.ts';
import type { ContainerSpec } from '../../src/runtime/engine/contract.ts';
import { type GpuGrant, NO_GPU } from '../../src/runtime/gpus/contract.ts';
import { ProjectFile } from '../../src/runtime/projects/contract.ts';
import type { Task, TaskMode } from '../../src/runtime/tasks/contract.ts';
import { runSpec } from '../../src/runtime/tasks/run-spec.ts';
import type { CredentialGrant } from '../../src/runtime/vault/contract.ts';

export function exampleTask(change: Partial<Task> = {}): Task {
  return {
    id: TaskId.parse('k3f9a'),
    project: 'demo',
    name: 'scripted-k3f9a',
    mode: 'headless',
    agent: 'scripted',
    restricted: false,
    state: 'running',
    container: 'demo-run-k3f9a',
    baseBranch: 'main',
    webPort: undefined,
    exitCode: undefined,
    failure: undefined,
    createdAt: '2026-01-02T03:04:05.000Z',
    startedAt: undefined,
    finishedAt: undefined,
    ...change,
  };
}

/** A container as `runSpec` makes it, with fixed paths. */
export function exampleSpec(
  options: {
    readonly mode?: TaskMode;
    readonly restricted?: boolean;
    readonly limits?: boolean;
    readonly relay?: boolean;
    readonly gpu?: GpuGrant;
    readonly timeoutS?: number;
    readonly credentials?: boolean;
    readonly sshAgent?: boolean;
  } = {},
): ContainerSpec {
  return runSpec({
    task: exampleTask({ restricted: options.restricted ?? false, mode: options.mode ?? 'headless' }),
    project: {
      id: ProjectId.parse('demo'),
      file: '/config/projects/demo/project.yml',
      directory: '/config/projects/demo',
      isRepository: false,
      settings: ProjectFile.parse({
        git: { upstream_url: 'https://git.example/demo.git' },
        ...(options.relay === true ? { relay: { endpoint: 'tcp://127.0.0.1:8090' } } : {}),
      }),
    },
    run: {
      command: ['terok-scripted'],
      prompt: 'say hello',
      environment: {
        GIT_AUTHOR_NAME: 'Scripted agent',
        GIT_AUTHOR_EMAIL: 'scripted@terok.invalid',
        ...(options.restricted === true ? {} : { SCRIPTED_ALLOW: 'all' }),
      },
      phantomEnvironment: { SCRIPTED_KEY: 'terokp0' },
      files: [
        { path: 'instructions.md', content: 'Be brief.\n', isExecutable: false, mountedAt: undefined },
        {
          path: 'approvals/settings.json',
          content: '{}',
          isExecutable: false,
          mountedAt: '/etc/scripted/settings.json',
        },
      ],
      state: ['.scripted'],
      firstState: [],
      session: undefined,
      warnings: [],
    },
    gpu: options.gpu ?? NO_GPU,
    image: 'terok-l1-cli:debian-trixie',
    paths: {
      root: '/state/core/tasks/demo/k3f9a',
      workspace: '/state/core/tasks/demo/k3f9a/workspace-dangerous',
      agentState: '/state/core/tasks/demo/k3f9a/agent-state',
      agentHome: '/state/core/tasks/demo/k3f9a/agent-home',
      agentConfig: '/state/core/tasks/demo/k3f9a/agent-config',
      log: '/state/core/tasks/demo/k3f9a/logs/container.log',
      services: '/run/terok/tasks/k3f9a',
      gateSocket: '/run/terok/tasks/k3f9a/gate.sock',
      relaySocket: '/run/terok/tasks/k3f9a/relay.sock',
      vaultSocket: '/run/terok/tasks/k3f9a/vault.sock',
      sshAgentSocket: '/run/terok/tasks/k3f9a/ssh-agent.sock',
    },
    networkPath: '/run/terok/netns/k3f9a',
    idMapping: { kind: 'keep-id', user: 1000 },
    engine: { limitsUnavailable: options.limits === true ? undefined : 'no controller' },
    instance: '0123456789ab',
    timeoutS: options.timeoutS ?? 1800,
    access: {
      grants: options.credentials === true ? [exampleGrant()] : [],
      hasSshAgent: options.sshAgent ?? false,
    },
  });
}

/** Another token each time, as of each start. */
const exampleGrant = (): CredentialGrant => ({
  provider: 'scripted',
  set: 'default',
  kind: 'api_key',
  token: new Secret(`terokp${randomBytes(32).toString('hex')}`),
});

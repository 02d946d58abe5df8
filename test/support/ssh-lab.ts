import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../src/runtime/core/clock.ts';
import type { EventInput } from '../../src/runtime/core/event-log.ts';
import { newTaskId, ProjectId } from '../../src/runtime/core/ids.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { type Project, ProjectFile } from '../../src/runtime/projects/contract.ts';
import type { AuditRecord } from '../../src/runtime/vault/contract.ts';
import type { AuditLog } from '../../src/runtime/vault/parts.ts';
import { ProjectHosts } from '../../src/runtime/vault/ssh/project-hosts.ts';
import { SshAgents } from '../../src/runtime/vault/ssh/ssh-agent-server.ts';
import { SshKeys } from '../../src/runtime/vault/ssh/ssh-keys.ts';
import { SealedStore } from '../../src/runtime/vault/store/sealed-store.ts';
import { runner } from './host.ts';
import { type SshdServer, userName } from './sshd-server.ts';
import { testState } from './state.ts';

export interface ProgramEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LabOptions {
  readonly project?: string;
  readonly destinations?: readonly string[];
  readonly signatures?: boolean;
  readonly knownHosts?: string;
}

/** A vault with SSH keys, and agents on sockets, without containers. */
export class SshLab implements AsyncDisposable {
  readonly directory: string;
  readonly store: SealedStore;
  readonly keys: SshKeys;
  readonly hosts = new ProjectHosts({ runner });
  readonly agents: SshAgents;
  readonly records: AuditRecord[] = [];
  readonly events: EventInput[] = [];
  readonly lockedFor: string[] = [];
  readonly #undo: (() => Promise<void>)[] = [];
  #count = 0;

  private constructor(directory: string, store: SealedStore, frameDeadlineMs: number | undefined) {
    this.directory = directory;
    this.store = store;
    this.keys = new SshKeys({
      store,
      legacyDirectory: path.join(directory, 'core/ssh-keys'),
      clock: systemClock,
    });
    const audit: AuditLog = {
      append: (record) => void this.records.push(record),
      read: async () => this.records,
    };
    const state = testState();
    this.#undo.push(async () => state[Symbol.dispose]());
    state.events.subscribe((event) => this.events.push(event));
    this.agents = new SshAgents({
      store,
      audit,
      events: state.events,
      clock: systemClock,
      log: silentLogger,
      onLocked: ({ id }) => void this.lockedFor.push(id),
      frameDeadlineMs,
    });
  }

  static async start(options: { readonly frameDeadlineMs?: number } = {}): Promise<SshLab> {
    const directory = await mkdtemp('/tmp/sl-');
    const store = new SealedStore({
      file: path.join(directory, 'vault.db'),
      directory,
      runner,
      clock: systemClock,
      log: silentLogger,
    });
    await store.start();
    return new SshLab(directory, store, options.frameDeadlineMs);
  }

  async project({
    project = 'demo',
    destinations = [],
    signatures = false,
    knownHosts = '',
  }: LabOptions = {}): Promise<Project> {
    const directory = path.join(this.directory, `config-${this.#count++}`);
    await mkdir(directory);
    if (knownHosts !== '') await writeFile(path.join(directory, 'known_hosts'), knownHosts);
    return {
      id: ProjectId.parse(project),
      file: path.join(directory, 'project.yml'),
      directory,
      settings: ProjectFile.parse({
        git: { upstream_url: 'https://example.org/a.git' },
        ssh: { destinations: [...destinations], signatures },
      }),
      isRepository: false,
    };
  }

  /** Opens a task's agent; the path of its socket. */
  async serve(project: Project): Promise<string> {
    const socketPath = path.join(this.directory, `agent-${this.#count++}.sock`);
    const service = await this.agents.serve({ task: newTaskId(), project, socketPath });
    this.#undo.push(() => service.close());
    return socketPath;
  }

  /** Runs a program of OpenSSH as a container would. */
  async run(socketPath: string, file: string, ...args: readonly string[]): Promise<ProgramEnd> {
    const env = { PATH: process.env['PATH'] ?? '', HOME: this.directory, SSH_AUTH_SOCK: socketPath };
    return await new Promise((resolve) => {
      const child = execFile(
        file,
        [...args],
        { env, timeout: 30_000, cwd: this.directory },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
      );
      child.stdin?.end();
    });
  }

  /** A client that trusts every host, as a hostile container's would. */
  async login(socketPath: string, server: SshdServer, ...more: readonly string[]): Promise<ProgramEnd> {
    return await this.run(socketPath, 'ssh', ...careless, `-p${server.port}`, ...more);
  }

  outcomes(method: string): readonly string[] {
    return this.records.filter((record) => record.method === method).map(({ outcome }) => outcome);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo.toReversed()) await undo();
    await this.store.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const careless = [
  '-F/dev/null',
  '-oBatchMode=yes',
  '-oIdentityFile=/dev/null',
  '-oStrictHostKeyChecking=no',
  '-oUserKnownHostsFile=/dev/null',
  '-oGlobalKnownHostsFile=/dev/null',
  '-oPreferredAuthentications=publickey',
  '-oLogLevel=ERROR',
] as const;

export const destinationOf = ({ port }: SshdServer, user = userName): string => `${user}@127.0.0.1:${port}`;
export const hostLine = ({ port, hostKey }: SshdServer): string => `[127.0.0.1]:${port} ${hostKey}\n`;

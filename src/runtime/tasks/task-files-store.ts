import { chmod, chown, lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfigFile } from '../agents/contract.ts';
import { asNothing, type CommandRunner } from '../core/command.ts';
import { HostError } from '../core/errors.ts';
import { writeFileAtomic } from '../core/files.ts';
import type { Paths } from '../core/paths.ts';
import type { Secret } from '../core/secret.ts';
import type { Task } from './contract.ts';

/**
 * Where one task's files are on the host. Only `workspace`, `agentState` and what lies in `agentHome` are writable
 * from inside; nothing of ours follows a link there.
 */
export interface TaskPaths {
  readonly root: string;
  readonly workspace: string;
  /** What the agent keeps of its own. */
  readonly agentState: string;
  /** Directories of the container's home that outlive it: the agent's conversations. */
  readonly agentHome: string;
  /** What the agent is told; mounted read-only. */
  readonly agentConfig: string;
  readonly log: string;
  /** Mounted read-only at /run/terok. */
  readonly services: string;
  readonly gateSocket: string;
  readonly relaySocket: string;
  readonly vaultSocket: string;
  readonly sshAgentSocket: string;
}

/** What the host writes for `terok-init` before each start. */
export type ServiceFile = 'prompt' | 'gate-token' | 'run';
const ENVIRONMENT = 'environment';
const PHANTOMS = 'phantoms';

export interface TaskFilesDeps {
  readonly paths: Paths;
  readonly runner: CommandRunner;
  /** See ContainerEngine.hostNamespacePrefix: files of subordinate ids can be removed only in there. */
  readonly namespacePrefix: () => Promise<readonly string[]>;
}

/** Makes and removes the directories of tasks. Nothing a container can write is read or followed here. */
export class TaskFilesStore {
  readonly #deps: TaskFilesDeps;

  constructor(deps: TaskFilesDeps) {
    this.#deps = deps;
  }

  pathsOf(task: Pick<Task, 'id' | 'project'>): TaskPaths {
    const root = path.join(this.#deps.paths.tasks, task.project, task.id);
    const services = path.join(this.#deps.paths.services, task.id);
    return {
      root,
      workspace: path.join(root, 'workspace-dangerous'),
      agentState: path.join(root, 'agent-state'),
      agentHome: path.join(root, 'agent-home'),
      agentConfig: path.join(root, 'agent-config'),
      log: path.join(root, 'logs/container.log'),
      services,
      gateSocket: path.join(services, 'gate.sock'),
      relaySocket: path.join(services, 'relay.sock'),
      vaultSocket: path.join(services, 'vault.sock'),
      sshAgentSocket: path.join(services, 'ssh-agent.sock'),
    };
  }

  /** What a search for credentials looks through. */
  containerWritable(task: Pick<Task, 'id' | 'project'>): readonly {
    readonly task: string;
    readonly directory: string;
    readonly agentHome: boolean;
  }[] {
    const { workspace, agentState, agentHome } = this.pathsOf(task);
    return [workspace, agentState, agentHome].map((directory) => ({
      task: task.id,
      directory,
      agentHome: directory === agentHome,
    }));
  }

  async create(task: Task, owner: { readonly uid: number; readonly gid: number }): Promise<void> {
    const paths = this.pathsOf(task);
    await mkdir(paths.root, { recursive: true, mode: 0o700 });
    await mkdir(path.dirname(paths.log), { recursive: true, mode: 0o700 });
    for (const writable of [paths.workspace, paths.agentState]) {
      await mkdir(writable, { recursive: true, mode: 0o700 });
      await chown(writable, owner.uid, owner.gid);
    }
    await this.createServices(task);
  }

  /**
   * Writes what the agent is told, each file as a whole, in place of all that stood there: a link that an earlier
   * release let a container put there goes, and not what it leads to.
   */
  async writeConfig(task: Pick<Task, 'id' | 'project'>, files: readonly AgentConfigFile[]): Promise<void> {
    const { agentConfig } = this.pathsOf(task);
    const targets = files.map((file) => ({ file, target: path.join(agentConfig, file.path) }));
    const outside = targets.find(({ target }) => !target.startsWith(`${agentConfig}/`));
    if (outside !== undefined) throw new Error(`${outside.file.path} is outside of agent-config`);
    if (await isThere(agentConfig)) await this.#discard(agentConfig);
    await makeReadable(agentConfig);
    const directories = new Set(targets.flatMap(({ target }) => parentsBelow(agentConfig, target)));
    for (const directory of directories) await makeReadable(directory);
    // At once: each waits for the disk.
    await Promise.all(
      targets.map(({ file, target }) =>
        writeFileAtomic(target, file.content, file.isExecutable ? 0o755 : 0o644),
      ),
    );
  }

  /** The parent is private, so modes in here only decide what the container may do. */
  async createServices(task: Pick<Task, 'id' | 'project'>): Promise<void> {
    const { services } = this.pathsOf(task);
    await mkdir(path.dirname(services), { recursive: true, mode: 0o700 });
    await mkdir(services, { recursive: true, mode: 0o755 });
    await chmod(services, 0o755);
  }

  async writeService(task: Pick<Task, 'id' | 'project'>, name: ServiceFile, content: string): Promise<void> {
    await writeFileAtomic(path.join(this.pathsOf(task).services, name), content, 0o644);
  }

  /** Real credentials, one file for each variable: for as long as `removeSecrets` is not called, which is soon. */
  async writeSecrets(
    task: Pick<Task, 'id' | 'project'>,
    secrets: ReadonlyMap<string, Secret>,
  ): Promise<void> {
    if (secrets.size === 0) return;
    const directory = path.join(this.pathsOf(task).services, ENVIRONMENT);
    await makeReadable(directory);
    for (const [variable, secret] of secrets)
      await writeFileAtomic(path.join(directory, variable), secret.reveal(), 0o644);
  }

  /** Variables with what stands for credentials, one file each, for as long as this start lasts. */
  async writePhantoms(
    task: Pick<Task, 'id' | 'project'>,
    environment: Readonly<Record<string, string>>,
  ): Promise<void> {
    const directory = path.join(this.pathsOf(task).services, PHANTOMS);
    await makeReadable(directory);
    await Promise.all(
      Object.entries(environment).map(([variable, value]) =>
        writeFileAtomic(path.join(directory, variable), value, 0o644),
      ),
    );
  }

  async removeSecrets(task: Pick<Task, 'id' | 'project'>): Promise<void> {
    await rm(path.join(this.pathsOf(task).services, ENVIRONMENT), { recursive: true, force: true });
  }

  /** Bytes of its log so far: where the output of the next start begins. */
  async logSize(task: Pick<Task, 'id' | 'project'>): Promise<number> {
    return await stat(this.pathsOf(task).log).then(
      ({ size }) => size,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return 0;
        throw error;
      },
    );
  }

  async removeServices(task: { readonly id: string }): Promise<void> {
    await rm(path.join(this.#deps.paths.services, task.id), { recursive: true, force: true });
  }

  async remove(task: Pick<Task, 'id' | 'project'>): Promise<void> {
    await this.removeServices(task);
    await this.#discard(this.pathsOf(task).root);
  }

  /** Not node:fs: its rm holds every entry of a directory in memory, and cannot remove files of subordinate ids. */
  async #discard(target: string): Promise<void> {
    const [file = 'rm', ...prefix] = [...(await this.#deps.namespacePrefix()), 'rm'];
    await this.#deps.runner.run({
      file,
      args: [...prefix, '-rf', '--one-file-system', '--', target],
      timeoutMs: 600_000,
      parse: asNothing,
    });
  }

  /** Keeps the log and what was known of the task; returns the directory. */
  async archive(task: Task, stamp: string): Promise<string> {
    const directory = path.join(
      this.#deps.paths.state,
      'archive',
      task.project,
      'tasks',
      `${stamp}_${task.id}`,
    );
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFileAtomic(path.join(directory, 'task.json'), `${JSON.stringify(task, undefined, 2)}\n`);
    await rename(this.pathsOf(task).log, path.join(directory, 'container.log')).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      },
    );
    return directory;
  }

  async servicesOnDisk(): Promise<readonly string[]> {
    return await listDirectory(this.#deps.paths.services);
  }
}

const isThere = async (target: string): Promise<boolean> =>
  await lstat(target).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );

/** For the container's user, whatever the umask; the task's own directory above lets nobody else in. */
async function makeReadable(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  // Containers of an earlier release could write here, and a link would lead out.
  if (!(await lstat(directory)).isDirectory()) {
    throw new HostError(`${directory} is not a directory`, { hint: 'Delete the task.' });
  }
  await chmod(directory, 0o755);
}

/** Directories between the two, outermost first. */
function parentsBelow(directory: string, file: string): readonly string[] {
  const parent = path.dirname(file);
  return parent === directory ? [] : [...parentsBelow(directory, parent), parent];
}

async function listDirectory(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

import { Scope } from '../core/scope.ts';
import type { Gate } from '../gate/contract.ts';
import type { Project } from '../projects/contract.ts';
import type { Relay } from '../relay/contract.ts';
import type { Vault } from '../vault/contract.ts';
import type { WebDoor, WebDoors } from '../web/contract.ts';
import type { Task } from './contract.ts';
import type { TaskFilesStore } from './task-files-store.ts';
import type { TaskStore } from './task-store.ts';
import { publicUrlOf } from './task-tokens.ts';

export interface TaskServicesDeps {
  readonly gate: Gate;
  readonly relay: Relay;
  readonly vault: Pick<Vault, 'serveProxy' | 'serveSshAgent'>;
  readonly doors: WebDoors;
  readonly files: TaskFilesStore;
  readonly store: TaskStore;
}

/** The host's end of what a task's container may talk to, or be reached by: all of a task's, or none. */
export class TaskServices {
  readonly #deps: TaskServicesDeps;
  readonly #open = new Map<string, Scope>();
  readonly #doors = new Map<string, WebDoor>();

  constructor(deps: TaskServicesDeps) {
    this.#deps = deps;
  }

  isOpen(task: string): boolean {
    return this.#open.has(task);
  }

  /** Listens on the task's sockets; does nothing when it does already. */
  async open(task: Task, project: Project, access: { readonly hasSshAgent: boolean }): Promise<void> {
    if (this.#open.has(task.id)) return;
    const { gate, relay, files, store, vault } = this.#deps;
    const tokenHash = store.tokenHash(task.id);
    if (tokenHash === undefined) throw new Error(`task ${task.id} has no gate token`);
    const { gateSocket, relaySocket, vaultSocket, sshAgentSocket } = files.pathsOf(task);
    const isReadOnly = store.origin(task.id)?.settings.gate === false;
    const scope = new Scope();
    try {
      const service = await gate.serve({
        project,
        task: task.id,
        socketPath: gateSocket,
        tokenHash,
        isReadOnly,
      });
      scope.defer(() => service.close());
      const endpoint = project.settings.relay?.endpoint;
      if (endpoint !== undefined) {
        const relayed = await relay.serve({ socketPath: relaySocket, endpoint });
        scope.defer(() => relayed.close());
      }
      // A tool has its real credential, in a container of its own.
      if (task.mode !== 'tool') {
        const proxy = await vault.serveProxy({ id: task.id, project }, vaultSocket);
        scope.defer(() => proxy.close());
      }
      if (access.hasSshAgent) {
        const agent = await vault.serveSshAgent({ id: task.id, project }, sshAgentSocket);
        scope.defer(() => agent.close());
      }
    } catch (error) {
      await scope.dispose();
      throw error;
    }
    this.#open.set(task.id, scope);
  }

  /** Lets browsers in at a web task's port, with its token of now, in place of an earlier one; no other mode has a door. */
  async openDoor(task: Task, project: Project, networkPath: string): Promise<void> {
    if (task.mode !== 'web' || task.webPort === undefined) return;
    const { doors, store } = this.#deps;
    const tokenHash = store.webTokenHash(task.id);
    const settings = store.origin(task.id)?.settings;
    if (tokenHash === undefined || settings === undefined)
      throw new Error(`task ${task.id} has no web token`);
    await this.#closeDoor(task.id);
    const publicUrl = publicUrlOf({ settings, project, port: task.webPort });
    this.#doors.set(
      task.id,
      await doors.open({ task: task.id, port: task.webPort, tokenHash, networkPath, publicUrl }),
    );
  }

  async close(task: string): Promise<void> {
    const scope = this.#open.get(task);
    this.#open.delete(task);
    await Promise.all([scope?.dispose(), this.#closeDoor(task)]);
  }

  async closeAll(): Promise<void> {
    const tasks = new Set([...this.#open.keys(), ...this.#doors.keys()]);
    await Promise.allSettled([...tasks].map((task) => this.close(task)));
  }

  async #closeDoor(task: string): Promise<void> {
    const door = this.#doors.get(task);
    this.#doors.delete(task);
    await door?.close();
  }
}

import { Scope } from '../core/scope.ts';
import type { Gate } from '../gate/contract.ts';
import type { Project } from '../projects/contract.ts';
import type { Relay } from '../relay/contract.ts';
import type { Task } from './contract.ts';
import type { TaskFilesStore } from './task-files-store.ts';
import type { TaskStore } from './task-store.ts';

/** The host's end of what a task's container may talk to: all sockets of a task, or none. */
export class TaskServices {
  readonly #deps: {
    readonly gate: Gate;
    readonly relay: Relay;
    readonly files: TaskFilesStore;
    readonly store: TaskStore;
  };
  readonly #open = new Map<string, Scope>();

  constructor(deps: {
    readonly gate: Gate;
    readonly relay: Relay;
    readonly files: TaskFilesStore;
    readonly store: TaskStore;
  }) {
    this.#deps = deps;
  }

  isOpen(task: string): boolean {
    return this.#open.has(task);
  }

  /** Listens on the task's sockets; does nothing when it does already. */
  async open(task: Task, project: Project): Promise<void> {
    if (this.#open.has(task.id)) return;
    const tokenHash = this.#deps.store.tokenHash(task.id);
    if (tokenHash === undefined) throw new Error(`task ${task.id} has no gate token`);
    const { gateSocket, relaySocket } = this.#deps.files.pathsOf(task);
    const scope = new Scope();
    try {
      const gate = await this.#deps.gate.serve({ project, task: task.id, socketPath: gateSocket, tokenHash });
      scope.defer(() => gate.close());
      const endpoint = project.settings.relay?.endpoint;
      if (endpoint !== undefined) {
        const relay = await this.#deps.relay.serve({ socketPath: relaySocket, endpoint });
        scope.defer(() => relay.close());
      }
    } catch (error) {
      await scope.dispose();
      throw error;
    }
    this.#open.set(task.id, scope);
  }

  async close(task: string): Promise<void> {
    const scope = this.#open.get(task);
    this.#open.delete(task);
    await scope?.dispose();
  }

  async closeAll(): Promise<void> {
    await Promise.allSettled([...this.#open.keys()].map((task) => this.close(task)));
  }
}

import type { EventLog } from '../core/event-log.ts';
import type { Logger } from '../core/log.ts';
import type { Vault } from '../vault/contract.ts';
import type { Task } from './contract.ts';
import type { TaskFilesStore } from './task-files-store.ts';

export interface CredentialWatchDeps {
  readonly vault: Pick<Vault, 'scan'>;
  readonly files: Pick<TaskFilesStore, 'pathsOf'>;
  readonly events: EventLog;
  readonly logger: Logger;
}

/** How long an end waits for the search of what a task's agent keeps; where credentials usually lie is looked at first. */
const SEARCH_MS = 2_000;

/** Notices that somebody logged in inside a task: a real credential lies where its agent, and all it runs, can read it. */
export class CredentialWatch {
  readonly #deps: CredentialWatchDeps;

  constructor(deps: CredentialWatchDeps) {
    this.#deps = deps;
  }

  /** At an end of the task. Never throws: it is no reason not to end. */
  async record(task: Task): Promise<void> {
    const { events, logger } = this.#deps;
    for (const { provider, file } of await this.#find(task, AbortSignal.timeout(SEARCH_MS))) {
      logger.warn({ task: task.id, provider, file }, 'a real credential lies in a task');
      events.record({
        project: task.project,
        task: task.id,
        actor: 'system',
        kind: 'credential.found_in_task',
        data: { provider, file, advice: adviceFor(provider) },
      });
    }
  }

  /** For whoever starts it again. */
  async warnings(task: Task): Promise<readonly string[]> {
    // Only the files where it usually lies: those are looked at whatever the signal says.
    const found = await this.#find(task, AbortSignal.abort());
    return found.map(
      ({ provider, file }) => `The task holds a real credential (${file}). ${adviceFor(provider)}`,
    );
  }

  async #find(
    task: Task,
    signal: AbortSignal,
  ): Promise<readonly { readonly provider: string; readonly file: string }[]> {
    const { vault, files, logger } = this.#deps;
    const directory = files.pathsOf(task).agentHome;
    try {
      const { leaks } = await vault.scan([{ task: task.id, directory, agentHome: true }], signal);
      return leaks.map(({ provider, path }) => ({ provider, file: path.replace(`${directory}/`, '') }));
    } catch (error) {
      logger.warn({ task: task.id, error: String(error) }, 'a task was not searched for credentials');
      return [];
    }
  }
}

const adviceFor = (provider: string): string =>
  `End that login at its vendor, delete the file, and run "terok-mcp auth ${provider}" on the host instead.`;

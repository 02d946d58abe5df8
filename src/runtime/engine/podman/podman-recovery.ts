import type { Command, CommandRunner, RunOptions } from '../../core/command.ts';
import { CommandError } from '../../core/errors.ts';

/** What Podman says when all that holds its user namespace was killed while containers are on record as running. */
const LOST_NAMESPACE = /invalid internal status.*podman system migrate/s;

/**
 * Runs Podman, which after such a kill refuses everything until it is told to begin anew (podman-system-migrate(1)).
 * That ends containers, of which none can be left: Podman has just looked for the process of any. Their records and
 * files stay, so what becomes of them is told as after every other death.
 */
export class PodmanRecovery {
  readonly #runner: Pick<CommandRunner, 'run'>;
  readonly #migrate: Command<void>;
  #migration: Promise<void> | undefined;

  constructor(deps: { readonly runner: Pick<CommandRunner, 'run'>; readonly migrate: Command<void> }) {
    this.#runner = deps.runner;
    this.#migrate = deps.migrate;
  }

  async run<T>(command: Command<T>, options: RunOptions = {}): Promise<T> {
    try {
      return await this.#runner.run(command, options);
    } catch (error) {
      if (!(error instanceof CommandError) || !LOST_NAMESPACE.test(error.details ?? '')) throw error;
      this.#migration ??= this.#runner.run(this.#migrate).finally(() => {
        this.#migration = undefined;
      });
      await this.#migration;
      return await this.#runner.run(command, options);
    }
  }
}

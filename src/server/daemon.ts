import type { Clock } from '../runtime/core/clock.ts';
import type { Logger } from '../runtime/core/log.ts';
import type { Paths } from '../runtime/core/paths.ts';
import { Scope } from '../runtime/core/scope.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { ControlServer } from './control/control-server.ts';
import { holdState, prepareDirectories } from './daemon-lock.ts';
import { DaemonServer } from './daemon-server.ts';
import { untilIdle } from './idle-watch.ts';
import { duplexStreams } from './mcp/frame-transport.ts';
import { McpServer } from './mcp/mcp-server.ts';

export interface DaemonOptions {
  readonly paths: Paths;
  readonly uid: number;
  readonly pid: number;
  readonly createRuntime: () => Promise<Runtime>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly idleMs: number;
}

/**
 * Owns the runtime and answers on the daemon's socket. Containers do not belong to it: they run on when it
 * stops, and the next one finds them.
 */
export class Daemon {
  readonly #scope: Scope;
  readonly #ending = new AbortController();
  readonly #logger: Logger;
  /** Settles when the daemon has stopped, whoever asked for it. */
  readonly finished: Promise<string>;

  private constructor(deps: { readonly scope: Scope; readonly logger: Logger }) {
    this.#scope = deps.scope;
    this.#logger = deps.logger;
    this.finished = new Promise((resolve) => {
      this.#ending.signal.addEventListener('abort', () => {
        void this.#dispose().then(() => resolve(String(this.#ending.signal.reason)));
      });
    });
  }

  /** Throws ConflictError when another daemon holds the state directory. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { paths, uid, pid, logger, clock } = options;
    const scope = new Scope();
    try {
      await prepareDirectories(paths, uid);
      const lock = await holdState(paths, { pid, socketPath: paths.daemonSocket });
      scope.defer(() => lock.release());
      const runtime = await options.createRuntime();
      scope.defer(async () => await runtime[Symbol.asyncDispose]());
      const daemon = new Daemon({ scope, logger });
      const mcp = new McpServer({ runtime, logger });
      const startedAt = clock.now().toISOString();
      const control = new ControlServer({
        runtime,
        logger,
        status: () => ({
          pid,
          startedAt,
          clients: server.connectionCount,
          reasonsToStay: [...reasonsToStay()],
        }),
        shutdown: () => daemon.stop('asked to'),
      });
      const server = new DaemonServer({
        socketPath: paths.daemonSocket,
        handlers: {
          mcp: (connection) => void mcp.connect(duplexStreams(connection)),
          control: (connection) => control.serve(connection),
        },
        logger,
      });
      const reasonsToStay = (): readonly string[] => {
        const active = runtime.tasks.activeCount();
        const builds = runtime.builds.activeCount();
        return [
          ...(server.connectionCount > 0 ? [`${server.connectionCount} connected`] : []),
          ...(active > 0 ? [`${active} active tasks`] : []),
          ...(builds > 0 ? [`${builds} image builds`] : []),
        ];
      };
      await server.listen();
      scope.defer(() => server.close());
      void untilIdle({ idleMs: options.idleMs, clock, reasonsToStay }, daemon.#ending.signal).then(
        (outcome) => {
          if (outcome === 'idle') daemon.stop('nothing to do');
        },
      );
      logger.info({ pid, socket: paths.daemonSocket }, 'daemon ready');
      return daemon;
    } catch (error) {
      await scope.dispose();
      throw error;
    }
  }

  /** Returns at once; `finished` tells when it is done. Calling it twice is fine. */
  stop(reason: string): void {
    this.#ending.abort(reason);
  }

  async #dispose(): Promise<void> {
    this.#logger.info({ reason: String(this.#ending.signal.reason) }, 'daemon stopping');
    await this.#scope
      .dispose()
      .catch((error: unknown) => this.#logger.error({ err: error }, 'stopping was not clean'));
  }
}

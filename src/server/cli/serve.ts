import { systemClock } from '../../runtime/core/clock.ts';
import { ConflictError } from '../../runtime/core/errors.ts';
import { createLogger, type Logger } from '../../runtime/core/log.ts';
import { Daemon } from '../daemon.ts';
import type { Host } from '../host.ts';
import { logLevel } from '../log-level.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';

const DEFAULT_IDLE_MINUTES = 10;
const STOP_DEADLINE_MS = 15_000;
const STDERR = 2;

export const serve: Command = {
  usage: 'serve [--idle-minutes <n>]',
  summary: 'Run the daemon in the foreground; front ends start it by themselves.',
  run: async (args, { host, services, paths, output }) => {
    const { values } = parseCommandArgs(args, { 'idle-minutes': { type: 'string' } });
    const idleMs = idleTime(values['idle-minutes'], host);
    const logger = createLogger({ level: logLevel(host, 'info'), fileDescriptor: STDERR });
    host.onFatal((error) => {
      logger.error({ err: error }, 'unexpected failure: the daemon ends, its tasks go on');
      host.exit(1);
    });
    const starting = Daemon.start({
      paths,
      uid: host.uid,
      pid: host.pid,
      createRuntime: () => services.createRuntime(host, paths, logger),
      logger,
      clock: systemClock,
      idleMs,
    });
    host.onSignal((signal) => stopOnSignal({ starting, signal, host, logger }));
    let daemon: Daemon;
    try {
      daemon = await starting;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      output.note(`terok-mcp: ${error.message}.`);
      return 0;
    }
    logger.info({ reason: await daemon.finished }, 'daemon stopped');
    return 0;
  },
};

function stopOnSignal(stopping: {
  readonly starting: Promise<Daemon>;
  readonly signal: string;
  readonly host: Host;
  readonly logger: Logger;
}): void {
  const { starting, signal, host, logger } = stopping;
  // A daemon that does not stop in time is ended: the next start cleans up after it.
  setTimeout(() => {
    logger.error({ signal }, 'stopping took too long');
    host.exit(1);
  }, STOP_DEADLINE_MS).unref();
  starting.then(
    (daemon) => daemon.stop(signal),
    () => undefined,
  );
}

function idleTime(option: string | undefined, host: Host): number {
  const minutes = Number(option ?? DEFAULT_IDLE_MINUTES);
  if (!Number.isFinite(minutes) || minutes <= 0)
    throw new UsageError('--idle-minutes takes a number of minutes above 0');
  const seconds = Number(host.env['TEROK_IDLE_SECONDS'] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : minutes * 60_000;
}

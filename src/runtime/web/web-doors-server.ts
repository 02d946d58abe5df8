import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { CommandRunner } from '../core/command.ts';
import { ConflictError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { FIRST_WEB_PORT, LAST_WEB_PORT, type WebDoor, type WebDoors } from './contract.ts';
import { DoorKey } from './door-key.ts';
import { namespaceDialler } from './namespace-client.ts';
import { WebDoorServer } from './web-door-server.ts';

const POOL_SIZE = LAST_WEB_PORT - FIRST_WEB_PORT + 1;

/** Doors on the host's loopback, each to one task's network namespace. */
export class HttpWebDoors implements WebDoors {
  readonly #deps: {
    readonly runner: CommandRunner;
    readonly namespacePrefix: (signal?: AbortSignal) => Promise<readonly string[]>;
    readonly logger: Logger;
  };

  constructor(deps: {
    readonly runner: CommandRunner;
    readonly namespacePrefix: (signal?: AbortSignal) => Promise<readonly string[]>;
    readonly logger: Logger;
  }) {
    this.#deps = deps;
  }

  async claim(options: Parameters<WebDoors['claim']>[0]): Promise<number> {
    const { preferred, isDemanded } = options;
    const taken = new Set(options.taken);
    const isFree = async (port: number): Promise<boolean> => !taken.has(port) && (await canListen(port));
    if (preferred !== undefined) {
      if (await isFree(preferred)) return preferred;
      if (isDemanded) throw portTaken(preferred);
    }
    // From a random place on: a port that was just given back is not somebody else's bookmark at once.
    const start = randomInt(POOL_SIZE);
    for (let step = 0; step < POOL_SIZE; step += 1) {
      const port = FIRST_WEB_PORT + ((start + step) % POOL_SIZE);
      if (await isFree(port)) return port;
    }
    throw new ConflictError(`No port from ${FIRST_WEB_PORT} to ${LAST_WEB_PORT} is free`, {
      hint: 'Stop web tasks that are not used any more, or set web.port to another port.',
    });
  }

  async open(options: Parameters<WebDoors['open']>[0]): Promise<WebDoor> {
    const { task, port, tokenHash, networkPath, publicUrl } = options;
    const { runner, namespacePrefix, logger } = this.#deps;
    const door = new WebDoorServer({
      key: new DoorKey({ task, tokenHash, isSecure: publicUrl.startsWith('https:') }),
      publicUrl: new URL(publicUrl),
      dial: namespaceDialler({ runner, prefix: await namespacePrefix(), networkPath }),
      logger: logger.child({ task }),
    });
    await door.listen(port).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EADDRINUSE' || error.code === 'EACCES' ? portTaken(port, error) : error;
    });
    return door;
  }
}

function portTaken(port: number, cause?: unknown): ConflictError {
  return new ConflictError(`Port ${port} of this machine is taken`, {
    hint: 'Choose another port for the task, or end the program that listens there ("ss -ltnp" names it).',
    cause,
  });
}

/** Tried, not guessed: another program may hold it on this address or on all. */
async function canListen(port: number): Promise<boolean> {
  const probe = createServer();
  return await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen({ host: '127.0.0.1', port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

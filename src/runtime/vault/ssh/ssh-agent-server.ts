import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { EventLog } from '../../core/event-log.ts';
import type { Logger } from '../../core/log.ts';
import { closeServer, listenOnUnixSocket } from '../../core/unix-socket-server.ts';
import type { Project } from '../../projects/contract.ts';
import type { VaultService } from '../contract.ts';
import type { AuditLog, CredentialStore } from '../parts.ts';
import { type AgentOwner, AgentRecorder } from './agent-record.ts';
import { FrameSplitter, frame } from './frames.ts';
import { type ConnectionAgent, TaskAgent } from './task-agent.ts';
import { WireError } from './wire.ts';

const MAX_CONNECTIONS = 32;
/** From the first byte of a message to its last. */
const FRAME_DEADLINE_MS = 10_000;
/** A client asks, and is done; one that says nothing or does not read keeps others of its task out. */
const IDLE_MS = 10 * 60_000;

/** One SSH agent a task, on the task's own socket (draft-ietf-sshm-ssh-agent). */
export class SshAgents {
  readonly #store: CredentialStore;
  readonly #audit: AuditLog;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onLocked: (task: AgentOwner) => void;
  readonly #frameDeadlineMs: number;

  constructor(deps: {
    readonly store: CredentialStore;
    readonly audit: AuditLog;
    readonly events: EventLog;
    readonly clock: Clock;
    readonly log: Logger;
    /** A task asked while the vault is locked. */
    readonly onLocked?: ((task: AgentOwner) => void) | undefined;
    readonly frameDeadlineMs?: number | undefined;
  }) {
    this.#store = deps.store;
    this.#audit = deps.audit;
    this.#events = deps.events;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#onLocked = deps.onLocked ?? (() => undefined);
    this.#frameDeadlineMs = deps.frameDeadlineMs ?? FRAME_DEADLINE_MS;
  }

  /** Throws HostError where the socket cannot be opened. */
  async serve(options: {
    /** Its id. */
    readonly task: string;
    readonly project: Project;
    readonly socketPath: string;
  }): Promise<VaultService> {
    const task = { id: options.task, project: options.project };
    const recorder = new AgentRecorder({
      task,
      audit: this.#audit,
      events: this.#events,
      clock: this.#clock,
    });
    const agent = new TaskAgent({
      task,
      store: this.#store,
      recorder,
      onLocked: this.#onLocked,
      clock: this.#clock,
    });
    const listener = new AgentListener({
      agent,
      frameDeadlineMs: this.#frameDeadlineMs,
      log: this.#log.child({ task: task.id }),
    });
    await listener.listen(options.socketPath);
    return listener;
  }
}

class AgentListener implements VaultService {
  readonly #agent: TaskAgent;
  readonly #frameDeadlineMs: number;
  readonly #log: Logger;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(deps: { readonly agent: TaskAgent; readonly frameDeadlineMs: number; readonly log: Logger }) {
    this.#agent = deps.agent;
    this.#frameDeadlineMs = deps.frameDeadlineMs;
    this.#log = deps.log;
    this.#server = createServer((socket) => void this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  async listen(socketPath: string): Promise<void> {
    await listenOnUnixSocket(this.#server, socketPath);
  }

  async close(): Promise<void> {
    await closeServer(this.#server, this.#sockets);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    const connection = this.#agent.connect();
    try {
      await this.#converse(socket, connection);
    } catch (error) {
      if (error instanceof WireError) connection.noteMalformed();
      // Also what broke on our side ends this connection alone.
      else if (!socket.destroyed) this.#log.error({ err: error }, 'an SSH agent connection failed');
    } finally {
      socket.destroy();
    }
  }

  /** One message after the other: what comes meanwhile waits in the kernel. */
  async #converse(socket: Socket, connection: ConnectionAgent): Promise<void> {
    const frames = new FrameSplitter();
    let deadline: NodeJS.Timeout | undefined;
    try {
      for await (const chunk of socket) {
        for (const message of frames.push(Buffer.from(chunk))) {
          clearTimeout(deadline);
          deadline = undefined;
          const { message: answer, isLast } = await connection.answer(message);
          await send(socket, answer);
          if (isLast) return;
        }
        // Not put off by what dribbles in.
        if (frames.isInFrame) deadline ??= setTimeout(() => socket.destroy(), this.#frameDeadlineMs);
      }
    } finally {
      clearTimeout(deadline);
    }
  }
}

async function send(socket: Socket, message: Uint8Array): Promise<void> {
  if (socket.destroyed) return;
  if (socket.write(frame(message))) return;
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  await once(socket, 'drain', { signal: closed.signal });
}

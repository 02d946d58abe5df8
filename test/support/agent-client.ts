import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

/** Speaks the agent protocol byte by byte, as OpenSSH never would. */
export class AgentClient {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
  }

  static async connect(socketPath: string): Promise<AgentClient> {
    const socket = createConnection(socketPath);
    await once(socket, 'connect');
    return new AgentClient(socket);
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Sends a message with its length, and gives the answer's bytes without theirs; undefined where it was closed. */
  async ask(message: Uint8Array): Promise<Buffer | undefined> {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.length);
    this.write(Buffer.concat([length, message]));
    return await this.answer();
  }

  async answer(): Promise<Buffer | undefined> {
    for (;;) {
      const end = this.#received.length < 4 ? Number.POSITIVE_INFINITY : 4 + this.#received.readUInt32BE(0);
      if (this.#received.length >= end) {
        const message = this.#received.subarray(4, end);
        this.#received = this.#received.subarray(end);
        return message;
      }
      if (this.#socket.destroyed) return undefined;
      await Promise.race([once(this.#socket, 'data').catch(() => undefined), this.closed]);
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

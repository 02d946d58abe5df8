import { WireError, wire } from './wire.ts';

/** Longest message of the agent protocol, as OpenSSH bounds it, without the length before it. */
export const MAX_FRAME_BYTES = 256 * 1024;
const LENGTH_BYTES = 4;

/**
 * Cuts a stream into messages (draft-ietf-sshm-ssh-agent, section 3: a uint32 length, then so many bytes). A length that
 * is zero or above the bound is refused as soon as it is told, so no more than one message is ever waited for.
 */
export class FrameSplitter {
  #chunks: Uint8Array[] = [];
  #heldBytes = 0;
  /** Until so many are here there is nothing to look at, so nothing is joined for each byte that dribbles in. */
  #wantedBytes = LENGTH_BYTES;

  /** Some of a message is here, and not all of it. */
  get isInFrame(): boolean {
    return this.#heldBytes > 0;
  }

  /** Adds bytes, and gives the messages that are complete. Throws WireError, after which nothing is to be added. */
  *push(chunk: Uint8Array): Generator<Buffer, void, undefined> {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wantedBytes) return;
    let held = Buffer.concat(this.#chunks);
    while (held.length >= LENGTH_BYTES) {
      const length = held.readUInt32BE(0);
      if (length === 0) throw new WireError('a message is empty');
      if (length > MAX_FRAME_BYTES) throw new WireError('a message is too long');
      const end = LENGTH_BYTES + length;
      if (held.length < end) break;
      const message = held.subarray(LENGTH_BYTES, end);
      held = held.subarray(end);
      yield message;
    }
    this.#chunks = held.length === 0 ? [] : [held];
    this.#heldBytes = held.length;
    this.#wantedBytes = LENGTH_BYTES + (held.length < LENGTH_BYTES ? 0 : held.readUInt32BE(0));
  }
}

/** A message with its length before it. */
export const frame = (message: Uint8Array): Buffer => wire.string(message);

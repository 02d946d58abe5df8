import { link, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { geteuid } from 'node:process';
import { HostError } from '../../core/errors.ts';
import { makePrivateDir, readTextIfExists } from '../../core/files.ts';

const ID = /^[0-9a-f]{32}$/;
/** Whoever holds this claim never sends. */
const NOBODY = 'nobody';
/** More than the tokens of any vendor. */
const ROOM_BYTES = 64 * 1024;

/**
 * The directory where processes that renew leave what they got, `<id>.sealed`. Before a process sends anything it claims
 * the renewal, `<id>.claim`: whoever cannot claim it does not send, so a token is sent once at most, by a process that
 * others can find.
 */
export class RenewalInbox {
  readonly #directory: string;

  constructor(deps: { readonly directory: string }) {
    this.#directory = deps.directory;
  }

  async prepare(): Promise<void> {
    await makePrivateDir(this.#directory, geteuid?.() ?? 0);
  }

  /** False: somebody else has it. */
  async claimFor(id: string, pid: number): Promise<boolean> {
    return await this.#claim(id, `${pid} ${await startTimeOf(pid)}`);
  }

  /** False: a process has claimed it, or did before it ended. */
  async claimForNobody(id: string): Promise<boolean> {
    return await this.#claim(id, NOBODY);
  }

  /** unclaimed: no process has come so far that it may send. ended: it will not write any more. */
  async senderOf(id: string): Promise<'unclaimed' | 'running' | 'ended'> {
    const claim = await readTextIfExists(this.#file(id, 'claim'));
    if (claim === undefined) return 'unclaimed';
    const [pid, startTime] = claim.split(' ');
    if (claim === NOBODY || startTime === undefined) return 'ended';
    return (await startTimeOf(Number(pid))) === startTime ? 'running' : 'ended';
  }

  /** Takes room on the disk for an outcome. Throws where there is none: then nothing may be sent, for nothing could be kept. */
  async reserve(id: string): Promise<void> {
    await writeFile(this.#file(id, 'room'), Buffer.alloc(ROOM_BYTES), { mode: 0o600, flush: true });
  }

  /** Into the room that was reserved. On the disk, whole, when this resolves. */
  async leave(id: string, sealed: Uint8Array): Promise<void> {
    const room = this.#file(id, 'room');
    const handle = await open(room, 'r+');
    try {
      await handle.writeFile(sealed);
      await handle.truncate(sealed.length);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(room, this.#file(id, 'sealed'));
    const directory = await open(this.#directory);
    await directory.sync().finally(() => directory.close());
  }

  async outcome(id: string): Promise<Buffer | undefined> {
    return await readFile(this.#file(id, 'sealed')).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  }

  async discard(id: string): Promise<void> {
    for (const suffix of ['sealed', 'room', 'claim']) await rm(this.#file(id, suffix), { force: true });
  }

  /** The claim appears whole or not at all: link(2) fails where one is there. */
  async #claim(id: string, holder: string): Promise<boolean> {
    const mine = this.#file(id, `claim.${holder.replace(' ', '-')}`);
    await writeFile(mine, holder, { mode: 0o600 });
    try {
      await link(mine, this.#file(id, 'claim'));
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    } finally {
      await rm(mine, { force: true });
    }
  }

  #file(id: string, suffix: string): string {
    if (!ID.test(id)) throw new HostError('A renewal of the vault has no usable id');
    return path.join(this.#directory, `${id}.${suffix}`);
  }
}

/** Tells a process from a later one with the same number (proc(5), field 22 of stat); empty for one that has ended. */
async function startTimeOf(pid: number): Promise<string> {
  const stat = (await readTextIfExists(`/proc/${pid}/stat`).catch(() => undefined)) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
}

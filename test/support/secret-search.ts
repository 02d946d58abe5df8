import { execFile } from 'node:child_process';
import { open, readdir, readFile, readlink } from 'node:fs/promises';

/** Ways in which a secret could be written down. */
const formsOf = (secret: string): readonly string[] => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(secret).toString('hex'),
];

/**
 * Files below directories that hold a secret, links not followed. The secret is in no argument.
 *
 * @param prefix What reaches files of a container's other users (ContainerEngine.hostNamespacePrefix): without it they
 * are passed over.
 */
export async function filesHolding(
  secret: string,
  directories: readonly string[],
  prefix: readonly string[] = [],
): Promise<readonly string[]> {
  const [file = 'grep', ...before] = [...prefix, 'grep'];
  return await new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...before, '-rlaF', '--devices=skip', '-f', '-', '--', ...directories],
      { maxBuffer: 16 * 1024 * 1024 },
      (error, stdout) => {
        // 1: nothing was found. 2 with output: something vanished meanwhile.
        if (error !== null && error.code !== 1 && error.code !== 2) reject(error);
        else resolve(stdout.split('\n').filter((line) => line !== ''));
      },
    );
    child.stdin?.end(`${formsOf(secret).join('\n')}\n`);
  });
}

const processes = async (): Promise<readonly string[]> =>
  (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name));

/** Processes of the machine that have it in their arguments or environment. */
export async function processesShowing(secret: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await processes()) {
    for (const file of ['cmdline', 'environ']) {
      const content = await readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '');
      if (formsOf(secret).some((form) => content.includes(form))) found.push(`${pid} ${file}`);
    }
  }
  return found;
}

export interface MemorySearch {
  readonly processes: number;
  readonly bytes: number;
  readonly found: readonly string[];
}

/**
 * Looks through the memory of every process in a container, as a dump of its core would hold it. Whoever owns the user
 * namespace of a rootless container may.
 */
export async function memoryHolding(texts: readonly string[], containerPid: number): Promise<MemorySearch> {
  const namespace = await readlink(`/proc/${containerPid}/ns/pid`);
  const found = new Set<string>();
  let [count, bytes] = [0, 0];
  for (const pid of await processes()) {
    if ((await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) !== namespace) continue;
    count += 1;
    bytes += await searchProcess(pid, texts, (text) => found.add(`${text} in ${pid}`));
  }
  return { processes: count, bytes, found: [...found] };
}

const CHUNK = 4 * 1024 * 1024;
const MAX_REGION = 512 * 1024 * 1024;

async function searchProcess(
  pid: string,
  texts: readonly string[],
  onFound: (text: string) => void,
): Promise<number> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  const memory = await open(`/proc/${pid}/mem`, 'r').catch(() => undefined);
  if (memory === undefined) return 0;
  let bytes = 0;
  try {
    const buffer = Buffer.alloc(CHUNK);
    // Writable memory is what a program has written; its files were searched as files.
    for (const [, from = '0', to = '0'] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
      const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
      for (let at = start; at < Math.min(end, start + MAX_REGION); at += CHUNK - 256) {
        const length = Math.min(CHUNK, end - at);
        const { bytesRead } = await memory.read(buffer, 0, length, at).catch(() => ({ bytesRead: 0 }));
        if (bytesRead === 0) break;
        bytes += bytesRead;
        for (const text of texts) if (buffer.subarray(0, bytesRead).includes(text)) onFound(text);
      }
    }
  } finally {
    await memory.close();
  }
  return bytes;
}

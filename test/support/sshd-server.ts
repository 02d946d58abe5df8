import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const userName = os.userInfo().username;

/** OpenSSH's own server on loopback, with keys of its own, for the user who runs the test. */
export interface SshdServer extends AsyncDisposable {
  readonly port: number;
  /** `type base64`, as known_hosts has it. */
  readonly hostKey: string;
  /** Lets in whoever has one of these keys, from the next login on. */
  authorize(...publicKeys: readonly string[]): Promise<void>;
  log(): string;
}

export async function sshdServer(hostKeyType: 'ed25519' | 'rsa' | 'ecdsa' = 'ed25519'): Promise<SshdServer> {
  const directory = await mkdtemp('/tmp/sshd-');
  const file = (name: string): string => path.join(directory, name);
  await run('ssh-keygen', ['-q', '-t', hostKeyType, '-N', '', '-f', file('host_key')]);
  const port = await freePort();
  await writeFile(file('authorized_keys'), '');
  await writeFile(
    file('config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${file('host_key')}`,
      `PidFile ${file('pid')}`,
      `AuthorizedKeysFile ${file('authorized_keys')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'AllowAgentForwarding yes',
      'LogLevel VERBOSE',
      '',
    ].join('\n'),
  );
  // As root it gives up its rights in this directory, which a service would make.
  if (os.userInfo().uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file('config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await answers(port, child, () => said);
  const [type, base64] = (await readFile(file('host_key.pub'), 'utf8')).split(' ');
  return {
    port,
    hostKey: `${type} ${base64}`,
    authorize: (...keys) => writeFile(file('authorized_keys'), `${keys.join('\n')}\n`),
    log: () => said,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function answers(port: number, child: ChildProcess, said: () => string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`sshd ended: ${said()}`);
    const socket = createConnection({ port, host: '127.0.0.1' });
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await delay(50);
  }
  throw new Error(`sshd does not listen: ${said()}`);
}

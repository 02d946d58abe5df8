import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { TaskAccess } from './gate-fixture.ts';

const pkt = (text: string): string => (Buffer.byteLength(text) + 4).toString(16).padStart(4, '0') + text;
const ZERO = '0'.repeat(40);

/** A pack without objects: enough for a push that only moves refs to commits the gate has already. */
function emptyPack(): Buffer {
  const body = Buffer.concat([Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, 0])]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

/** A push as a hostile client would write it: ref names that git's own client refuses to send. */
export async function rawPush(
  access: TaskAccess,
  command: { readonly ref: string; readonly from?: string; readonly to?: string },
): Promise<string> {
  const { ref, from = ZERO, to = ZERO } = command;
  const body = Buffer.concat([
    Buffer.from(`${pkt(`${from} ${to} ${ref}\0report-status atomic`)}0000`),
    ...(to === ZERO ? [] : [emptyPack()]),
  ]);
  const response = await fetch(`http://127.0.0.1:${access.port}/demo.git/git-receive-pack`, {
    method: 'POST',
    body,
    headers: {
      authorization: authorization(access),
      'content-type': 'application/x-git-receive-pack-request',
    },
  });
  return await response.text();
}

/** Sends the head and some of the body of a push, and leaves the rest to the caller. */
export function beginPush(
  access: TaskAccess,
  options: { readonly ref: string; readonly to: string; readonly pack: Buffer; readonly sentBytes: number },
): Socket {
  const body = Buffer.concat([
    Buffer.from(`${pkt(`${ZERO} ${options.to} ${options.ref}\0report-status`)}0000`),
    options.pack,
  ]);
  const socket = connect(access.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    [
      'POST /demo.git/git-receive-pack HTTP/1.1',
      'Host: x',
      `Authorization: ${authorization(access)}`,
      'Content-Type: application/x-git-receive-pack-request',
      `Content-Length: ${body.length}`,
      '\r\n',
    ].join('\r\n'),
  );
  socket.write(body.subarray(0, options.sentBytes));
  return socket;
}

const authorization = (access: TaskAccess): string =>
  `Basic ${Buffer.from(`${access.token}:`).toString('base64')}`;

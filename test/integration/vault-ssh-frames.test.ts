import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import sshpk from 'sshpk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderRequest } from '../../src/runtime/vault/ssh/agent-messages.ts';
import { wire } from '../../src/runtime/vault/ssh/wire.ts';
import { AgentClient } from '../support/agent-client.ts';
import { SshLab } from '../support/ssh-lab.ts';

/** What no client of OpenSSH would send, on the very socket that a container gets (V10, V11). */
const LIST = renderRequest({ kind: 'list' });
const FAILURE = Buffer.from([5]);
const SUCCESS = Buffer.from([6]);
const SESSION = Buffer.alloc(32, 7);

interface Host {
  readonly key: KeyObject;
  readonly blob: Buffer;
}

let lab: SshLab;
let socket: string;
let good: Host;
let evil: Host;
let keyBlob: Buffer;
const clients: AgentClient[] = [];
beforeEach(async () => {
  lab = await SshLab.start({ frameDeadlineMs: 300 });
  const { publicKey } = await lab.keys.init('demo', { type: 'ed25519', rotate: false });
  keyBlob = blobOf(publicKey);
  good = newHost();
  evil = newHost();
  const project = await lab.project({
    destinations: ['git@good.example'],
    knownHosts: `good.example ssh-ed25519 ${good.blob.toString('base64')}\nevil.example ssh-ed25519 ${evil.blob.toString('base64')}\n`,
  });
  socket = await lab.serve(project);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await lab[Symbol.asyncDispose]();
});

const blobOf = (line: string): Buffer => Buffer.from(line.split(' ')[1] ?? '', 'base64');
function newHost(): Host {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return { key: privateKey, blob: sshpk.parseKey(pem, 'pem').toBuffer('rfc4253') };
}
async function connect(): Promise<AgentClient> {
  const client = await AgentClient.connect(socket);
  clients.push(client);
  return client;
}
const bindOf = (
  { key, blob }: Host,
  {
    sessionId = SESSION,
    isForwarding = false,
    signed = sessionId,
  }: { sessionId?: Buffer; isForwarding?: boolean; signed?: Buffer } = {},
): Buffer =>
  renderRequest({
    kind: 'bind',
    hostKey: blob,
    sessionId,
    signature: Buffer.concat([wire.string('ssh-ed25519'), wire.string(sign(null, signed, key))]),
    isForwarding,
  });
interface Login {
  readonly sessionId?: Buffer;
  readonly user?: string;
  readonly service?: string;
  readonly algorithm?: string;
  readonly blob?: Buffer;
  readonly hostKey?: Buffer;
  readonly more?: string;
}
function loginOf({
  sessionId = SESSION,
  user = 'git',
  service = 'ssh-connection',
  algorithm = 'ssh-ed25519',
  blob = keyBlob,
  hostKey,
  more = '',
}: Login = {}): Buffer {
  return Buffer.concat([
    wire.string(sessionId),
    wire.byte(50),
    wire.string(user),
    wire.string(service),
    wire.string(hostKey === undefined ? 'publickey' : 'publickey-hostbound-v00@openssh.com'),
    wire.boolean(true),
    wire.string(algorithm),
    wire.string(blob),
    hostKey === undefined ? Buffer.alloc(0) : wire.string(hostKey),
    Buffer.from(more),
  ]);
}
const signOf = (data: Buffer, { flags = 0, blob = keyBlob } = {}): Buffer =>
  renderRequest({ kind: 'sign', keyBlob: blob, data, flags });

describe('a login that is asked for byte by byte', () => {
  it('is signed when everything is in order, host-bound or not', async () => {
    const client = await connect();
    expect(await client.ask(bindOf(good))).toEqual(SUCCESS);
    expect((await client.ask(signOf(loginOf())))?.[0]).toBe(14);
    expect((await client.ask(signOf(loginOf({ hostKey: good.blob }))))?.[0]).toBe(14);
  });

  it('is refused when any one part of it is another (V11)', async () => {
    const other = blobOf((await lab.keys.init('other', { type: 'ed25519', rotate: false })).publicKey);
    const client = await connect();
    expect(await client.ask(bindOf(good))).toEqual(SUCCESS);
    const attempts: readonly (readonly [string, Buffer])[] = [
      ['other-user', signOf(loginOf({ user: 'root' }))],
      ['other-user', signOf(loginOf({ user: 'Git' }))],
      ['unbound-session', signOf(loginOf({ sessionId: Buffer.alloc(32, 8) }))],
      ['other-host-key', signOf(loginOf({ hostKey: evil.blob }))],
      ['unreadable', signOf(loginOf({ service: 'ssh-other' }))],
      ['unreadable', signOf(loginOf({ more: 'x' }))],
      ['unreadable', signOf(Buffer.from('some text that a task wants to be signed'))],
      ['wrong-algorithm', signOf(loginOf({ algorithm: 'rsa-sha2-256' }))],
      ['wrong-algorithm', signOf(loginOf(), { flags: 4 })],
      ['other-key', signOf(loginOf({ blob: other }))],
      // Another project's key, whose blob is no secret (V10).
      ['other-key', signOf(loginOf({ blob: other }), { blob: other })],
    ];
    for (const [, message] of attempts) expect(await client.ask(message)).toEqual(FAILURE);
    expect(lab.outcomes('sign')).toEqual(attempts.map(([outcome]) => outcome));
    expect((await client.ask(signOf(loginOf())))?.[0]).toBe(14);
  });

  it('is refused without a word of the host: none, a forged one, or one said elsewhere (V11)', async () => {
    const bound = await connect();
    expect(await bound.ask(bindOf(good))).toEqual(SUCCESS);
    const client = await connect();
    expect(await client.ask(signOf(loginOf()))).toEqual(FAILURE);
    expect(await client.ask(bindOf({ key: evil.key, blob: good.blob }))).toEqual(FAILURE);
    expect(await client.ask(bindOf(good, { signed: Buffer.alloc(32, 9) }))).toEqual(FAILURE);
    expect(await client.ask(signOf(loginOf()))).toEqual(FAILURE);
    expect(lab.outcomes('sign')).toEqual(['unbound-session', 'unbound-session']);
    expect(lab.outcomes('bind')).toEqual(['forged-session', 'forged-session']);
    // A host that is known, and that no destination names.
    expect(await client.ask(bindOf(evil))).toEqual(SUCCESS);
    expect(await client.ask(signOf(loginOf()))).toEqual(FAILURE);
    // And which cannot be exchanged for the good one afterwards.
    expect(await client.ask(bindOf(good))).toEqual(FAILURE);
    expect(await client.ask(signOf(loginOf({ hostKey: good.blob })))).toEqual(FAILURE);
  });

  it('ends the connection that says it is forwarded (V11)', async () => {
    const client = await connect();
    expect(await client.ask(bindOf(good, { isForwarding: true }))).toEqual(FAILURE);
    await client.closed;
    expect(lab.outcomes('bind')).toEqual(['forwarding']);
  });

  it('binds sixteen sessions to a connection, and not one more', async () => {
    const client = await connect();
    for (let index = 0; index < 16; index++)
      expect(await client.ask(bindOf(good, { sessionId: Buffer.alloc(32, index) }))).toEqual(SUCCESS);
    expect(await client.ask(bindOf(good, { sessionId: Buffer.alloc(32, 99) }))).toEqual(FAILURE);
    expect(lab.outcomes('bind')).toEqual(['too-many-sessions']);
  });
});

describe('frames that are none', () => {
  it('end their own connection, while another goes on (V10)', async () => {
    const calm = await connect();
    expect(await calm.ask(bindOf(good))).toEqual(SUCCESS);
    const broken: readonly Buffer[] = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(4),
      wire.uint32(256 * 1024 + 1),
      wire.uint32(0xffff_ffff),
      // Messages that break their own format.
      wire.string(Buffer.concat([LIST, Buffer.from('x')])),
      wire.string(Buffer.concat([wire.byte(13), wire.uint32(0xffff_fff0)])),
      wire.string(wire.byte(27)),
    ];
    for (const bytes of broken) {
      const client = await connect();
      client.write(bytes);
      await client.closed;
    }
    expect(lab.outcomes('other')).toEqual(broken.map(() => 'malformed'));
    expect(lab.events.filter(({ kind }) => kind === 'ssh.refused')).toHaveLength(1);
    expect((await calm.ask(signOf(loginOf())))?.[0]).toBe(14);
  });

  it('of an unknown kind are answered with a failure (V10)', async () => {
    const client = await connect();
    const add = Buffer.concat([wire.byte(17), wire.string('ssh-ed25519'), wire.string('whatever')]);
    const unknown = Buffer.concat([wire.byte(27), wire.string('query')]);
    for (const message of [add, unknown, wire.byte(0), wire.byte(255)])
      expect(await client.ask(message)).toEqual(FAILURE);
    expect((await client.ask(LIST))?.[0]).toBe(12);
  });

  it('may come in pieces, and not forever', async () => {
    const client = await connect();
    for (const byte of Buffer.concat([wire.string(LIST)])) {
      client.write(Buffer.from([byte]));
      await delay(5);
    }
    expect((await client.answer())?.[0]).toBe(12);
    const started = performance.now();
    client.write(wire.uint32(100));
    const drip = setInterval(() => client.write(Buffer.from([11])), 50);
    await client.closed;
    clearInterval(drip);
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  it('stay within a number of connections and of requests', async () => {
    const crowd = await Promise.all(Array.from({ length: 40 }, () => connect()));
    const answers = await Promise.all(crowd.map(async (client) => (await client.ask(LIST))?.[0]));
    expect(answers.filter((type) => type === 12)).toHaveLength(32);
    for (const client of crowd) client.close();
    await delay(100);
    let answered = 0;
    for (let round = 0; round < 3; round++) {
      const client = await connect();
      for (let index = 0; index < 400; index++) {
        if ((await client.ask(LIST)) === undefined) break;
        answered++;
      }
    }
    expect(answered).toBeLessThan(620);
    // Of what was too much the first alone is told.
    expect(lab.outcomes('other')).toEqual(['too-many']);
  });

  it('never make it sign more than sixty times a minute', async () => {
    const client = await connect();
    await client.ask(bindOf(good));
    const types: (number | undefined)[] = [];
    for (let index = 0; index < 62; index++) types.push((await client.ask(signOf(loginOf())))?.[0]);
    expect(types.filter((type) => type === 14)).toHaveLength(60);
    expect(lab.outcomes('sign').slice(-2)).toEqual(['too-many', 'too-many']);
    expect(lab.events.filter(({ kind }) => kind === 'ssh.refused')).toHaveLength(1);
  });

  it('leave no private key where a task could read it', async () => {
    const client = await connect();
    await client.ask(bindOf(good));
    const pem = lab.store.openSshKey('demo')?.reveal() ?? '';
    const seed = createPrivateKey(pem).export({ format: 'jwk' }).d ?? 'absent';
    const answers = Buffer.concat(
      await Promise.all(
        [LIST, signOf(loginOf())].map(async (message) => (await client.ask(message)) ?? FAILURE),
      ),
    );
    expect(answers.includes(Buffer.from(seed, 'base64url'))).toBe(false);
    expect(JSON.stringify([lab.records, lab.events])).not.toContain(seed);
  });
});

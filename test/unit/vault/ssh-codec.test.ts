import { describe, expect, it } from 'vitest';
import {
  type AgentRequest,
  identitiesAnswer,
  parseRequest,
  renderRequest,
  signResponse,
} from '../../../src/runtime/vault/ssh/agent-messages.ts';
import { FrameSplitter, frame, MAX_FRAME_BYTES } from '../../../src/runtime/vault/ssh/frames.ts';
import { isSignedByHost } from '../../../src/runtime/vault/ssh/host-key.ts';
import { parseSignData } from '../../../src/runtime/vault/ssh/sign-data.ts';
import { WireError, WireReader, wire } from '../../../src/runtime/vault/ssh/wire.ts';
import { Seeded } from '../../support/seeded.ts';

const ROUNDS = 20_000;

/** What a parser made of it; anything else than its own error is the test's failure. */
function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function request(random: Seeded): AgentRequest {
  const some = (): Buffer => random.bytes(random.int(60));
  switch (random.int(3)) {
    case 0:
      return { kind: 'list' };
    case 1:
      return { kind: 'sign', keyBlob: some(), data: some(), flags: random.int(0xffff_ffff) };
    default:
      return {
        kind: 'bind',
        hostKey: some(),
        sessionId: some(),
        signature: some(),
        isForwarding: random.int(2) === 1,
      };
  }
}

/** Cut, lengthened, or with some bytes changed: close enough to the format to get deep into it. */
function damaged(random: Seeded, message: Buffer): Buffer {
  switch (random.int(4)) {
    case 0:
      return message.subarray(0, random.int(message.length + 1));
    case 1:
      return Buffer.concat([message, random.bytes(1 + random.int(8))]);
    case 2: {
      const changed = Buffer.from(message);
      for (let count = 1 + random.int(4); count > 0; count--)
        changed[random.int(changed.length)] = random.int(256);
      return changed;
    }
    default:
      return random.bytes(random.int(120));
  }
}

function loginData(random: Seeded): Buffer {
  const some = (): Buffer => random.bytes(random.int(40));
  const isBound = random.int(2) === 1;
  return Buffer.concat([
    wire.string(some()),
    wire.byte(50),
    wire.string('git'),
    wire.string('ssh-connection'),
    wire.string(isBound ? 'publickey-hostbound-v00@openssh.com' : 'publickey'),
    wire.boolean(true),
    wire.string('ssh-ed25519'),
    wire.string(some()),
    isBound ? wire.string(some()) : Buffer.alloc(0),
  ]);
}

describe('the codec of the agent protocol', () => {
  it('reads what it wrote', () => {
    const random = new Seeded(1);
    for (let round = 0; round < 2_000; round++) {
      const sent = request(random);
      expect(parseRequest(renderRequest(sent))).toEqual(sent);
    }
  });

  it('knows nothing but its own error, whatever it is given', () => {
    const random = new Seeded(2);
    let read = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const message = damaged(random, renderRequest(request(random)));
      const parsed = attempt(() => parseRequest(message));
      if (parsed === undefined || parsed.kind === 'other') continue;
      read++;
      // One spelling for each message: what is read is what would be written.
      expect(renderRequest(parsed)).toEqual(message);
    }
    expect(read).toBeGreaterThan(100);
  });

  it('refuses an end too early and an end too late', () => {
    for (const sent of [
      { kind: 'list' as const },
      { kind: 'sign' as const, keyBlob: Buffer.from('k'), data: Buffer.from('d'), flags: 0 },
    ]) {
      const message = renderRequest(sent);
      expect(() => parseRequest(Buffer.concat([message, Buffer.from([0])]))).toThrow(WireError);
      expect(() => parseRequest(message.subarray(0, -1))).toThrow(WireError);
    }
    expect(() => parseRequest(Buffer.alloc(0))).toThrow(WireError);
  });

  it('renders answers as the draft has them', () => {
    expect(identitiesAnswer([{ blob: Buffer.from('ab'), comment: 'ü' }]).toString('hex')).toBe(
      '0c00000001000000026162' + '00000002c3bc',
    );
    expect(signResponse(Buffer.from('s')).toString('hex')).toBe('0e0000000173');
  });

  it('writes numbers without a sign, and refuses names that are no text', () => {
    expect(wire.mpint(Buffer.from([0x80])).toString('hex')).toBe('000000020080');
    expect(wire.mpint(Buffer.from([0x7f])).toString('hex')).toBe('000000017f');
    expect(() => new WireReader(wire.string(Buffer.from([0xff]))).text(10)).toThrow(WireError);
    expect(() => new WireReader(wire.string('long')).text(3)).toThrow(WireError);
    expect(() => new WireReader(Buffer.from([2])).boolean()).toThrow(WireError);
  });
});

describe('what is to be signed', () => {
  it('is read, or refused with its own error', () => {
    const random = new Seeded(3);
    let read = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const data = loginData(random);
      expect(parseSignData(data).kind).toBe('login');
      if (attempt(() => parseSignData(damaged(random, data))) !== undefined) read++;
    }
    expect(read).toBeGreaterThan(0);
  });

  it('is never both a login and a signature of data', () => {
    const signature = (
      namespace: string,
      reserved = '',
      hash = 'sha512',
      digest = Buffer.alloc(64),
    ): Buffer =>
      Buffer.concat([
        Buffer.from('SSHSIG'),
        ...[namespace, reserved, hash].map(wire.string),
        wire.string(digest),
      ]);
    expect(parseSignData(signature('git'))).toEqual({ kind: 'signature', namespace: 'git' });
    for (const data of [
      signature('git', 'reserved'),
      signature('git', '', 'sha1', Buffer.alloc(20)),
      signature('git', '', 'sha256', Buffer.alloc(64)),
      Buffer.concat([signature('git'), Buffer.from('x')]),
      Buffer.from('SSHSIG'),
      Buffer.from('SSHSI'),
    ])
      expect(() => parseSignData(data)).toThrow(WireError);
  });
});

describe('the stream of frames', () => {
  it('gives the same messages however it is cut', () => {
    const random = new Seeded(4);
    for (let round = 0; round < 300; round++) {
      const messages = Array.from({ length: 1 + random.int(5) }, () => random.bytes(1 + random.int(300)));
      let stream = Buffer.concat(messages.map(frame));
      const splitter = new FrameSplitter();
      const got: Buffer[] = [];
      while (stream.length > 0) {
        const size = 1 + random.int(random.pick(2, 50, 2_000));
        got.push(...splitter.push(stream.subarray(0, size)));
        stream = stream.subarray(size);
      }
      expect(got).toEqual(messages);
      expect(splitter.isInFrame).toBe(false);
    }
  });

  it('refuses a length above the bound before anything of it came', () => {
    const largest = new FrameSplitter();
    expect([...largest.push(wire.uint32(MAX_FRAME_BYTES))]).toEqual([]);
    expect([...largest.push(Buffer.alloc(MAX_FRAME_BYTES))][0]).toHaveLength(MAX_FRAME_BYTES);
    for (const length of [0, MAX_FRAME_BYTES + 1, 0xffff_ffff])
      expect(() => [...new FrameSplitter().push(wire.uint32(length))]).toThrow(WireError);
  });

  it('does not join everything anew for each byte that dribbles in', () => {
    const splitter = new FrameSplitter();
    const startedAt = performance.now();
    const bytes = frame(Buffer.alloc(MAX_FRAME_BYTES, 1));
    let count = 0;
    for (let at = 0; at < bytes.length; at++) count += [...splitter.push(bytes.subarray(at, at + 1))].length;
    expect(count).toBe(1);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });
});

describe("a host's signature", () => {
  it('is a no for whatever cannot be one, and throws nothing', () => {
    const random = new Seeded(5);
    const types = ['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'ssh-dss', 'rsa-sha2-512', 'x'] as const;
    for (let round = 0; round < 2_000; round++) {
      const [key, algorithm] = [random.pick(...types), random.pick(...types)];
      const parts = Array.from({ length: random.int(4) }, () => wire.string(random.bytes(random.int(70))));
      expect(
        isSignedByHost({
          hostKey: Buffer.concat([wire.string(key), ...parts]),
          sessionId: random.bytes(32),
          signature: Buffer.concat([wire.string(algorithm), wire.string(random.bytes(random.int(70)))]),
        }),
      ).toBe(false);
    }
  });
});

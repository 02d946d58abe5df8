import type { Command } from '../../core/command.ts';
import { type Destination, knownName } from './destination.ts';
import { fingerprintOf } from './fingerprint.ts';
import { isHostKeyType } from './host-key.ts';
import { parseKeyText } from './known-hosts.ts';

/** Per kind of key ssh-keyscan connects once, and waits so long for each. */
const CONNECT_S = 10;
const MAX_KEYS = 16;

export interface ScannedKey {
  readonly type: string;
  readonly blob: Buffer;
  readonly fingerprint: string;
  readonly line: string;
}

/** Asks a host for its keys. What it answers is nobody's word but the network's. */
export const keyscanCommand = (destination: Destination): Command<readonly ScannedKey[]> => ({
  file: 'ssh-keyscan',
  args: [
    `-T${CONNECT_S}`,
    '-tecdsa,ed25519,rsa',
    `-p${destination.port}`,
    // Before a host that looks like an option.
    '--',
    destination.host,
  ],
  timeoutMs: 5 * CONNECT_S * 1000,
  // 1: nothing was answered, which is seen from the output.
  okCodes: [0, 1],
  parse: ({ stdout }) => parseScan(stdout, knownName(destination)),
});

function parseScan(output: string, name: string): readonly ScannedKey[] {
  const keys = output.split('\n').flatMap((line) => {
    const [, type = '', base64 = ''] = line.trim().split(' ');
    const key = readHostKey(name, type, base64);
    return key === undefined ? [] : [key];
  });
  return keys.slice(0, MAX_KEYS);
}

/** A line of our own making from what was read; undefined for what is no host's key. */
export function readHostKey(name: string, type: string, base64: string): ScannedKey | undefined {
  const blob = isHostKeyType(type) ? parseKeyText(type, base64) : undefined;
  if (blob === undefined) return undefined;
  return { type, blob, fingerprint: fingerprintOf(blob), line: renderHostLine(name, blob, type) };
}

export const renderHostLine = (name: string, blob: Buffer, type: string): string =>
  `${name} ${type} ${blob.toString('base64')}`;

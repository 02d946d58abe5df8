import { createHmac } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { destinationText, knownName, parseDestination } from '../../../src/runtime/vault/ssh/destination.ts';
import { parseKnownHosts } from '../../../src/runtime/vault/ssh/known-hosts.ts';
import { ProjectHosts } from '../../../src/runtime/vault/ssh/project-hosts.ts';
import { wire } from '../../../src/runtime/vault/ssh/wire.ts';
import { runner } from '../../support/host.ts';
import { Seeded } from '../../support/seeded.ts';
import { vaultProject } from '../../support/vault-budget.ts';

const keyNamed = (name: string): Buffer =>
  Buffer.concat([wire.string('ssh-ed25519'), wire.string(name.padEnd(32, '.'))]);
const lineOf = (names: string, key: Buffer): string => `${names} ssh-ed25519 ${key.toString('base64')}`;
const [A, B] = [keyNamed('a'), keyNamed('b')];
const isKnown = (text: string, name: string, key = A): boolean =>
  parseKnownHosts(text)
    .keysOf(name)
    .some((known) => known.equals(key));

describe('known_hosts', () => {
  it('knows hosts by name, port, pattern and hash', () => {
    const salt = Buffer.alloc(20, 1);
    const hash = createHmac('sha1', salt).update('[example.org]:2222').digest('base64');
    const hashed = `|1|${salt.toString('base64')}|${hash}`;
    const table: readonly (readonly [string, string, boolean])[] = [
      ['example.org', 'example.org', true],
      ['Example.ORG', 'example.org', true],
      ['example.org,10.0.0.1', '10.0.0.1', true],
      ['example.org', '[example.org]:2222', false],
      ['[example.org]:2222', '[example.org]:2222', true],
      ['[example.org]:2222', 'example.org', false],
      ['*.example.org', 'git.example.org', true],
      ['*.example.org', 'example.org', false],
      ['*.example.org,!bad.example.org', 'bad.example.org', false],
      ['!bad.example.org', 'good.example.org', false],
      ['git?.example.org', 'git1.example.org', true],
      ['git?.example.org', 'git.example.org', false],
      ['exampleXorg', 'example.org', false],
      [hashed, '[example.org]:2222', true],
      [hashed, 'example.org', false],
    ];
    for (const [names, name, expected] of table)
      expect([names, name, isKnown(lineOf(names, A), name)]).toEqual([names, name, expected]);
  });

  it('takes a key for another only when every byte is the same', () => {
    expect(isKnown(lineOf('example.org', B), 'example.org', A)).toBe(false);
    expect(isKnown(`${lineOf('example.org', A)}\n${lineOf('example.org', B)}`, 'example.org', B)).toBe(true);
  });

  it('makes no host known by a comment, a broken line, another type or a marker', () => {
    for (const text of [
      `# ${lineOf('example.org', A)}`,
      lineOf('example.org', A).replace('ssh-ed25519', 'ssh-rsa'),
      `@cert-authority ${lineOf('example.org', A)}`,
      `@new-marker ${lineOf('example.org', A)}`,
      'example.org ssh-ed25519',
      'example.org ssh-ed25519 %%%%',
      'example.org ssh-ed25519 AAAA',
      '|1|broken ssh-ed25519 AAAA',
    ])
      expect(isKnown(text, 'example.org')).toBe(false);
  });

  it('revokes a key for all hosts, and relies on nothing once a revocation cannot be read', () => {
    const revoked = parseKnownHosts(`${lineOf('example.org', A)}\n@revoked ${lineOf('elsewhere', A)}`);
    expect(revoked.keysOf('example.org')).toEqual([]);
    expect(revoked.isRevoked(A)).toBe(true);
    const broken = parseKnownHosts(`${lineOf('example.org', A)}\n@revoked * ssh-ed25519`);
    expect(broken.isUnreliable).toBe(true);
    expect(broken.keysOf('example.org')).toEqual([]);
  });

  it('reads any text, and patterns of any shape in no time', () => {
    const random = new Seeded(6);
    for (let round = 0; round < 2_000; round++) {
      const text = random.bytes(random.int(200)).toString('latin1');
      expect(parseKnownHosts(text).keysOf('example.org')).toEqual([]);
    }
    const startedAt = performance.now();
    expect(isKnown(lineOf(`${'*a'.repeat(500)}b`, A), 'a'.repeat(2_000))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe('the hosts of a project', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp('/tmp/tk-hosts-');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const hosts = new ProjectHosts({ runner });
  const project = () => {
    const { settings, ...rest } = vaultProject({
      ssh: { destinations: ['git@known.example', 'git@new.example:2222'] },
    });
    return { ...rest, directory, settings };
  };

  it('are told of at a start where they are known by no key, with what to do', async () => {
    await writeFile(path.join(directory, 'known_hosts'), `${lineOf('known.example', A)}\n`);
    expect(await hosts.warnings(project())).toEqual([
      expect.stringContaining('"terok-mcp project ssh-host demo git@new.example:2222"'),
    ]);
  });

  it.each<[string, (file: string) => Promise<unknown>]>([
    ['is too large', (file) => writeFile(file, 'x'.repeat(2 * 1024 * 1024))],
    ['is a directory', (file) => mkdir(file)],
    ['is no text', (file) => writeFile(file, Buffer.from([0xff, 0xfe]))],
  ])('are one clear error where their file %s', async (_, make) => {
    const file = path.join(directory, 'known_hosts');
    await make(file);
    for (const ask of [hosts.containerFile(project()), hosts.warnings(project())]) {
      await expect(ask).rejects.toMatchObject({
        code: 'HOST_UNSUPPORTED',
        message: expect.stringContaining(file),
        hint: expect.stringContaining('OpenSSH'),
      });
    }
  });
});

describe('a destination', () => {
  it('is a user, a host and perhaps a port', () => {
    for (const [text, name] of [
      ['git@github.com', 'github.com'],
      ['git@GitHub.com', 'github.com'],
      ['me@example.org:2222', '[example.org]:2222'],
      ['me@[::1]', '::1'],
      ['me@[fe80::1]:2222', '[fe80::1]:2222'],
    ] as const) {
      const destination = parseDestination(text);
      expect(knownName(destination)).toBe(name);
      expect(parseDestination(destinationText(destination))).toEqual(destination);
    }
  });

  it('is never an option, and nothing else', () => {
    for (const text of [
      'git@-oProxyCommand=x',
      'git@-p',
      'github.com',
      'git@',
      'git@h:0',
      'git@h:65536',
      'git@h h',
      'a b@h',
    ])
      expect(() => parseDestination(text)).toThrow(/no place to log in/);
  });
});

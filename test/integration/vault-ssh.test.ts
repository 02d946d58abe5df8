import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/runtime/core/secret.ts';
import type { Project } from '../../src/runtime/projects/contract.ts';
import { destinationOf, hostLine, type ProgramEnd, SshLab } from '../support/ssh-lab.ts';
import { type SshdServer, sshdServer, userName } from '../support/sshd-server.ts';

/** V10 and V11 with OpenSSH's own programs; the attacks that they cannot make are in vault-ssh-frames.test.ts. */
let lab: SshLab;
let server: SshdServer;
let other: SshdServer;
let publicKey: string;
beforeAll(async () => {
  lab = await SshLab.start();
  server = await sshdServer('ed25519');
  other = await sshdServer('rsa');
  publicKey = (await lab.keys.init('demo', { type: 'ed25519', rotate: false })).publicKey;
  await server.authorize(publicKey);
  await other.authorize(publicKey);
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});
beforeEach(() => {
  lab.records.length = 0;
  lab.events.length = 0;
});

const me = `${userName}@127.0.0.1`;
const isIn = { code: 0, stdout: 'in\n' };
const logIn = async (socket: string, to: SshdServer): Promise<ProgramEnd> =>
  await lab.login(socket, to, me, 'echo', 'in');
const allowing = async (...servers: readonly SshdServer[]): Promise<Project> =>
  await lab.project({
    destinations: servers.map((one) => destinationOf(one)),
    knownHosts: servers.map(hostLine).join(''),
  });
const listed = async (...servers: readonly SshdServer[]): Promise<string> =>
  await lab.serve(await allowing(...servers));

/** Neither in, nor anything but a refusal by the server, to whom no signature came. */
function refused(end: ProgramEnd): void {
  expect(end.code).toBe(255);
  expect(end.stderr).toContain('Permission denied (publickey)');
}

describe("OpenSSH with a task's agent", () => {
  it('lists the key and logs in where the project says', async () => {
    const socket = await listed(server);
    expect(await lab.run(socket, 'ssh-add', '-L')).toMatchObject({ code: 0, stdout: `${publicKey}\n` });
    const [key] = lab.store.sshKeys();
    expect((await lab.run(socket, 'ssh-add', '-l')).stdout).toBe(
      `256 ${key?.fingerprint} ${key?.comment} (ED25519)\n`,
    );
    expect(await logIn(socket, server)).toMatchObject(isIn);
    expect(lab.records.filter(({ method }) => method === 'sign')).toEqual([
      expect.objectContaining({
        channel: 'ssh',
        project: 'demo',
        provider: key?.fingerprint,
        target: destinationOf(server),
        outcome: 'ok',
      }),
    ]);
    expect(lab.outcomes('list')).toEqual(['ok', 'ok', 'ok']);
    expect(lab.events).toEqual([]);
  });

  it('logs in with an RSA key, to hosts with RSA and ECDSA keys', async () => {
    await using elliptic = await sshdServer('ecdsa');
    const { publicKey: rsa } = await lab.keys.init('rsa-project', { type: 'rsa', rotate: false });
    for (const to of [other, elliptic]) {
      await to.authorize(publicKey, rsa);
      const project = await lab.project({
        project: 'rsa-project',
        destinations: [destinationOf(to)],
        knownHosts: hostLine(to),
      });
      expect(await logIn(await lab.serve(project), to)).toMatchObject(isIn);
    }
    expect(lab.outcomes('sign')).toEqual(['ok', 'ok']);
  });

  it('does not get in elsewhere with it, where the same key would be welcome (V11)', async () => {
    refused(await logIn(await listed(server), other));
    expect(lab.outcomes('sign')).toEqual(['unknown-host']);
    expect(lab.events).toMatchObject([
      { kind: 'ssh.refused', actor: 'agent', data: { reason: 'unknown-host' } },
    ]);
    expect(await logIn(await listed(server, other), other)).toMatchObject(isIn);
  });

  it('does not get in as another user than the listed one (V11)', async () => {
    const project = await lab.project({
      destinations: [destinationOf(server, 'somebody')],
      knownHosts: hostLine(server),
    });
    refused(await logIn(await lab.serve(project), server));
    expect(lab.records.find(({ method }) => method === 'sign')).toMatchObject({
      outcome: 'other-user',
      target: destinationOf(server),
    });
  });

  it('does not get in at a listed host whose key is not known, is another or is revoked (V11)', async () => {
    const destinations = [destinationOf(server)];
    const unknown = await lab.project({ destinations });
    const another = await lab.project({
      destinations,
      knownHosts: hostLine({ ...server, hostKey: other.hostKey }),
    });
    const revoked = await lab.project({
      destinations,
      knownHosts: `${hostLine(server)}@revoked * ${server.hostKey}\n`,
    });
    const authority = await lab.project({
      destinations,
      knownHosts: `@cert-authority * ${server.hostKey}\n`,
    });
    for (const project of [unknown, another, revoked, authority])
      refused(await logIn(await lab.serve(project), server));
    expect(lab.outcomes('sign')).toEqual([
      'unknown-host',
      'unknown-host',
      'revoked-host-key',
      'unknown-host',
    ]);
  });

  it('gets in by a hashed known_hosts, and not once a line that revokes cannot be read', async () => {
    const project = await allowing(server);
    const file = path.join(project.directory, 'known_hosts');
    expect(await lab.run('', 'ssh-keygen', '-H', '-f', file)).toMatchObject({ code: 0 });
    expect(await readFile(file, 'utf8')).toMatch(/^\|1\|/);
    const socket = await lab.serve(project);
    expect(await logIn(socket, server)).toMatchObject(isIn);
    await writeFile(file, `${await readFile(file, 'utf8')}@revoked * ssh-ed25519 ???\n`);
    refused(await logIn(socket, server));
  });

  it("never sees another project's key, nor can sign with it (V10)", async () => {
    const [foreign] = lab.store.sshKeys().filter(({ project }) => project === 'demo');
    const project = await lab.project({
      project: 'without-key',
      destinations: [destinationOf(server)],
      knownHosts: hostLine(server),
    });
    const socket = await lab.serve(project);
    expect(await lab.run(socket, 'ssh-add', '-l')).toMatchObject({
      code: 1,
      stdout: 'The agent has no identities.\n',
    });
    const file = path.join(lab.directory, 'foreign.pub');
    await writeFile(file, `${foreign?.publicKey}\n`);
    refused(await lab.login(socket, server, '-oIdentitiesOnly=yes', `-i${file}`, me, 'echo', 'in'));
    expect(new Set(lab.outcomes('list'))).toEqual(new Set(['no-key']));
    expect(
      await lab.run(socket, 'ssh-keygen', '-Y', 'sign', '-f', file, '-n', 'git', file),
    ).not.toMatchObject({ code: 0 });
    // OpenSSH asks for nothing that is not listed; who asks all the same is in vault-ssh-frames.test.ts.
    expect(lab.outcomes('sign')).toEqual([]);
  });

  it('is of no use to a host that it is forwarded to (V11)', async () => {
    const socket = await listed(server, other);
    const hop = `ssh-add -l; ssh -F/dev/null -oBatchMode=yes -oIdentityFile=/dev/null -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -p${other.port} ${me} echo hopped`;
    const forwarded = await lab.login(socket, server, '-A', me, hop);
    expect(forwarded.stdout).not.toContain('hopped');
    expect(forwarded.stdout).not.toContain('SHA256:');
    expect(lab.outcomes('sign')).toEqual(['ok']);
    expect(lab.outcomes('bind')).toContain('forwarding');

    // Guard off: OpenSSH's own agent with a key that both hosts know.
    await using plain = await plainAgent();
    await server.authorize(publicKey, plain.publicKey);
    await other.authorize(publicKey, plain.publicKey);
    expect((await lab.login(plain.socket, server, '-A', me, hop)).stdout).toContain('hopped');
  });

  it('signs no data, and commits alone where the project allows signatures (V11)', async () => {
    const file = path.join(lab.directory, 'data');
    await writeFile(file, 'some data\n');
    const key = path.join(lab.directory, 'own.pub');
    await writeFile(key, `${publicKey}\n`);
    const signIn = async (socket: string, namespace: string): Promise<ProgramEnd> =>
      await lab.run(socket, 'ssh-keygen', '-Y', 'sign', '-f', key, '-n', namespace, file);
    expect((await signIn(await listed(server), 'git')).code).not.toBe(0);
    const allowed = await lab.serve(await lab.project({ signatures: true }));
    expect((await signIn(allowed, 'file')).code).not.toBe(0);
    expect(await signIn(allowed, 'git')).toMatchObject({ code: 0 });
    const signed = lab.records.filter(({ method }) => method === 'sign');
    expect(signed.map(({ outcome, target }) => [outcome, target])).toEqual([
      ['not-allowed', 'signature:git'],
      ['other-namespace', 'signature:file'],
      ['ok', 'signature:git'],
    ]);
    const signers = path.join(lab.directory, 'signers');
    await writeFile(signers, `me ${publicKey}\n`);
    const check = ['-Y', 'verify', '-f', signers, '-I', 'me', '-n', 'git', '-s', `${file}.sig`];
    expect(await lab.run('', 'sh', '-c', `ssh-keygen "$@" < ${file}`, 'sh', ...check)).toMatchObject({
      code: 0,
    });
  });

  it('takes no keys from a task, and gives none away', async () => {
    const socket = await listed(server);
    await lab.run('', 'ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path.join(lab.directory, 'mine'));
    expect((await lab.run(socket, 'ssh-add', path.join(lab.directory, 'mine'))).code).not.toBe(0);
    expect((await lab.run(socket, 'ssh-add', '-D')).code).not.toBe(0);
    expect((await lab.run(socket, 'ssh-add', '-l')).stdout).toContain('ED25519');
    expect(new Set(lab.outcomes('other'))).toEqual(new Set(['unsupported']));
  });

  it('follows a rotation at once, and a removal', async () => {
    const project = await lab.project({
      project: 'turning',
      destinations: [destinationOf(server)],
      knownHosts: hostLine(server),
    });
    const socket = await lab.serve(project);
    const first = await lab.keys.init('turning', { type: 'ed25519', rotate: false });
    await server.authorize(publicKey, first.publicKey);
    expect(await logIn(socket, server)).toMatchObject(isIn);
    const second = await lab.keys.init('turning', { type: 'ed25519', rotate: true });
    expect(second.fingerprint).not.toBe(first.fingerprint);
    refused(await logIn(socket, server));
    await server.authorize(publicKey, second.publicKey);
    expect(await logIn(socket, server)).toMatchObject(isIn);
    expect(await lab.keys.remove('turning')).toBe(true);
    expect((await lab.run(socket, 'ssh-add', '-l')).stdout).toBe('The agent has no identities.\n');
    refused(await logIn(socket, server));
  });

  it('has nothing while the vault is locked, says so, and goes on once it is open', async () => {
    const locking = await SshLab.start();
    try {
      const { publicKey: key } = await locking.keys.init('demo', { type: 'ed25519', rotate: false });
      await server.authorize(publicKey, key);
      const project = await locking.project({
        destinations: [destinationOf(server)],
        knownHosts: hostLine(server),
      });
      const socket = await locking.serve(project);
      const passphrase = new Secret('correct horse battery staple');
      await locking.store.changeKey({ source: 'passphrase', passphrase });
      locking.store.lock();
      expect((await locking.run(socket, 'ssh-add', '-l')).stdout).toBe('The agent has no identities.\n');
      refused(await locking.login(socket, server, me, 'echo', 'in'));
      expect(locking.outcomes('list')).toEqual(['locked', 'locked']);
      expect(locking.lockedFor.length).toBe(2);
      await locking.store.unlock(passphrase);
      expect(await locking.login(socket, server, me, 'echo', 'in')).toMatchObject(isIn);
    } finally {
      await locking[Symbol.asyncDispose]();
    }
  });
});

describe('the known_hosts of a project', () => {
  it("is filled from the host, on a person's word, and lets OpenSSH in without any private file", async () => {
    const project = await lab.project({ destinations: [destinationOf(server)] });
    const destination = destinationOf(server);
    const { keys, isListed, file } = await lab.hosts.scan(project, destination);
    expect(isListed).toBe(true);
    expect(keys).toMatchObject([{ type: 'ssh-ed25519', isKnown: false, line: hostLine(server).trim() }]);
    expect(
      await lab.hosts.trust(
        project,
        destination,
        keys.map(({ line }) => line),
      ),
    ).toBe(1);
    expect(
      await lab.hosts.trust(
        project,
        destination,
        keys.map(({ line }) => line),
      ),
    ).toBe(0);
    expect(await readFile(file, 'utf8')).toBe(hostLine(server));
    expect((await lab.hosts.scan(project, destination)).keys).toMatchObject([{ isKnown: true }]);

    const mounted = path.join(lab.directory, 'ssh_known_hosts');
    await writeFile(mounted, await lab.hosts.containerFile(project));
    const strict = [
      '-F/dev/null',
      '-oBatchMode=yes',
      '-oStrictHostKeyChecking=yes',
      '-oUserKnownHostsFile=/dev/null',
    ];
    await server.authorize(publicKey);
    const end = await lab.run(
      await lab.serve(project),
      'ssh',
      ...strict,
      `-oGlobalKnownHostsFile=${mounted}`,
      `-p${server.port}`,
      me,
      'echo',
      'in',
    );
    expect(end).toMatchObject(isIn);
  });

  it('takes no key in the place of another, and none that is revoked', async () => {
    await using impostor = await sshdServer('ed25519');
    const destination = destinationOf(impostor);
    const changed = await lab.project({ knownHosts: hostLine({ ...impostor, hostKey: server.hostKey }) });
    await expect(lab.hosts.scan(changed, destination)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(lab.hosts.trust(changed, destination, [hostLine(impostor).trim()])).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    const revoked = await lab.project({ knownHosts: `@revoked * ${impostor.hostKey}\n` });
    await expect(lab.hosts.scan(revoked, destination)).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('says so where nobody answers', async () => {
    const gone = await sshdServer();
    const destination = destinationOf(gone);
    await gone[Symbol.asyncDispose]();
    await expect(lab.hosts.scan(await lab.project(), destination)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
    });
  });
});

/** OpenSSH's agent with one key, for what happens without our rules. */
async function plainAgent() {
  const key = path.join(lab.directory, 'plain');
  await lab.run('', 'ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key);
  const socket = path.join(lab.directory, 'plain.sock');
  const { stdout } = await lab.run('', 'ssh-agent', '-a', socket);
  await lab.run(socket, 'ssh-add', '-q', key);
  const pid = Number(/SSH_AGENT_PID=([0-9]+)/.exec(stdout)?.[1]);
  return {
    socket,
    publicKey: (await readFile(`${key}.pub`, 'utf8')).trim(),
    [Symbol.asyncDispose]: async () => void process.kill(pid),
  };
}

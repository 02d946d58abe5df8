import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UpstreamAgents, upstreamDestination } from '../../src/runtime/vault/ssh/upstream-agents-store.ts';
import { type GateFixture, gateFixture } from '../support/gate-fixture.ts';
import { hostLine, SshLab } from '../support/ssh-lab.ts';
import { type SshdServer, sshdServer, userName } from '../support/sshd-server.ts';

/** A real sshd in front of the upstream, the vault's own agent behind the gate's git. */
let lab: SshLab;
let server: SshdServer;
let fixture: GateFixture;
let keys: UpstreamAgents;
let isLocked = false;
beforeAll(async () => {
  lab = await SshLab.start();
  server = await sshdServer();
  const { publicKey } = await lab.keys.init('demo', { type: 'ed25519', rotate: false });
  await server.authorize(publicKey);
  keys = new UpstreamAgents({
    agents: lab.agents,
    store: {
      sshKeys: () => lab.store.sshKeys(),
      status: () => ({ ...lab.store.status(), ...(isLocked ? { state: 'locked' as const } : {}) }),
    },
    directory: path.join(lab.directory, 'upstreams'),
    uid: process.getuid?.() ?? 0,
  });
  fixture = await gateFixture({ keys });
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await keys[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const overSsh = async (options: { readonly user?: string; readonly knownHosts?: string } = {}) => {
  const { knownHosts = hostLine(server), user = userName } = options;
  const { directory, file } = await lab.project({ knownHosts });
  const upstream_url = `ssh://${user}@127.0.0.1:${server.port}${fixture.upstream.url}`;
  return { ...fixture.projectWith({ upstream_url }), directory, file };
};

describe('an upstream over SSH', () => {
  it('is cloned and fetched with the key of its project, which lies in no file', async () => {
    const project = await overSsh();
    const first = await fixture.gate.sync(project);
    expect(first.stale).toBeUndefined();
    await fixture.upstream.work.commit('over-ssh.txt', 'new\n');
    await fixture.upstream.work.ok('push', '--quiet', 'origin', 'main');
    expect((await fixture.gate.sync(project)).head).not.toBe(first.head);
    expect(lab.outcomes('sign')).toContain('ok');
    expect(lab.records.every(({ task }) => task === 'gate')).toBe(true);
  });

  it('waits while the vault is locked, says so, and nothing else is tried in its place', async () => {
    const project = await overSsh();
    const signed = lab.outcomes('sign').length;
    isLocked = true;
    try {
      const { stale } = await fixture.gate.sync(project);
      expect(stale).toMatch(/the vault, which holds the key of "demo", is locked/);
    } finally {
      isLocked = false;
    }
    expect(lab.outcomes('sign')).toHaveLength(signed);
    expect((await fixture.gate.sync(project)).stale).toBeUndefined();
  });

  it('whose host no person has seen is not logged in at', async () => {
    const { stale } = await fixture.gate.sync(await overSsh({ knownHosts: '' }));
    expect(stale).toMatch(/cannot be read/);
  });

  it('is all that its agent signs for: tasks may log in elsewhere, the gate may not', async () => {
    const project = await overSsh();
    const { agentSocket } = await keys.access(project);
    expect(await lab.login(agentSocket, server, `${userName}@127.0.0.1`, 'true')).toMatchObject({ code: 0 });
    await using other = await sshdServer('rsa');
    await other.authorize((await lab.keys.init('demo', { type: 'ed25519', rotate: false })).publicKey);
    expect(await lab.login(agentSocket, other, `${userName}@127.0.0.1`, 'true')).toMatchObject({ code: 255 });
  });

  it.each([
    ['ssh://git@h.example/x.git', 'git@h.example'],
    ['ssh://git@H.example:2222/x.git', 'git@h.example:2222'],
    ['ssh://git@[::1]:2222/x.git', 'git@[::1]:2222'],
    ['git@h.example:team/x.git', 'git@h.example'],
  ])('%s is logged in at as %s', async (upstream_url, destination) => {
    expect(upstreamDestination(fixture.projectWith({ upstream_url }))).toBe(destination);
  });

  it('that does not say as whom to log in is refused with what to write', () => {
    expect(() => upstreamDestination(fixture.projectWith({ upstream_url: 'h.example:x.git' }))).toThrow(
      /as whom to log in/,
    );
  });
});

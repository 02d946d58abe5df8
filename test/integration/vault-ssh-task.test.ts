import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { Terok } from '../support/runtime-host.ts';
import { type SshdServer, sshdServer, userName } from '../support/sshd-server.ts';

/** Where a relay puts the one service of the host that a task reaches: here a host to log in to. */
const PLACE = 'localhost:9419';
const LOGIN = `ssh -o BatchMode=yes -o ConnectTimeout=20 -p 9419 ${userName}@localhost`;

let server: SshdServer;
let terok: Terok;
let file: string;
beforeAll(async () => {
  server = await sshdServer();
  terok = await Terok.make();
  const project = await terok.runtime.projects.get('demo');
  file = project.file;
  await writeFile(`${project.directory}/known_hosts`, `[localhost]:9419 ${server.hostKey}\n`);
});
afterAll(async () => {
  await terok[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const signOutcomes = async ({ id }: Task): Promise<readonly string[]> =>
  (await terok.runtime.vault.audit({ task: id, limit: 100 }))
    .filter(({ channel, method }) => channel === 'ssh' && method === 'sign')
    .map(({ outcome, target }) => `${outcome} ${target}`);

describe('SSH in a task', () => {
  it('is not there for a project without a key', async () => {
    const task = await terok.runSteps(['run echo "socket:$SSH_AUTH_SOCK:"; ls /run/terok']);
    const output = await terok.output(task.id);
    expect(output).toContain('socket::');
    expect(output).not.toContain('ssh-agent.sock');
  });

  it("logs in with OpenSSH's own programs where the project says, by the mounted host keys, and nowhere else (V10, V11)", async () => {
    const { publicKey } = await terok.runtime.vault.initSshKey('demo', { type: 'ed25519', rotate: false });
    await server.authorize(publicKey);
    const settings = await readFile(file, 'utf8');
    const relay = `relay:\n  endpoint: tcp://127.0.0.1:${server.port}\n`;
    await appendFile(file, `\n${relay}ssh:\n  destinations:\n    - "${userName}@${PLACE}"\n`);

    const task = await terok.runSteps([
      'run ssh-add -L',
      'run cat /etc/ssh/ssh_known_hosts',
      `run ${LOGIN} echo "logged in"`,
    ]);
    const output = await terok.output(task.id);
    expect(output).toContain(publicKey);
    expect(output).toContain(server.hostKey);
    expect(output).toContain('logged in');
    expect(await signOutcomes(task)).toEqual([`ok ${userName}@${PLACE}`]);
    expect(output).not.toContain('PRIVATE KEY');

    await writeFile(file, `${settings}\n${relay}ssh:\n  destinations:\n    - "somebody@${PLACE}"\n`);
    const denied = await terok.runSteps([`run ${LOGIN} echo "logged in" || true`]);
    expect(await terok.output(denied.id)).toContain('Permission denied (publickey)');
    expect(await signOutcomes(denied)).toEqual([`other-user ${userName}@${PLACE}`]);
    expect(terok.runtime.events.forTask(denied.id, { kinds: ['ssh.refused'] })).toMatchObject([
      { actor: 'agent', data: { method: 'sign', reason: 'other-user' } },
    ]);
  });
});

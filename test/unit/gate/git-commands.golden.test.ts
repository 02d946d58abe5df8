import { describe, expect, it } from 'vitest';
import { backendConfig, backendVariables } from '../../../src/runtime/gate/backend-command.ts';
import { diffArgs } from '../../../src/runtime/gate/branch-reader.ts';
import { DEFAULT_GATE_LIMITS } from '../../../src/runtime/gate/gate-limits.ts';
import { gitEnvironment } from '../../../src/runtime/gate/git-environment.ts';
import { pushArgs } from '../../../src/runtime/gate/upstream.ts';

const HOST = {
  env: {
    PATH: '/usr/bin',
    HOME: '/home/ann',
    SSH_AUTH_SOCK: '/tmp/agent',
    GIT_DIR: '/elsewhere',
    HTTPS_PROXY: 'http://proxy:3128',
  },
  home: '/gates/.host/home',
  trustingConfig: '/gates/.host/local-upstream.gitconfig',
};

describe('how git is run: a change here is a change of policy', () => {
  it('the environment of every git process', async () => {
    await expect(
      `${JSON.stringify(gitEnvironment(HOST, { gitDir: '/gates/demo.git', transport: 'https' }), undefined, 2)}\n`,
    ).toMatchFileSnapshot('../../golden/gate-environment.json');
  });

  it("an upstream over SSH: one project's agent and known hosts", async () => {
    const ssh = { agentSocket: "/run/it's/agent.sock", knownHosts: "/config/it's/known_hosts" };
    const { GIT_SSH_COMMAND } = gitEnvironment(HOST, { transport: 'ssh', ssh });
    await expect(`${GIT_SSH_COMMAND}\n`).toMatchFileSnapshot('../../golden/gate-ssh-command.txt');
  });

  it('what git http-backend is given for one push', async () => {
    const variables = backendVariables({
      gates: '/gates',
      project: 'demo',
      task: 'k3f9a',
      service: 'git-receive-pack',
      isAdvertisement: false,
      contentType: 'application/x-git-receive-pack-request',
      contentEncoding: 'x-gzip',
      gitProtocol: 'version=2',
    });
    const whole = { config: backendConfig('k3f9a', DEFAULT_GATE_LIMITS, { isReadOnly: false }), variables };
    await expect(`${JSON.stringify(whole, undefined, 2)}\n`).toMatchFileSnapshot(
      '../../golden/gate-backend.json',
    );
  });

  it('a promotion has no way to force, and a difference none to run a program', async () => {
    const args = {
      push: pushArgs('https://example.invalid/x.git', { head: 'a'.repeat(40), target: 'main' }),
      diff: diffArgs({ from: 'b'.repeat(40), head: 'a'.repeat(40) }, ['--patch']),
    };
    expect(args.push.join(' ')).not.toMatch(/ -f| --force| \+/);
    await expect(`${JSON.stringify(args, undefined, 2)}\n`).toMatchFileSnapshot(
      '../../golden/gate-commands.json',
    );
  });
});

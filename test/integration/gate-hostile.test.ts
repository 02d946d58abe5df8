import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GateFixture, gateFixture } from '../support/gate-fixture.ts';
import { clientEnvironment, GitClient } from '../support/git-fixtures.ts';

const HOOKS = [
  'pre-receive',
  'update',
  'post-receive',
  'post-update',
  'reference-transaction',
  'proc-receive',
  'push-to-checkout',
  'pre-push',
  'post-checkout',
  'post-merge',
  'pre-auto-gc',
  'post-rewrite',
  'fsmonitor-watchman',
];

describe('a hostile repository makes the host run nothing (G10)', () => {
  let fixture: GateFixture;
  let canary: string;
  let program: string;
  let home: string;

  beforeEach(async () => {
    // Even the daemon's own surroundings name the program: the gate must not pass them on.
    const probe = await gateFixture();
    const directory = probe.ground.directory;
    canary = path.join(directory, 'canary');
    program = path.join(directory, 'evil.sh');
    home = path.join(directory, 'evil-home');
    await mkdir(home);
    await writeFile(program, `#!/bin/sh\necho "$0 $*" >> ${canary}\ncat 2>/dev/null\nexit 0\n`);
    await chmod(program, 0o755);
    await writeFile(path.join(home, '.gitconfig'), evilConfig(program));
    const env = {
      HOME: home,
      XDG_CONFIG_HOME: home,
      GIT_EXTERNAL_DIFF: program,
      GIT_SSH_COMMAND: program,
      GIT_CONFIG_PARAMETERS: `'core.fsmonitor=${program}'`,
      GIT_PAGER: program,
    };
    fixture = await gateFixture({ env });
    await probe.gate[Symbol.asyncDispose]();
    disposeProbe = async () => await probe[Symbol.asyncDispose]();
  });
  let disposeProbe: () => Promise<void>;
  afterEach(async () => {
    await fixture[Symbol.asyncDispose]();
    await disposeProbe();
  });

  /** Everything an agent or an upstream could wish for, in the repository directory itself. */
  async function poison(gitDir: string): Promise<void> {
    await mkdir(path.join(gitDir, 'hooks'), { recursive: true });
    for (const hook of HOOKS) {
      await writeFile(path.join(gitDir, 'hooks', hook), `#!/bin/sh\nexec ${program} ${hook}\n`);
      await chmod(path.join(gitDir, 'hooks', hook), 0o755);
    }
    await mkdir(path.join(gitDir, 'info'), { recursive: true });
    await writeFile(path.join(gitDir, 'info/attributes'), '* diff=evil filter=evil merge=evil\n');
    const plain = new GitClient(gitDir, clientEnvironment('/nonexistent'));
    for (const [key, value] of evilSettings(program)) await plain.ok('config', '--local', key, value);
  }

  it('pushed trees with attributes, submodules and configuration', async () => {
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    await writeFile(
      path.join(work.directory, '.gitattributes'),
      '* diff=evil filter=evil merge=evil export-subst\n',
    );
    await writeFile(path.join(work.directory, '.gitconfig'), evilConfig(program));
    await mkdir(path.join(work.directory, '.githooks'));
    await writeFile(path.join(work.directory, '.githooks/post-receive'), `#!/bin/sh\nexec ${program}\n`);
    await writeFile(path.join(work.directory, '.gitmodules'), '[submodule "x"]\n\tpath = x\n\turl = ../x\n');
    const head = await work.commit('a.txt', 'a\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/evil');
    await everyOperation(head);
    expect(existsSync(canary)).toBe(false);
  });

  it('trees made to write outside a work tree are not even taken', async () => {
    const access = await fixture.openTask('k3f9a');
    const work = await access.clone();
    await writeFile(
      path.join(work.directory, 'modules'),
      `[submodule "x"]\n\tpath = x\n\turl = -u${program}\n`,
    );
    const blob = await work.ok('hash-object', '-w', 'modules');
    for (const [name, mode] of [
      ['.gitmodules', '100644'],
      ['.GIT', '040000'],
      ['..', '040000'],
    ] as const) {
      const subtree = await work.run(['mktree'], { input: `100644 blob ${blob}\thooks\n` });
      const entry = mode === '100644' ? `${mode} blob ${blob}` : `${mode} tree ${subtree.stdout}`;
      const tree = await work.run(['mktree'], { input: `${entry}\t${name}\n` });
      const commit = await work.ok('commit-tree', '-m', name, '-p', 'HEAD', tree.stdout);
      const result = await work.run(['push', 'origin', `${commit}:refs/heads/trick`]);
      expect([name, result.exitCode]).not.toEqual([name, 0]);
    }
    expect(await fixture.gate.branches(fixture.project)).toEqual([]);
  });

  it('a mirror whose own files were poisoned', async () => {
    const access = await fixture.openTask('k3f9a');
    await poison(fixture.gate.path(fixture.project));
    const work = await access.clone();
    const head = await work.commit('README.md', 'b\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/evil');
    await everyOperation(head);
    expect(existsSync(canary)).toBe(false);

    // The trap is armed: without the gate's environment it snaps.
    const plain = new GitClient(fixture.gate.path(fixture.project), clientEnvironment('/nonexistent'));
    await plain.run(['diff', 'HEAD~', 'HEAD']);
    expect(existsSync(canary)).toBe(true);
  });

  it('an upstream with hooks and settings of its own, when it is mirrored', async () => {
    await poison(fixture.upstream.url);
    const access = await fixture.openTask('k3f9a');
    await access.clone();
    await fixture.gate.sync(fixture.project);
    expect(existsSync(canary)).toBe(false);
    const mirror = fixture.gate.path(fixture.project);
    expect(await readdir(mirror)).not.toContain('hooks');
    expect(await fixture.mirror.ok('config', '--local', '--list')).not.toContain('evil');
  });

  it('transports that run programs are closed, whatever the project file says', async () => {
    for (const url of [`ext::sh -c ${program}`, `-u${program}`, `--upload-pack=${program}`, 'fd::17']) {
      expect(() => fixture.projectWith({ upstream_url: url })).toThrow();
      const forged = {
        ...fixture.project,
        settings: {
          ...fixture.project.settings,
          git: { ...fixture.project.settings.git, upstream_url: url },
        },
      };
      await expect(fixture.gate.sync(forged)).rejects.toMatchObject({
        code: expect.stringMatching(/INVALID_INPUT|CONFLICT/),
      });
    }
    expect(existsSync(canary)).toBe(false);
  });

  it('no SSH key, agent or configuration of the person is used for an upstream (G12)', async () => {
    await mkdir(path.join(home, '.ssh'), { recursive: true });
    await writeFile(path.join(home, '.ssh/config'), `Host *\n  ProxyCommand ${program} %h\n`);
    const project = fixture.projectWith({ upstream_url: 'ssh://git@127.0.0.1:9/x.git' });
    await expect(fixture.gate.sync(project)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('has no SSH key'),
    });
    expect(existsSync(canary)).toBe(false);
  });

  async function everyOperation(head: string): Promise<void> {
    const { gate, project } = fixture;
    const request = { project, branch: 'k3f9a/evil', head, target: 'evil' };
    await gate.branches(project);
    await gate.diff(request);
    await gate.patch({ ...request, offset: 0, maxChars: 10_000 });
    await gate.promote(request);
    await fixture.upstream.work.commit('news.txt', 'news\n');
    await fixture.upstream.work.ok('push', '--quiet', 'origin', 'main');
    await gate.sync(project);
    await gate.closeTask(project, 'k3f9a');
  }
});

function evilSettings(program: string): readonly (readonly [string, string])[] {
  return [
    ['core.fsmonitor', program],
    ['core.sshCommand', program],
    ['core.askPass', program],
    ['core.pager', program],
    ['core.gitProxy', program],
    ['core.editor', program],
    ['credential.helper', `!${program}`],
    ['diff.external', program],
    ['diff.evil.command', program],
    ['diff.evil.textconv', program],
    ['filter.evil.clean', program],
    ['filter.evil.smudge', program],
    ['merge.evil.driver', program],
    ['gpg.program', program],
    ['log.showSignature', 'true'],
    ['uploadpack.packObjectsHook', program],
    ['gc.recentObjectsHook', program],
    ['alias.diff', `!${program}`],
  ];
}

function evilConfig(program: string): string {
  return evilSettings(program)
    .map(([key, value]) => {
      const [section = '', ...rest] = key.split('.');
      const name = rest.pop() ?? '';
      const subsection = rest.length === 0 ? '' : ` "${rest.join('.')}"`;
      return `[${section}${subsection}]\n\t${name} = "${value}"\n`;
    })
    .join('');
}

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command, CommandRunner } from '../../../src/runtime/core/command.ts';
import { CommandError } from '../../../src/runtime/core/errors.ts';
import { resolvePaths } from '../../../src/runtime/core/paths.ts';
import {
  findCommonRange,
  findFreeRange,
  parseSubordinateIds,
} from '../../../src/runtime/core/subordinate-ids.ts';
import { loadSubordinateRangeSync } from '../../../src/runtime/core/subordinate-ids-loader.ts';
import {
  type ContainersHost,
  containersConfStep,
  hardLimit,
  renderContainersConf,
} from '../../../src/runtime/setup/containers-conf.ts';
import { namespacesBlockedBy } from '../../../src/runtime/setup/devices.ts';
import {
  adviseInstall,
  hostPackagesStep,
  packagesOf,
  requirementsFor,
} from '../../../src/runtime/setup/host-packages.ts';
import { directoriesStep, privateDirectories } from '../../../src/runtime/setup/private-directories.ts';
import { subordinateIdsStep } from '../../../src/runtime/setup/subordinate-ids.ts';

const uid = os.userInfo().uid;
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'setup-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Writes down what would be run; a program in `fails` fails. */
function recordingRunner(fails: readonly string[] = []): {
  readonly runner: CommandRunner;
  readonly ran: string[];
} {
  const ran: string[] = [];
  const runner: CommandRunner = {
    run: async <T>(command: Command<T>): Promise<T> => {
      const line = [command.file, ...command.args].join(' ');
      ran.push(line);
      if (fails.some((text) => line.includes(text))) throw new CommandError(`${command.file} failed`);
      return command.parse({ stdout: '', stderr: '', exitCode: 0 });
    },
    stream: () => {
      throw new Error('not here');
    },
    detach: async () => {
      throw new Error('not here');
    },
  };
  return { runner, ran };
}

describe('programs of the host', () => {
  const place = (names: readonly string[]): string => {
    for (const name of names) {
      writeFileSync(path.join(root, name), '');
      chmodSync(path.join(root, name), 0o755);
    }
    return root;
  };
  const step = (options: {
    isRoot: boolean;
    has: readonly string[];
    runner?: CommandRunner;
    isV2?: boolean;
  }) =>
    hostPackagesStep({
      runner: options.runner ?? recordingRunner().runner,
      isRoot: options.isRoot,
      programDirectories: [place(options.has)],
      isCgroupV2: async () => options.isV2 ?? true,
      needsBuilder: async () => true,
    });
  const most =
    'podman conmon crun catatonit nft pasta newuidmap git ip ssh update-ca-certificates apt-get'.split(' ');

  it('are named to an ordinary user in one line that an administrator can run', async () => {
    const packages = step({ isRoot: false, has: most });
    const advice = 'Ask an administrator to run: apt-get install -y mmdebstrap socat';
    expect(await packages.check()).toEqual({
      check: 'host.packages',
      level: 'fail',
      message: 'not installed: socat, mmdebstrap',
      fix: advice,
    });
    await expect(packages.apply(() => undefined)).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      hint: advice,
    });
  });

  it('are installed by root, only the missing ones, even when one package source is broken', async () => {
    const { runner, ran } = recordingRunner(['update']);
    const said: string[] = [];
    await step({ isRoot: true, has: most, runner }).apply((message) => said.push(message));
    expect(ran).toEqual([
      'apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 update',
      'apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends -- mmdebstrap socat',
    ]);
    expect(said).toEqual([
      'Updating package lists',
      'Some package lists could not be updated; going on with those there are',
      'Installing mmdebstrap, socat',
    ]);
  });

  it('are named as programs where there is no apt', () => {
    const missing = requirementsFor({ isCgroupV2: true, needsBuilder: false }).slice(2, 6);
    expect(adviseInstall(missing, false)).toBe(
      'Ask an administrator to install these programs: crun or runc, catatonit, nft, pasta or slirp4netns',
    );
  });

  it('include runc, and not crun, where version 1 cgroups are mounted', () => {
    expect(packagesOf(requirementsFor({ isCgroupV2: false, needsBuilder: false }))).toEqual(
      expect.arrayContaining(['runc']),
    );
    expect(packagesOf(requirementsFor({ isCgroupV2: false, needsBuilder: false }))).not.toContain('crun');
    expect(packagesOf(requirementsFor({ isCgroupV2: true, needsBuilder: false }))).not.toContain(
      'mmdebstrap',
    );
  });
});

describe('subordinate ids', () => {
  it('are the lowest free block, whatever the order and the holes', () => {
    expect(findFreeRange(['', ''])).toEqual({ hostStart: 100_000, size: 65_536 });
    expect(findFreeRange(['b:165536:65536\na:100000:65536\n', 'c:231072:10\n'])).toEqual({
      hostStart: 231_082,
      size: 65_536,
    });
    expect(findFreeRange(['a:200000:65536\n'])).toEqual({ hostStart: 100_000, size: 65_536 });
    expect(findFreeRange(['a:165535:65536\n'])).toEqual({ hostStart: 231_071, size: 65_536 });
    expect(findFreeRange(['a:100000:70000\nb:110000:1000\n'])).toEqual({ hostStart: 170_000, size: 65_536 });
    expect(findFreeRange(['a:100000:4294867295\n'])).toBeUndefined();
  });

  it('must be the same for users and groups where one mapping serves both', () => {
    const texts = { subuid: 'root:1:5\nroot:300000:65536\n', subgid: 'root:300000:70000\n' };
    expect(findCommonRange(texts, ['root'])).toEqual({ hostStart: 300_000, size: 65_536 });
    expect(findCommonRange({ ...texts, subgid: 'root:300001:65536\n' }, ['root'])).toBeUndefined();
    expect(findCommonRange(texts, ['other'])).toBeUndefined();
  });

  it('are read past comments and damaged lines', () => {
    expect(parseSubordinateIds('# x\n\na:1:2:3\nb:x:1\n c:7:8 \n')).toEqual([
      { owner: 'c', hostStart: 7, size: 8 },
    ]);
  });

  const files = (text: string) => {
    const both = { subuid: path.join(root, 'subuid'), subgid: path.join(root, 'subgid') };
    for (const file of Object.values(both)) writeFileSync(file, text);
    return both;
  };

  it('are reserved for root under its own name, beside those of everybody else', async () => {
    const { runner, ran } = recordingRunner();
    const step = subordinateIdsStep({ runner, uid: 0, userName: 'root', files: files('ann:100000:65536\n') });
    expect((await step.check()).level).toBe('fail');
    await step.apply(() => undefined);
    expect(ran).toEqual(['usermod --add-subuids 165536-231071 --add-subgids 165536-231071 -- root']);
  });

  it('come with the exact command for an ordinary user who has none', async () => {
    const step = subordinateIdsStep({
      runner: recordingRunner().runner,
      uid: 1001,
      userName: 'ann',
      files: files('bob:100000:65536\n'),
    });
    const fix =
      'Ask an administrator to run: usermod --add-subuids 165536-231071 --add-subgids 165536-231071 -- ann';
    expect(await step.check()).toMatchObject({ level: 'fail', fix });
    await expect(step.apply(() => undefined)).rejects.toMatchObject({ hint: fix });
  });

  it('may be given by name or number, in pieces, to an ordinary user', async () => {
    const mine = files('ann:100000:65000\n1001:200000:536\n');
    const step = subordinateIdsStep({
      runner: recordingRunner().runner,
      uid: 1001,
      userName: 'ann',
      files: mine,
    });
    expect(await step.check()).toMatchObject({ level: 'ok' });
    expect(
      loadSubordinateRangeSync({ owner: 'ann', files: { subuid: '/nonexistent', subgid: '/nonexistent' } }),
    ).toBeUndefined();
  });
});

describe("Podman's configuration", () => {
  const host: ContainersHost = {
    isRoot: false,
    isCgroupV2: true,
    hasCrun: true,
    hasSystemd: true,
    maxOpenFiles: 20_000,
    maxProcesses: 96_365,
    pidMax: 32_768,
  };

  it.each([
    ['an ordinary user of a systemd machine', host],
    [
      'root, with limits below the defaults and both cgroup versions mounted',
      { ...host, isRoot: true, isCgroupV2: false, hasSystemd: false },
    ],
    [
      'root without limits',
      { ...host, isRoot: true, maxOpenFiles: undefined, maxProcesses: undefined, pidMax: undefined },
    ],
  ])('is this for %s', (_, value) => expect(renderContainersConf(value)).toMatchSnapshot());

  it('takes limits from the kernel', () => {
    const text =
      'Limit                     Soft Limit           Hard Limit           Units     \nMax processes             96365                unlimited            processes \nMax open files            1024                 20000                files     \n';
    expect(hardLimit(text, 'Max open files')).toBe(20_000);
    expect(hardLimit(text, 'Max processes')).toBeUndefined();
    expect(hardLimit(text, 'Max nothing')).toBeUndefined();
  });

  it('is written only when it would differ, and a check writes nothing', async () => {
    const file = path.join(root, 'containers.conf');
    const step = containersConfStep({ file, host: async () => host });
    expect((await step.check()).level).toBe('fail');
    expect(existsSync(file)).toBe(false);
    await step.apply(() => undefined);
    expect((await step.check()).level).toBe('ok');
    writeFileSync(file, `${readFileSync(file, 'utf8')}\n`);
    expect((await step.check()).level).toBe('fail');
  });
});

describe('directories', () => {
  const paths = (env: Readonly<Record<string, string>> = {}) =>
    resolvePaths({
      env: { TEROK_RUNTIME_DIR: path.join(root, 'run'), ...env },
      home: root,
      uid: 1000,
      ownsDirectory: () => false,
    });

  it('are all made, for their owner alone, and then need no change', async () => {
    const step = directoriesStep({ paths: paths({ XDG_RUNTIME_DIR: path.join(root, 'xdg') }), uid });
    expect((await step.check()).level).toBe('fail');
    expect(existsSync(path.join(root, '.config'))).toBe(false);
    await step.apply(() => undefined);
    expect((await step.check()).level).toBe('ok');
    expect(statSync(path.join(root, 'run/tasks')).mode & 0o777).toBe(0o700);
  });

  it('are closed again when somebody opened them', async () => {
    const ours = paths({ XDG_RUNTIME_DIR: path.join(root, 'xdg') });
    const step = directoriesStep({ paths: ours, uid });
    await step.apply(() => undefined);
    chmodSync(ours.state, 0o755);
    expect((await step.check()).message).toContain(ours.state);
    await step.apply(() => undefined);
    expect(statSync(ours.state).mode & 0o777).toBe(0o700);
    chmodSync(ours.state, 0o711);
    expect((await step.check()).level).toBe('ok');
  });

  it('are not taken over when something else stands there', async () => {
    const ours = paths({ XDG_RUNTIME_DIR: path.join(root, 'xdg') });
    mkdirSync(path.join(root, 'elsewhere'));
    symlinkSync(path.join(root, 'elsewhere'), path.join(root, 'run'));
    const step = directoriesStep({ paths: ours, uid });
    await expect(step.apply(() => undefined)).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
  });

  it('are each named once, also where two things lie in the same one', async () => {
    const ours = paths({ XDG_RUNTIME_DIR: path.join(root, 'xdg') });
    const directories = privateDirectories(ours);
    expect(path.dirname(ours.podman.containersConf)).toBe(ours.state);
    expect(directories).toEqual([...new Set(directories)]);
    const { message } = await directoriesStep({ paths: ours, uid }).check();
    expect(message.split(`${ours.state}, `)).toHaveLength(2);
  });

  it('include a runtime directory of our own where the system has none', () => {
    expect(privateDirectories(paths())[0]).toBe('/tmp/terok-runtime-1000');
    expect(privateDirectories(paths({ XDG_RUNTIME_DIR: '/run/user/1000' }))).not.toContain('/run/user/1000');
  });
});

it('knows what blocks user namespaces', () => {
  const none = { maxUserNamespaces: undefined, unprivilegedUsernsClone: undefined };
  expect(namespacesBlockedBy(none)).toContain('no user namespaces');
  expect(namespacesBlockedBy({ ...none, maxUserNamespaces: '0\n' })).toContain('max_user_namespaces');
  expect(namespacesBlockedBy({ maxUserNamespaces: '9\n', unprivilegedUsernsClone: '0\n' })).toContain(
    'userns_clone',
  );
  expect(namespacesBlockedBy({ ...none, maxUserNamespaces: '9\n' })).toBeUndefined();
});

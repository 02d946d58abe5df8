import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Command, CommandRunner } from '../../../src/runtime/core/command.ts';
import { CommandError, HostError, InvalidInputError } from '../../../src/runtime/core/errors.ts';
import { resolvePaths } from '../../../src/runtime/core/paths.ts';
import type { Finding } from '../../../src/runtime/doctor/contract.ts';
import { freeBytes, selinuxMode } from '../../../src/runtime/doctor/doctor-loader.ts';
import { DoctorService } from '../../../src/runtime/doctor/doctor-service.ts';
import { type HostCheckDeps, hostChecks } from '../../../src/runtime/doctor/host-checks.ts';
import { projectChecks } from '../../../src/runtime/doctor/project-checks.ts';
import type { EngineInfo } from '../../../src/runtime/engine/contract.ts';
import { DockerSettings } from '../../../src/runtime/images/contract.ts';
import { FakeProjects } from '../../support/fake-runtime.ts';

const healthy: EngineInfo = {
  name: 'podman',
  version: '5.4.2',
  isRootless: true,
  storageDriver: 'overlay',
  ociRuntime: 'crun',
  cgroupVersion: 'v2',
  limitsUnavailable: undefined,
};

const paths = resolvePaths({ env: {}, home: '/home/me', uid: 1000, ownsDirectory: () => true });

/** Answers by program; a program without an answer is not installed. */
function runnerWith(answers: Readonly<Record<string, string | Error>>): CommandRunner {
  const refuse = () => {
    throw new Error('not used');
  };
  return {
    run: async <T>({ file, args, parse }: Command<T>): Promise<T> => {
      const answer = answers[file === 'prefix' ? (args[0] ?? '') : file];
      if (answer instanceof Error) throw answer;
      if (answer === undefined)
        throw new HostError(`The program "${file}" is not installed`, { hint: 'Run "terok-mcp setup".' });
      return parse({ stdout: answer, stderr: '', exitCode: 0 });
    },
    stream: refuse,
    detach: refuse,
  };
}

const working = { slirp4netns: 'slirp4netns version 1.2.0', nft: '', git: 'git version 2.47.3' };

function deps(change: {
  readonly info?: EngineInfo | Error;
  readonly answers?: Readonly<Record<string, string | Error>>;
  readonly free?: number;
  readonly selinux?: 'absent' | 'permissive' | 'enforcing';
}): HostCheckDeps {
  return {
    paths,
    engine: {
      info: async () => {
        if (change.info instanceof Error) throw change.info;
        return change.info ?? healthy;
      },
      hostNamespacePrefix: async () => ['prefix'],
    },
    runner: runnerWith(change.answers ?? working),
    freeBytes: async () => change.free ?? 100 * 1024 ** 3,
    selinuxMode: async () => change.selinux ?? 'absent',
  };
}

async function examine(change: Parameters<typeof deps>[0]): Promise<Record<string, Finding>> {
  const findings = await new DoctorService({ checks: hostChecks(deps(change)) }).examine();
  return Object.fromEntries(findings.map((finding) => [finding.check, finding]));
}

test('a healthy host has nothing but good findings', async () => {
  const findings = Object.values(await examine({}));
  expect(findings).toHaveLength(8);
  expect(findings.filter(({ level, fix }) => level !== 'ok' || fix !== undefined)).toEqual([]);
});

test('each thing that is wrong is found, with what to do', async () => {
  const table: ReadonlyArray<readonly [Parameters<typeof deps>[0], string, Finding['level'], RegExp]> = [
    [
      { info: new HostError('Podman is missing', { hint: 'Install it.' }) },
      'host.podman',
      'fail',
      /Podman is missing/,
    ],
    [{ info: { ...healthy, storageDriver: 'vfs' } }, 'host.podman', 'warn', /copies whole images/],
    [
      { info: { ...healthy, limitsUnavailable: 'cgroups v1' } },
      'host.limits',
      'warn',
      /not enforced: cgroups v1/,
    ],
    [
      { answers: { ...working, slirp4netns: new HostError('x') } },
      'host.network',
      'fail',
      /neither slirp4netns nor pasta/,
    ],
    [
      {
        answers: {
          ...working,
          nft: new CommandError('"nft" failed', { details: 'a\nOperation not permitted' }),
        },
      },
      'host.nftables',
      'fail',
      /\(Operation not permitted\)/,
    ],
    [{ answers: { nft: '', slirp4netns: 'x' } }, 'host.git', 'fail', /git is not installed/],
    [{ answers: { ...working, git: 'git version 2.11.0' } }, 'host.git', 'fail', /too old/],
    [{ free: 1024 ** 3 }, 'host.disk', 'warn', /1\.0 GiB free/],
  ];
  for (const [change, check, level, message] of table) {
    const finding = (await examine(change))[check];
    expect(finding, check).toMatchObject({ level, message: expect.stringMatching(message) });
    if (!(change.answers?.['nft'] instanceof Error)) expect(finding?.fix, check).toBeTypeOf('string');
  }
});

test('an enforcing SELinux is never a plain ok: the way to the gate needs a rule of its policy', async () => {
  expect((await examine({ selinux: 'enforcing' }))['host.selinux']).toMatchObject({
    level: 'warn',
    message: expect.stringContaining('connecting to the gate and the relay'),
    fix: expect.stringMatching(/ausearch -m avc.*container_t connectto/),
  });
  expect((await examine({ selinux: 'permissive' }))['host.selinux']?.level).toBe('ok');
});

test('of two network programs the one that tasks use is named', async () => {
  const findings = await examine({ answers: { ...working, pasta: 'pasta 0.1' } });
  expect(findings['host.network']?.message).toBe('slirp4netns is there (slirp4netns version 1.2.0)');
});

test('pasta is enough', async () => {
  const findings = await examine({ answers: { pasta: 'pasta 0.1', nft: '', git: 'git version 3.0' } });
  expect(findings['host.network']).toMatchObject({ level: 'ok', message: 'pasta is there (pasta 0.1)' });
  expect(findings['host.git']?.level).toBe('ok');
});

test('a check that hangs or breaks is a finding, and the others answer', async () => {
  const doctor = new DoctorService({
    deadlineMs: 50,
    checks: [
      { id: 'hangs', run: async () => await new Promise(() => undefined) },
      { id: 'breaks', run: async () => Promise.reject(new Error('secret')) },
      { id: 'works', run: async () => ({ level: 'ok', message: 'fine' }) },
    ],
  });
  const findings = await doctor.examine();
  expect(findings).toMatchObject([
    { check: 'hangs', level: 'fail', message: 'no answer within 0.05 s' },
    { check: 'breaks', level: 'fail', message: 'the check itself failed' },
    { check: 'works', level: 'ok' },
  ]);
});

test('broken projects and agents, missing images and the sudo trade-off are named', async () => {
  const projects = new FakeProjects();
  projects.add('demo');
  const images = {
    plan: async () => ({ missing: ['L0'] }),
    inventory: async () => ({
      installed: [{ name: 'claude', version: '2.1.0' }],
      skipped: [{ name: 'vibe', reason: 'no such package' }],
    }),
  };
  const config = {
    global: async () => ({
      file: '/config/config.yml',
      sections: {},
      defaultAgent: undefined,
      agent: undefined,
    }),
    presets: async () => ['fast'],
    preset: async () => {
      throw new InvalidInputError('/config/presets/fast.yml:2: modle: is no known key');
    },
  };
  const machineImages = async () => ({ project: undefined, docker: DockerSettings.parse({}) });
  const agents = {
    roster: async () => ({
      entries: [],
      broken: [{ name: 'mine', problem: '/config/agents/mine.yaml:3: title: missing' }],
    }),
  };
  const findings = await new DoctorService({
    checks: projectChecks({ config, projects, agents, images, machineImages }),
  }).examine();
  expect(findings).toMatchObject([
    { check: 'config.files', level: 'warn', message: expect.stringContaining('fast.yml:2: modle') },
    {
      check: 'projects.files',
      level: 'warn',
      message: expect.stringContaining('broken (/config/projects/broken/project.yml:3:5'),
    },
    {
      check: 'agents.files',
      level: 'warn',
      message: 'unusable: mine (/config/agents/mine.yaml:3: title: missing)',
      fix: expect.stringContaining('the other agents work'),
    },
    { check: 'images.ready', level: 'warn', message: expect.stringContaining('L0') },
    {
      check: 'images.agents',
      level: 'ok',
      message: 'installed: claude 2.1.0; not installed: vibe (no such package)',
    },
    {
      check: 'tasks.privileges',
      level: 'ok',
      message: expect.stringContaining('no-new-privileges is off there'),
    },
  ]);
});

test('free space is asked where the directory will be', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tk-'));
  expect(await freeBytes(path.join(directory, 'not', 'yet', 'there'))).toBeGreaterThan(0);
  await rm(directory, { recursive: true });
  expect(['absent', 'permissive', 'enforcing']).toContain(await selinuxMode());
});

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigLoader } from '../../../src/runtime/config/config-loader.ts';
import { systemClock } from '../../../src/runtime/core/clock.ts';
import { silentLogger } from '../../../src/runtime/core/log.ts';
import { parseYaml } from '../../../src/runtime/core/yaml-document.ts';
import { ProjectStore } from '../../../src/runtime/projects/project-store.ts';
import { runCommandLine } from '../../../src/server/cli/command-line.ts';
import { Daemon } from '../../../src/server/daemon.ts';
import type { Host } from '../../../src/server/host.ts';
import { loadHost } from '../../../src/server/host-loader.ts';
import { pathsOf } from '../../../src/server/host-paths.ts';
import { FakeRuntime } from '../../support/fake-runtime.ts';
import { repositoriesIn } from '../../support/repositories.ts';

/** The command line against a real daemon, with real configuration files and no Podman. */

let directory: string;
let host: Host;
let daemon: Daemon;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/tv-');
  host = {
    ...loadHost(process, '/main.js'),
    env: {
      TEROK_CONFIG_DIR: path.join(directory, 'c'),
      TEROK_STATE_DIR: path.join(directory, 's'),
      TEROK_RUNTIME_DIR: path.join(directory, 'r'),
    },
  };
  const paths = pathsOf(host);
  const fake = new FakeRuntime();
  const config = new ConfigLoader({
    directory: paths.config,
    bundledInstructions: path.resolve(import.meta.dirname, '../../../resources/instructions/default.md'),
  });
  const runtime = {
    ready: fake.ready,
    agents: fake.agents,
    config,
    images: fake.images,
    builds: fake.builds,
    projects: new ProjectStore({
      directory: paths.projects,
      config,
      repositories: repositoriesIn(directory),
    }),
    tasks: fake.tasks,
    review: fake.review,
    approvals: fake.approvals,
    egress: fake.egress,
    vault: fake.vault,
    sshHosts: fake.sshHosts,
    doctor: fake.doctor,
    events: fake.events,
    [Symbol.asyncDispose]: async () => await fake[Symbol.asyncDispose](),
  };
  daemon = await Daemon.start({
    paths,
    uid: host.uid,
    pid: host.pid,
    createRuntime: async () => runtime,
    logger: silentLogger,
    clock: systemClock,
    idleMs: 600_000,
  });
});
afterEach(async () => {
  daemon.stop('the test is over');
  await daemon.finished;
  await rm(directory, { recursive: true, force: true });
});

async function given(name: string, text: string): Promise<string> {
  const file = path.join(directory, 'c', name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

async function resolved(...args: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const exitCode = await runCommandLine({ ...host, argv: ['config', 'resolved', ...args], stdout, stderr });
  return { exitCode, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
}

describe('config resolved', () => {
  it('shows what the files come to and which of them says what', async () => {
    const config = await given('config.yml', 'agent: {model: haiku, timeout: 60}\nrun: {memory: 2g}\n');
    const project = await given(
      'projects/demo/project.yml',
      'git: {upstream_url: "https://me:secret@example.invalid/x.git"}\nagent: {model: {claude: opus}}\npreset: slow\n',
    );
    const preset = await given('presets/slow.yml', 'timeout: 7200\nsubagents: [{name: r, default: true}]\n');
    const { stdout, exitCode } = await resolved('demo', '--json');
    expect(exitCode).toBe(0);
    expect(stdout).not.toContain('secret');
    expect(JSON.parse(stdout)).toMatchObject({
      project: 'demo',
      agent: 'claude',
      preset: 'slow',
      settings: {
        run: { memory: '2g', cpus: 4 },
        agent: { model: { claude: 'opus' }, timeout: 7200 },
      },
      sources: {
        git: [project],
        run: [config],
        preset: [project],
        promotion: [],
        'agent.model': [project, config],
        'agent.timeout': [preset, config],
        'agent.subagents': [preset],
      },
      run: {
        model: 'opus',
        max_turns: null,
        timeout: 7200,
        unrestricted: true,
        subagents: ['r'],
        has_custom_instructions: false,
        instructions: expect.stringContaining('work-status.yml'),
      },
    });
  });

  it('is YAML for people, with the sources as comments', async () => {
    const config = await given('config.yml', 'agent: {model: {codex: o3}}\nrun: {gpus: all}\n');
    const { stdout } = await resolved();
    expect(stdout).toContain(`# ${config}\nrun:\n  gpus: all\n`);
    expect(stdout).toContain(`agent:\n  # ${config}\n  model:\n    codex: o3\n`);
    const [settings = '', run = ''] = stdout.split('\n---\n');
    expect(parseYaml(settings).document?.value).toEqual({
      run: { gpus: 'all' },
      agent: { model: { codex: 'o3' } },
    });
    expect(parseYaml(run).document?.value).toMatchObject({ model: null, timeout: 1800 });
  });

  it('takes run.timeout for what no layer says', async () => {
    await given('config.yml', 'run: {timeout: 90}\nagent: {timeout: {codex: 7}}\n');
    await given('projects/demo/project.yml', 'git: {upstream_url: /x}\nrun: {timeout: 80}\n');
    const timeoutOf = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await resolved(...args, '--json')).stdout).run.timeout;
    expect(await timeoutOf('--agent', 'claude')).toBe(90);
    expect(await timeoutOf('demo', '--agent', 'claude')).toBe(80);
    await given('config.yml', 'run: {timeout: 90}\nagent: {timeout: {claude: 7}}\n');
    expect(await timeoutOf('demo', '--agent', 'claude')).toBe(7);
  });

  it('answers for one agent and one preset', async () => {
    await given('config.yml', 'agent: {model: {scripted: a, _default: b}}\n');
    await given('presets/p.yml', 'max_turns: 3\n');
    const { stdout } = await resolved('--agent', 'scripted', '--preset', 'p', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ agent: 'scripted', run: { model: 'a', max_turns: 3 } });
  });

  it('fails with file, line and key, or the nearest names', async () => {
    const config = await given('config.yml', '# x\nagnet: {}\n');
    expect(await resolved()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(`${config}:2: agnet: is no known key; did you mean "agent"?`),
    });
    await given('config.yml', '');
    await given('presets/slow.yml', '');
    expect(await resolved('--preset', 'solw')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Did you mean "slow"?'),
    });
    expect((await resolved('--agent', 'cluade')).stderr).toContain('claude');
    expect((await resolved('demo', 'more')).exitCode).toBe(2);
  });
});

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigLoader } from '../../../src/runtime/config/config-loader.ts';
import { ProjectStore } from '../../../src/runtime/projects/project-store.ts';
import { renderProjectFile } from '../../../src/runtime/projects/project-template.ts';
import { repositoriesIn } from '../../support/repositories.ts';

let directory: string;
let store: ProjectStore;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/ti-');
  const config = new ConfigLoader({ directory, bundledInstructions: '/nonexistent' });
  store = new ProjectStore({
    directory: path.join(directory, 'projects'),
    config,
    repositories: repositoriesIn(directory),
  });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function given(name: string, text: string): Promise<string> {
  const file = path.join(directory, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

const GIT = 'git:\n  upstream_url: /srv/x\n';

async function settings(config: string, project: string) {
  await given('config.yml', config);
  await given('projects/demo/project.yml', project);
  return (await store.get('demo')).settings;
}

describe('a project', () => {
  it('inherits key by key, and its own keys win', async () => {
    const merged = await settings(
      `default_agent: codex
preset: fast
git: {human_name: Ada, human_email: a@x, authorship: human}
run: {gpus: nvidia, memory: 2g, restricted: true}
docker: {base_image: "debian:12", agents: [claude, codex]}
promotion: {approval: disabled}
`,
      `${GIT}  human_name: Grace\nrun: {memory: 1g}\ndocker: {agents: [_inherit, vibe]}\n`,
    );
    expect(merged).toMatchObject({
      default_agent: 'codex',
      preset: 'fast',
      git: { upstream_url: '/srv/x', human_name: 'Grace', human_email: 'a@x', authorship: 'human' },
      run: { gpus: 'nvidia', memory: 1024 ** 3, restricted: true, cpus: 4, timeout: 1800 },
      docker: { base_image: 'debian:12', agents: ['claude', 'codex', 'vibe'] },
      promotion: { approval: 'disabled', expires_minutes: 1440 },
    });
  });

  it.each([
    ['run: {gpus: nvidia, cpus: 2}', { gpus: false, cpus: 2 }],
    ['run: {cpus: 2}', { gpus: false, cpus: 2 }],
    ['', { gpus: false, cpus: 4 }],
  ])('unsets with null what %j says', async (config, run) => {
    expect(await settings(config, `${GIT}run: {gpus: null}\n`)).toMatchObject({ run });
  });

  it('keeps its own layer of how agents run apart: the layers are merged for a run', async () => {
    const config = 'agent: {model: opus, timeout: 5}\n';
    expect((await settings(config, GIT)).agent).toBeUndefined();
    const own = await settings(config, `${GIT}agent: {model: {claude: null}, subagents: [_inherit]}\n`);
    expect(own.agent).toEqual({ model: { claude: null }, subagents: ['_inherit'] });
  });

  it('inherits a snippet from where the snippet lies', async () => {
    const config = 'docker: {user_snippet_file: all.Dockerfile}\n';
    expect((await settings(config, GIT)).docker.user_snippet_file).toBe(
      path.join(directory, 'all.Dockerfile'),
    );
    const own = await settings(config, `${GIT}docker: {user_snippet_file: own.Dockerfile}\n`);
    expect(own.docker.user_snippet_file).toBe('own.Dockerfile');
  });

  it('knows its directory and its own keys', async () => {
    await given('projects/demo/project.yml', `${GIT}preset: x\n`);
    expect(await store.get('demo')).toMatchObject({
      directory: path.join(directory, 'projects/demo'),
      ownKeys: ['git', 'preset'],
    });
  });
});

describe('what is wrong', () => {
  it('in config.yml is blamed on config.yml, by every call, and nothing falls back to a default', async () => {
    await given('projects/demo/project.yml', GIT);
    const file = await given('config.yml', 'run:\n  restricted: sure\n');
    const problem = {
      code: 'INVALID_INPUT',
      message: `${file}:2: run.restricted: must be true or false`,
    };
    await expect(store.get('demo')).rejects.toMatchObject(problem);
    await expect(store.list()).rejects.toMatchObject(problem);
    await expect(store.create({ id: 'other', upstreamUrl: '/srv/y' })).rejects.toMatchObject(problem);
    await expect(readFile(path.join(directory, 'projects/other/project.yml'))).rejects.toThrow();
  });

  it('in project.yml is blamed on project.yml', async () => {
    await given('config.yml', 'run:\n  cpus: 2\n');
    const file = await given('projects/demo/project.yml', `${GIT}run:\n  memory: lots\n`);
    await expect(store.get('demo')).rejects.toMatchObject({
      message: expect.stringContaining(`${file}:4: run.memory: a number followed by`),
    });
    await given('projects/demo/project.yml', `${GIT}run: 5\n`);
    await expect(store.get('demo')).rejects.toMatchObject({ message: `${file}:3: run: must be a mapping` });
  });
});

it('every example in a new project.yml can be uncommented', async () => {
  const text = renderProjectFile({ upstreamUrl: '/srv/x' });
  const blocks = text
    .slice(text.indexOf('# default_agent'))
    .replaceAll(/^# ?/gm, '')
    // What explains is prose in a section that is a comment itself.
    .replaceAll(/^ {2}# .*\n/gm, '');
  const head = text.slice(0, text.indexOf('# What follows')).replaceAll(/^ {2}# (?=[a-z_]+: )/gm, '  ');
  await given('projects/demo/project.yml', `${head}\n${blocks}`);
  expect((await store.get('demo')).settings).toMatchObject({
    git: { default_branch: 'main', human_name: 'Ada Lovelace', authorship: 'agent-human' },
    default_agent: 'claude',
    preset: 'thorough',
    agent: { model: 'sonnet', max_turns: 50, subagents: [{ file: 'reviewer.md', default: true }] },
    docker: { base_image: 'ubuntu:24.04', user_snippet_inline: expect.stringContaining('make') },
    relay: { endpoint: 'tcp://127.0.0.1:8090' },
  });
});

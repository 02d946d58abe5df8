import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProcesses } from '../../src/runtime/core/process-table-loader.ts';
import { compileProgram } from '../support/compiled-program.ts';
import { resourcesDir } from '../support/host.ts';
import { imageBuilder, imageRequest, inside, paths, podman } from '../support/images.ts';

const quiet = (): void => undefined;
const TAG = 'localhost/buildend:l2-cli';
// Of this test alone, so that its process is not taken for another's.
const SECONDS = `${400 + (Date.now() % 500)}.${Date.now() % 1000}`;
let directory: string;

const of = (snippet: string) => imageRequest({ user_snippet_inline: snippet }, { id: 'buildend', directory });
const sleepers = () => findProcesses((argv) => argv[0] === 'sleep' && argv[1] === SECONDS);
const builds = () => findProcesses((argv) => argv.includes(`--tag=${TAG}`));
const buildContainers = async (): Promise<readonly string[]> =>
  (await podman('ps', '--all', '--external', '--quiet', '--no-trunc')).trim().split('\n');

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds()); await delay(50))
    if (Date.now() > deadline) throw new Error('it never came true');
}

beforeAll(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'build-end-'));
  await imageBuilder().ensure(imageRequest(), quiet);
}, 600_000);
afterAll(async () => {
  await podman('rmi', '--force', '--ignore', TAG);
  rmSync(directory, { recursive: true, force: true });
});

describe('a build that is cancelled', () => {
  it('ends what it ran, and leaves no container, directory or image', async () => {
    const leaving = new AbortController();
    const ensuring = imageBuilder().ensure(of(`RUN sleep ${SECONDS}`), quiet, leaving.signal);
    const failed = expect(ensuring).rejects.toMatchObject({ code: 'CANCELLED' });
    await until(async () => (await sleepers()).length > 0);
    const during = await buildContainers();
    leaving.abort();
    await failed;
    await until(async () => (await builds()).length === 0);
    expect(await sleepers()).toEqual([]);
    // Other builds of this machine may come and go; the one that was cancelled took its container along.
    expect((await buildContainers()).filter((id) => during.includes(id)).length).toBeLessThan(during.length);
    expect(await podman('images', '--quiet', '--filter', `reference=${TAG}`)).toBe('');
  });
});

describe('a build whose process was killed', () => {
  it('is ended, and its settings are removed, by the next that takes up what was left', async () => {
    const support = await compileProgram();
    const program = `
      const { imageBuilder, imageRequest } = await import(${JSON.stringify(path.join(support, 'images.js'))});
      const docker = { user_snippet_inline: 'RUN sleep ${SECONDS}' };
      const project = { id: 'buildend', directory: ${JSON.stringify(directory)} };
      const resources = ${JSON.stringify(resourcesDir)};
      await imageBuilder({ resources }).ensure(imageRequest(docker, project), () => undefined);
    `;
    const args = ['--input-type=module', '--eval', program];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    await until(async () => (await sleepers()).length > 0);
    const left = () => readdirSync(paths.cache).filter((name) => name.includes(`.${child.pid}.`));
    child.kill('SIGKILL');
    await until(async () => child.signalCode !== null);
    expect(left().map((name) => name.split('-')[0])).toEqual(['build', 'settings']);
    await imageBuilder().takeUpLeftovers();
    expect(left()).toEqual([]);
    await until(async () => (await builds()).length === 0 && (await sleepers()).length === 0);
  });
});

describe('a build that fails', () => {
  it('shows the last lines of both its streams', async () => {
    const building = imageBuilder().ensure(of('RUN echo said; echo complained >&2; exit 3'), quiet);
    const error: unknown = await building.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: `The image layer ${TAG} could not be built` });
    expect(error).toHaveProperty(
      'details',
      expect.stringMatching(/^said$[\s\S]*^complained$[\s\S]*exit status 3/m),
    );
  });
});

describe("a project's lines", () => {
  it('cannot change who a task is, where it works and how it starts', async () => {
    const hostile = [
      'RUN useradd --create-home other',
      'ENV HOME=/root USER=root',
      'USER other',
      'WORKDIR /tmp',
      'ENTRYPOINT ["/bin/false"]',
      'CMD ["/bin/false"]',
    ];
    const { task } = await imageBuilder().ensure(of(hostile.join('\n')), quiet);
    expect(await inside(task, 'sh', '-c', 'echo $(id -un) $HOME $USER $PWD')).toBe(
      'dev /home/dev dev /workspace\n',
    );
  });
});

import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { noCheckpoint } from '../../src/runtime/core/checkpoint.ts';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { createRuntime } from '../../src/runtime/create-runtime.ts';
import { makeUpstream, playground } from '../support/git-fixtures.ts';
import { hostEnvironment, isRoot, resourcesDir, testHost, uid } from '../support/host.ts';
import { connectInMemory } from '../support/mcp-client.ts';

const ground = await playground();
const upstream = await makeUpstream(ground);
const scratch = await mkdtemp('/tmp/tk-bad-');
afterAll(async () => {
  await ground[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

/** Every program of this host but these. */
async function pathWithout(...missing: readonly string[]): Promise<string> {
  const directory = path.join(scratch, `without-${missing.join('-')}`);
  await mkdir(directory);
  for (const source of ['/usr/sbin', '/usr/bin', '/bin', '/sbin']) {
    for (const name of await readdir(source)) {
      if (!missing.includes(name))
        await symlink(path.join(source, name), path.join(directory, name)).catch(() => undefined);
    }
  }
  return directory;
}

async function start(options: { readonly env?: Readonly<Record<string, string>> } = {}) {
  const host = await testHost();
  await mkdir(host.paths.state, { recursive: true });
  return {
    host,
    open: () =>
      createRuntime({
        paths: host.paths,
        uid,
        env: { ...hostEnvironment(), ...options.env },
        packageEnv: {},
        resourcesDir,
        logger: silentLogger,
        clock: systemClock,
        checkpoint: noCheckpoint,
        vault: { program: { file: process.execPath, args: [] } },
      }),
  };
}

describe('a host without', () => {
  it.each([['podman'], ['nft']])(
    '%s: tools say so, nothing is left, and the server lives on',
    async (missing) => {
      const { host, open } = await start({ env: { PATH: await pathWithout(missing) } });
      const runtime = await open();
      const client = await connectInMemory('auto', { runtime });
      try {
        await runtime.projects.create({ id: 'demo', upstreamUrl: upstream.url });
        for (const tool of ['create_task', 'run_headless']) {
          const answer = await client.call(tool, {
            project: 'demo',
            ...(tool === 'run_headless' ? { prompt: 'say hi' } : {}),
          });
          expect(answer.isError).toBe(true);
          expect(answer.text).toMatch(new RegExp(missing));
          expect(answer.text).toContain('Hint: ');
          expect(answer.text).not.toContain('INTERNAL');
        }
        expect((await client.call('list_tasks')).object).toMatchObject({ tasks: [] });
        expect((await client.call('list_projects')).object).toMatchObject({
          projects: [{ project: 'demo' }],
        });
        expect(await readdir(host.paths.networks).catch(() => [])).toEqual([]);
      } finally {
        await client.close();
        await runtime[Symbol.asyncDispose]();
        await host[Symbol.asyncDispose]();
      }
    },
  );
});

// Only root may mount a small file system; the same error from SQLite itself is in the unit tests of the database.
describe.each(isRoot ? [['a small file system']] : [])('a disk that is full (%s)', () => {
  it('is one clear error, nothing is left behind, and the server works again once there is space', async () => {
    const { host, open } = await start();
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m,mode=700', 'tmpfs', host.paths.state], {
      stdio: 'inherit',
    });
    const runtime = await open();
    const client = await connectInMemory('auto', { runtime });
    try {
      await runtime.projects.create({ id: 'demo', upstreamUrl: upstream.url });
      expect((await client.call('create_task', { project: 'demo' })).object).toMatchObject({
        state: 'running',
      });
      const ballast = path.join(host.paths.state, 'ballast');
      await writeFile(ballast, '');
      spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4k'], { stdio: 'ignore' });
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const full = await client.call('create_task', { project: 'demo' });
        expect(full.isError).toBe(true);
        expect(full.text).toMatch(/disk is full|cannot be written|space/i);
        expect(full.text).not.toContain('INTERNAL');
      }
      await rm(ballast);
      const after = await client.call('create_task', { project: 'demo' });
      expect(after.object, after.text).toMatchObject({ state: 'running' });
      const { object } = await client.call('list_tasks');
      const tasks: readonly { task: string }[] = Array.isArray(object?.['tasks']) ? object['tasks'] : [];
      expect(tasks).toHaveLength(2);
      for (const { task } of tasks) await client.call('delete_task', { task });
      expect(await readdir(host.paths.networks)).toEqual([]);
    } finally {
      await client.close();
      await runtime[Symbol.asyncDispose]();
      spawnSync('umount', ['--lazy', host.paths.state], { stdio: 'inherit' });
      await host[Symbol.asyncDispose]();
    }
  });
});

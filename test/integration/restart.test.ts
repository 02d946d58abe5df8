import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { hostEnvironment } from '../support/host.ts';
import { Terok } from '../support/runtime-host.ts';

let terok: Terok;
beforeAll(async () => {
  terok = await Terok.make();
});
afterAll(() => terok[Symbol.asyncDispose]());

async function interactive(): Promise<Task> {
  return await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
}
const idOf = (task: Task) => terok.podman('inspect', '--format={{.Id}}', task.container);
const rootOf = (task: Task) => path.join(terok.host.paths.tasks, task.project, task.id);

async function restart(task: Task, options: { readonly recreate?: boolean } = {}) {
  const started = await terok.runtime.tasks.restart(task.id, options);
  return { ...(await terok.ready(task.id)), warnings: started.warnings };
}

describe('an interactive task that was stopped', () => {
  it('goes on in its container, with its workspace, its gate and its network rules', async () => {
    const task = await interactive();
    await terok.exec(
      task,
      'echo kept > kept.txt; echo note > ~/note; git add .; git commit -qm One; git push -q origin HEAD:refs/heads/one',
    );
    const container = await idOf(task);
    await terok.runtime.tasks.stop(task.id);
    const again = await restart(task);
    expect(again).toMatchObject({
      state: 'running',
      warnings: [],
      exitCode: undefined,
      finishedAt: undefined,
    });
    expect(await idOf(task)).toBe(container);
    const { stdout } = await terok.exec(
      again,
      'cat kept.txt ~/note; git push -q origin HEAD:refs/heads/two && echo pushed; git ls-remote --heads origin | grep -c refs/heads/one',
    );
    expect(stdout.split('\n').slice(0, 4)).toEqual(['kept', 'note', 'pushed', '1']);
    expect((await terok.runtime.egress.status(task.id)).state).toBe('up');
    const refused = await terok.exec(
      again,
      'timeout 5 bash -c "exec 3<>/dev/tcp/203.0.113.9/443" || echo refused',
    );
    expect(refused.stdout.trim()).toBe('refused');
    await terok.runtime.tasks.delete(task.id);
    expect(await terok.containers()).not.toContain(task.container);
  });

  it('keeps the destinations that a person opened to it', async () => {
    const task = await interactive();
    await terok.runtime.egress.allow(
      task.id,
      { address: '203.0.113.9', port: 443, protocol: 'tcp' },
      'client',
    );
    await terok.runtime.tasks.stop(task.id);
    await restart(task);
    expect(await terok.runtime.egress.status(task.id)).toMatchObject({
      state: 'up',
      allowed: [{ address: '203.0.113.9', port: 443, protocol: 'tcp' }],
    });
    await terok.runtime.tasks.delete(task.id);
  });

  it('gets a new container when that is asked for, or its own is gone, and is told of the latter', async () => {
    const task = await interactive();
    await terok.exec(task, 'echo kept > kept.txt; echo gone > ~/note');
    const container = await idOf(task);
    await terok.runtime.tasks.stop(task.id);
    const recreated = await restart(task, { recreate: true });
    expect(recreated.warnings).toEqual([]);
    expect(await idOf(task)).not.toBe(container);
    expect((await terok.exec(recreated, 'cat kept.txt; ls ~/note')).stdout).toBe('kept\n');
    await terok.runtime.tasks.stop(task.id);
    await terok.podman('rm', '--force', task.container);
    const again = await restart(task);
    expect(again).toMatchObject({ state: 'running', warnings: [expect.stringContaining('gone')] });
    expect((await terok.exec(again, 'cat kept.txt')).stdout).toBe('kept\n');
    await terok.runtime.tasks.delete(task.id);
  });

  it('is not started while it runs, and a debugging shell never', async () => {
    const task = await interactive();
    await expect(terok.runtime.tasks.restart(task.id)).rejects.toMatchObject({ code: 'CONFLICT' });
    await terok.runtime.tasks.delete(task.id);
    await expect(terok.runtime.tasks.restart(task.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const dev = await terok.ready((await terok.runtime.tasks.create({ project: 'demo', mode: 'dev' })).id);
    await terok.runtime.tasks.stop(dev.id);
    await expect(terok.runtime.tasks.restart(dev.id)).rejects.toMatchObject({ code: 'CONFLICT' });
    await terok.runtime.tasks.delete(dev.id);
  });

  it('restarted twice and deleted at the same moment has one clean winner', async () => {
    const task = await interactive();
    await terok.runtime.tasks.stop(task.id);
    const results = await Promise.allSettled([
      terok.runtime.tasks.restart(task.id),
      terok.runtime.tasks.restart(task.id),
      terok.runtime.tasks.delete(task.id),
    ]);
    for (const result of results)
      if (result.status === 'rejected')
        expect(['CONFLICT', 'NOT_FOUND', 'CANCELLED']).toContain(result.reason.code);
    expect(() => terok.runtime.tasks.get(task.id)).toThrow('no task');
    expect(await terok.containers()).not.toContain(task.container);
    for (const place of [terok.host.paths.networks, terok.host.paths.services])
      expect(await readdir(place)).not.toContain(task.id);
  });
});

describe('a container that started although Podman said no', () => {
  it('is gone on with: its prompt is not given twice, nor its content lost', async () => {
    const task = await terok.runSteps(['run echo note > ~/note']);
    const container = await idOf(task);
    const bin = path.join(terok.host.directory, 'bin');
    await mkdir(bin);
    const podman = (await terok.hostProgram('which', 'podman')).trim();
    const slow = `#!/bin/bash\n${podman} "$@" || exit\nif [[ " $* " == *" start -- "* ]]; then exit 125; fi\n`;
    await writeFile(path.join(bin, 'podman'), slow, { mode: 0o755 });
    await terok.restart({ PATH: `${bin}:${hostEnvironment()['PATH']}` });
    try {
      const prompt = 'run cat ~/note; echo once >> count.txt; wc -l < count.txt';
      const again = await terok.followUp(task.id, prompt, { fresh: true });
      expect(again).toMatchObject({ state: 'completed', exitCode: 0, warnings: [] });
      expect(await idOf(task)).toBe(container);
      expect(await terok.output(task.id)).toMatch(/^note\n1$/m);
    } finally {
      await terok.restart();
    }
  });
});

describe('what a container of an earlier release could have left on the host', () => {
  const bait = async () => {
    const directory = path.join(terok.host.directory, `precious-${Math.random()}`);
    await mkdir(directory);
    await writeFile(path.join(directory, 'instructions.md'), 'mine');
    return directory;
  };
  const places: readonly [string, (target: string, precious: string) => Promise<void>][] = [
    ['a link', (target, precious) => symlink(precious, target)],
    ['a link to a file', (target, precious) => symlink(path.join(precious, 'instructions.md'), target)],
    ['a file', (target) => writeFile(target, 'x')],
    ['a FIFO', async (target) => void (await terok.hostProgram('mkfifo', target))],
    ['a gigabyte', async (target) => void (await terok.hostProgram('truncate', '-s', '1G', target))],
  ];

  it.each(places)(
    'in the place of its configuration: %s goes, and nothing behind it is touched',
    async (_, put) => {
      const task = await interactive();
      await terok.runtime.tasks.stop(task.id);
      const precious = await bait();
      const target = path.join(rootOf(task), 'agent-config');
      await rename(target, `${target}.old`);
      await put(target, precious);
      const again = await restart(task);
      expect(again).toMatchObject({ state: 'running', warnings: [] });
      expect((await lstat(target)).isDirectory()).toBe(true);
      expect((await terok.exec(again, 'cat /etc/terok/instructions.md')).stdout).not.toContain('mine');
      expect(await readdir(precious)).toEqual(['instructions.md']);
      expect(await readFile(path.join(precious, 'instructions.md'), 'utf8')).toBe('mine');
      await terok.runtime.tasks.delete(task.id);
    },
  );

  it.each(places)(
    'in the place of its agent’s home: %s is refused, and nothing is mounted from there',
    async (_, put) => {
      const task = await interactive();
      await terok.runtime.tasks.stop(task.id);
      const precious = await bait();
      const target = path.join(rootOf(task), 'agent-home');
      await rm(target, { recursive: true });
      await put(target, precious);
      await expect(terok.runtime.tasks.restart(task.id)).rejects.toMatchObject({ code: 'HOST_UNSUPPORTED' });
      expect(terok.runtime.tasks.get(task.id).state).toBe('stopped');
      expect(await readdir(precious)).toEqual(['instructions.md']);
      await terok.runtime.tasks.delete(task.id);
      expect(await readFile(path.join(precious, 'instructions.md'), 'utf8')).toBe('mine');
    },
  );
});

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { z } from 'zod';
import { podmanBase } from '../../src/runtime/engine/podman/podman-commands.ts';
import { refsOf } from '../support/git-fixtures.ts';
import { runner } from '../support/host.ts';
import { Shipped } from '../support/shipped.ts';
import { Terminal } from '../support/terminal.ts';

const Tasks = z.array(z.looseObject({ id: z.string(), mode: z.string(), state: z.string() }));

const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');

let shipped: Shipped;
beforeAll(async () => {
  shipped = await Shipped.make();
  await writeFile(
    path.join(shipped.host.paths.projects, 'demo/project.yml'),
    stringify({
      git: {
        upstream_url: shipped.upstream.url,
        human_name: 'Ada Lovelace',
        human_email: 'ada@example.org',
      },
      docker: { user_snippet_inline: 'RUN echo made-for-demo > /etc/demo-marker\n' },
    }),
  );
});
afterAll(() => shipped[Symbol.asyncDispose]());

const login = (...args: readonly string[]): Terminal =>
  new Terminal([process.execPath, main, 'login', ...args], shipped.environment());

async function devTasks(): Promise<z.infer<typeof Tasks>> {
  return Tasks.parse(JSON.parse(await shipped.run(['task', 'list', '--json']))).filter(
    ({ mode }) => mode === 'dev',
  );
}

describe('terok-mcp login --dev', () => {
  it('is a shell on the debugging image, behind the rules of any task, whose pushes are in the gate (N1)', async () => {
    await using terminal = login('demo', '--dev');
    const ready = await terminal.sees(/Task [a-z0-9]{5}\. /, { withinMs: 600_000 });
    const id = /Task ([a-z0-9]{5})\. /.exec(terminal.shown)?.[1] ?? '';
    await terminal.sees(/\$ $/, { from: ready });

    expect(await terminal.run('pwd; id -un; cat /etc/demo-marker')).toMatch(
      /\/workspace\s+dev\s+made-for-demo\s/,
    );
    expect(await terminal.run('tty; stty size')).toMatch(/\/dev\/pts\/\d+\s+40 120\s/);
    expect(await terminal.run('command -v terok-scripted || echo no agent')).toContain('\nno agent');
    expect(await terminal.run('(exec 3<>/dev/tcp/203.0.113.7/443) 2>&1')).toContain('Connection refused');
    await terminal.run(
      'echo by hand > hand.txt; git add hand.txt; git commit -qm "By hand"; git push -q origin HEAD:refs/heads/hand',
    );

    const [container] = JSON.parse(await podman('inspect', `demo-dev-${id}`));
    expect(container.ImageName).toMatch(/demo:l2-dev$/);
    terminal.type('exit 7\r');
    expect(await terminal.exited()).toBe(7);
    expect(terminal.shown).toContain(`terok-mcp task delete ${id}`);
    expect(terminal.shown).not.toContain('still runs');
    expect(await devTasks()).toMatchObject([{ id, state: 'completed' }]);

    const gate = shipped.upstream.bare.in(path.join(shipped.host.paths.gates, 'demo.git'));
    expect([...(await refsOf(gate)).keys()]).toContain(`refs/heads/${id}/hand`);
    expect(await gate.ok('log', '-1', '--format=%an|%cn', `refs/heads/${id}/hand`)).toBe(
      'Ada Lovelace|Ada Lovelace',
    );
    expect(await shipped.run(['task', 'delete', id])).toContain(`archived refs/terok/archive/${id}/hand`);
  });

  it('gives keys to the shell: Ctrl-C ends a command there and nothing else, Ctrl-P Ctrl-Q are keys', async () => {
    await using terminal = login('demo', '--dev');
    const ready = await terminal.sees(/Task [a-z0-9]{5}\. /);
    await terminal.sees(/\$ $/, { from: ready });
    terminal.type('sleep 600\r');
    await terminal.sees(/sleep 600\n/, { from: ready });
    terminal.type('\u0003');
    terminal.type('\u0010\u0011\u0015');
    expect(await terminal.run('echo "still $((40 + 2))"')).toContain('still 42');
    terminal.type('exit\r');
    await terminal.exited();
    const [task] = await devTasks();
    await shipped.run(['task', 'delete', task?.id ?? '']);
  });

  it('goes on when the daemon is killed under it, and the next one knows how it ended', async () => {
    await using terminal = login('demo', '--dev');
    const ready = await terminal.sees(/Task ([a-z0-9]{5})\. /);
    await terminal.sees(/\$ $/, { from: ready });
    await shipped.killDaemon();
    expect(await terminal.run('echo "here $((40 + 2))"')).toContain('here 42');
    // Whoever asks starts the next daemon, which takes the shell over: its gate is open again.
    expect(await devTasks()).toMatchObject([{ state: 'running' }]);
    expect(
      await terminal.run(
        'git commit -qm Later --allow-empty && git push -q origin HEAD:refs/heads/later && echo pushed',
      ),
    ).toContain('\npushed');
    await shipped.killDaemon();
    terminal.type('exit 5\r');
    expect(await terminal.exited()).toBe(5);
    const [task] = await devTasks();
    expect(task).toMatchObject({ state: 'completed' });
    expect(await shipped.run(['task', 'delete', task?.id ?? ''])).toContain('/later');
  });

  it('says what is missing, and makes nothing', async () => {
    for (const [args, said] of [
      [['nowhere', '--dev'], 'nowhere'],
      [['demo'], 'There is no task "demo"'],
    ] as const) {
      await using terminal = login(...args);
      expect(await terminal.exited()).not.toBe(0);
      expect(terminal.shown).toContain(said);
    }
    await expect(shipped.run(['login', 'demo', '--dev'])).rejects.toMatchObject({
      details: expect.stringContaining('no terminal'),
    });
    expect(await devTasks()).toEqual([]);
  });
});

async function podman(...args: readonly string[]): Promise<string> {
  const base = podmanBase(shipped.host.paths.podman);
  return await runner.run({
    file: 'podman',
    args: [...base.args, ...args],
    env: base.env,
    parse: ({ stdout }) => stdout,
  });
}

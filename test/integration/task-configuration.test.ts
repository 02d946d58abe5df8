import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { uid } from '../support/host.ts';
import { Terok } from '../support/runtime-host.ts';

let terok: Terok;
beforeAll(async () => {
  terok = await Terok.make();
});
afterAll(() => terok[Symbol.asyncDispose]());

/** Writes `project.yml` anew: what these tests are about, on the project's own upstream. */
async function configure(
  settings: Readonly<Record<string, unknown>> = {},
  git: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { file } = await terok.runtime.projects.get('demo');
  await writeFile(file, stringify({ ...settings, git: { upstream_url: terok.upstream.url, ...git } }));
}

const agentConfig = (task: Task): string =>
  path.join(terok.host.paths.tasks, 'demo', task.id, 'agent-config');

describe('commits of a task', () => {
  const agent = 'Scripted agent <scripted@terok.invalid>';
  const human = 'Ada Lovelace <ada@example.org>';

  it.each([
    ['agent-human', agent, human],
    ['human-agent', human, agent],
    ['agent', agent, agent],
    ['human', human, human],
  ])('under "%s" are by those it names', async (authorship, author, committer) => {
    await configure({}, { authorship, human_name: 'Ada Lovelace', human_email: 'ada@example.org' });
    const task = await terok.runSteps([
      'write hello.txt hello',
      'commit Say hello',
      'run git push -q origin HEAD:refs/heads/hello',
    ]);
    expect(task.state).toBe('completed');
    const gate = terok.upstream.bare.in(path.join(terok.host.paths.gates, 'demo.git'));
    expect(await gate.ok('log', '-1', '--format=%an <%ae>%n%cn <%ce>', `refs/heads/${task.id}/hello`)).toBe(
      `${author}\n${committer}`,
    );
    await terok.runtime.tasks.delete(task.id);
  });
});

describe('what a task is told', () => {
  const ATTACKS = [
    'touch /etc/terok/new',
    'echo "do as you like" >> /etc/terok/instructions.md',
    'rm -f /etc/terok/instructions.md',
    'mv /etc/terok/instructions.md /etc/terok/other.md',
    'chmod 0777 /etc/terok',
    'ln -sf /home/dev/mine /etc/terok/instructions.md',
    'mount -o remount,rw /etc/terok',
    'mount --bind /home/dev /etc/terok',
    'umount /etc/terok',
    'rmdir /etc/terok',
    'mv /etc/terok /etc/terok.old',
  ];

  it('is there, and cannot be changed: not by the agent, not by its sudo', async () => {
    await configure();
    const task = await terok.runtime.tasks.create({
      project: 'demo',
      instructions: 'Only say hello.\n',
      prompt: [
        'run cat /etc/terok/instructions.md',
        ...ATTACKS.flatMap((attack) => [`try ${attack}`, `try sudo -n ${attack}`]),
        `try sudo -n sh -c 'echo x > /etc/terok/instructions.md'`,
        'run echo after; cat /etc/terok/instructions.md',
      ].join('\n'),
    });
    const before = await stat(path.join(agentConfig(task), 'instructions.md'));
    const files = await readdir(agentConfig(task), { recursive: true });
    const ended = await terok.ended(task.id);
    const output = await terok.output(task.id);
    expect({ state: ended.state, output }).toEqual({ state: 'completed', output });
    expect(output).toContain('Only say hello.');
    expect(output.slice(output.indexOf('\nafter\n'))).toContain('Only say hello.');
    expect(output.match(/tried, exit code \d+/g)).toHaveLength(2 * ATTACKS.length + 1);
    expect(output).not.toContain('tried, exit code 0');
    const after = await stat(path.join(agentConfig(task), 'instructions.md'));
    expect([after.ino, after.uid, after.mtimeMs]).toEqual([before.ino, uid, before.mtimeMs]);
    expect(await readdir(agentConfig(task), { recursive: true })).toEqual(files);
    expect(await readFile(path.join(agentConfig(task), 'instructions.md'), 'utf8')).toBe('Only say hello.\n');
    await terok.runtime.tasks.delete(task.id);
  });

  it('beside what it may keep of its own, of which nothing harms the host', async () => {
    await configure();
    const precious = path.join(terok.host.directory, 'precious');
    await writeFile(precious, 'mine\n');
    const task = await terok.runSteps([
      'run echo kept > ~/.terok/kept && cat ~/.terok/kept',
      `run ln -s ${precious} ~/.terok/link`,
      'run ln -s / ~/.terok/root',
      `run ln -sf ${precious} ~/.terok/instructions.md`,
      'run mkfifo ~/.terok/session ~/.terok/prompt',
      'run mkdir ~/.terok/locked && touch ~/.terok/locked/x && chmod 0 ~/.terok/locked',
    ]);
    expect({ state: task.state, output: await terok.output(task.id) }).toMatchObject({ state: 'completed' });
    await terok.restart();
    await terok.runtime.ready;
    expect((await terok.runtime.tasks.report(task.id)).lastOutput).toContain('kept');
    await terok.runtime.tasks.delete(task.id);
    expect(await readFile(precious, 'utf8')).toBe('mine\n');
    expect(await readdir(path.join(terok.host.paths.tasks, 'demo'))).not.toContain(task.id);
  });
});

describe('letting agents work without asking', () => {
  const MANAGED = '/etc/claude-code/managed-settings.json';

  /** Every variable by which an agent of the roster is let loose. */
  async function approvalVariables(): Promise<ReadonlyMap<string, string>> {
    const { entries } = await terok.runtime.agents.roster();
    return new Map(
      entries.flatMap((entry) =>
        entry.kind === 'agent'
          ? entry.unrestricted.flatMap((approval) =>
              approval.via === 'env' ? Object.entries(approval.env) : [],
            )
          : [],
      ),
    );
  }

  it('holds in the whole container, in files that neither the agent nor its sudo can change', async () => {
    await configure();
    const task = await terok.runSteps([
      `run cat ${MANAGED}`,
      `try sh -c 'echo {} > ${MANAGED}'`,
      `try sudo -n sh -c 'echo {} > ${MANAGED}'`,
      `try sudo -n rm -f ${MANAGED}`,
      `try sudo -n mv /home/dev/.bashrc ${MANAGED}`,
      'run env',
    ]);
    const output = await terok.output(task.id);
    expect({ state: task.state, output }).toEqual({ state: 'completed', output });
    expect(output).toContain('bypassPermissions');
    expect(output.match(/tried, exit code [1-9]/g)).toHaveLength(4);
    const variables = await approvalVariables();
    expect(variables.size).toBeGreaterThan(0);
    for (const [name, value] of variables) expect(output).toContain(`${name}=${value}`);
    await terok.runtime.tasks.delete(task.id);
  });

  it('is nowhere in a restricted task', async () => {
    await configure();
    const task = await terok.runSteps(['run env', `try grep bypassPermissions ${MANAGED}`], {
      restricted: true,
    });
    const output = await terok.output(task.id);
    expect({ state: task.state, output }).toEqual({ state: 'completed', output });
    for (const [name, value] of await approvalVariables()) expect(output).not.toContain(`${name}=${value}`);
    expect(output).not.toContain('TEROK_UNRESTRICTED');
    expect(output).toMatch(/tried, exit code [12]/);
    await terok.runtime.tasks.delete(task.id);
  });

  it('ends where a layer of the configuration says so', async () => {
    await configure({ agent: { unrestricted: false } });
    const task = await terok.runSteps(['try sudo -n id']);
    expect(task.restricted).toBe(true);
    expect(await terok.output(task.id)).toMatch(/tried, exit code [1-9]/);
    await terok.runtime.tasks.delete(task.id);
  });
});

describe('the time limit of a run', () => {
  it('is that of the agent layer before run.timeout, with its own exit code', async () => {
    await configure({ run: { timeout: 500 }, agent: { timeout: { scripted: 1 } } });
    const task = await terok.runSteps(['sleep 60']);
    expect(task).toMatchObject({ state: 'failed', exitCode: 124 });
    await configure({ run: { timeout: 1 }, agent: { timeout: { codex: 500 } } });
    expect(await terok.runSteps(['sleep 60'])).toMatchObject({ state: 'failed', exitCode: 124 });
    await configure();
  });

  it('is told from an agent that ends with that code by the words', async () => {
    const task = await terok.runSteps(['exit 3']);
    expect(task).toMatchObject({ exitCode: 3, failure: 'the agent ended with exit code 3' });
  });
});

describe('a task that cannot be had as asked', () => {
  it('for an agent that is not in the image does not start, says why, and leaves nothing', async () => {
    await configure();
    const before = terok.runtime.tasks.list().length;
    await expect(
      terok.runtime.tasks.create({ project: 'demo', agent: 'vibe', prompt: 'hello' }),
    ).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: expect.stringContaining('"vibe"'),
      hint: expect.stringMatching(/docker\.agents|image build/),
    });
    expect(terok.runtime.tasks.list()).toHaveLength(before);
    expect((await readdir(terok.host.paths.networks)).filter((name) => !name.endsWith('.log'))).toEqual([]);
  });

  it('for an agent nobody knows names the nearest', async () => {
    await expect(
      terok.runtime.tasks.create({ project: 'demo', agent: 'scriptd', prompt: 'hello' }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND', hint: expect.stringContaining('scripted') });
  });

  it('because its upstream is away starts from what the gate has, and says so', async () => {
    const { directory } = terok.upstream.bare;
    await rename(directory, `${directory}.away`);
    try {
      const task = await terok.runtime.tasks.create({ project: 'demo', prompt: 'run cat README.md' });
      expect(task.warnings).toEqual([
        'Upstream could not be fetched: the task starts from what the gate has.',
      ]);
      expect((await terok.ended(task.id)).state).toBe('completed');
    } finally {
      await rename(`${directory}.away`, directory);
    }
  });
});

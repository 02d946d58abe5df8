import { afterAll, describe, expect, it } from 'vitest';
import { findProcesses } from '../../src/runtime/core/process-table-loader.ts';
import { listRules, loadRules } from '../../src/runtime/shield/network-commands.ts';
import { PinStore } from '../../src/runtime/shield/pin-store.ts';
import { type NetworkProgram, PinnedShield } from '../../src/runtime/shield/pinned-shield.ts';
import { isRoot, podmanEngine, resourcesDir, runner, testHost } from '../support/host.ts';

const host = await testHost();
const engine = podmanEngine(host.paths);
const pins = new PinStore({ directory: host.paths.networks });
const shieldWith = (program: NetworkProgram): PinnedShield =>
  new PinnedShield({
    runner,
    pins,
    namespacePrefix: (signal) => engine.hostNamespacePrefix(signal),
    networkProgram: async () => program,
    isRoot,
    resourcesDir,
  });

/** Runs a program in the task's network as the host can: with every privilege over it. */
async function inside(
  task: string,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  const [file = '', ...rest] = [
    ...(await engine.hostNamespacePrefix()),
    'nsenter',
    `--net=${pins.path(task)}`,
    '--',
    ...args,
  ];
  return await runner.run({ file, args: rest, okCodes: [0, 1], parse: (output) => output });
}

const connect = (task: string, address: string, port: number) =>
  inside(task, ['bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`]);

const networkProcesses = (task: string) =>
  findProcesses((argv) => argv.some((argument) => argument.includes(pins.path(task))));

const programs: readonly NetworkProgram[] = ['slirp4netns', 'pasta'];

afterAll(() => host[Symbol.asyncDispose]());

describe.each(programs)('a raised shield on %s', (program) => {
  const shield = shieldWith(program);
  const task = program === 'pasta' ? 'k0aaa' : 'k0bbb';
  afterAll(() => shield.lower(task));

  it('refuses every TCP destination at once and counts it (N1, N3, N4)', async () => {
    await shield.raise(task, []);
    const targets = ['203.0.113.7', '10.1.2.3', '192.168.1.1', '169.254.169.254', '100.64.0.1', '10.0.2.2'];
    for (const address of targets) {
      const startedAt = performance.now();
      const { stderr } = await connect(task, address, 443);
      expect(stderr).toContain('Connection refused');
      expect(performance.now() - startedAt).toBeLessThan(3_000);
    }
    const status = await shield.status(task, []);
    expect(status.state).toBe('up');
    expect(status.refused.map(({ address }) => address).sort()).toEqual([...targets].sort());
    expect(status.refused[0]).toMatchObject({ port: 443, protocol: 'tcp' });
  });

  it('keeps the rules and the network process when it is raised again', async () => {
    const before = await networkProcesses(task);
    await shield.raise(task, []);
    expect(await networkProcesses(task)).toEqual(before);
  });

  it('opens exactly the address, port and protocol allowed', async () => {
    await shield.open(task, [{ address: '203.0.113.9', port: 443, protocol: 'tcp' }]);
    // Nothing answers there: an open destination no longer refuses at once but waits for an answer.
    const open = await inside(task, ['timeout', '1', 'bash', '-c', 'exec 3<>/dev/tcp/203.0.113.9/443']).catch(
      (error: Error) => error,
    );
    expect(JSON.stringify(open)).not.toContain('refused');
    expect((await connect(task, '203.0.113.9', 444)).stderr).toContain('refused');
    expect((await connect(task, '203.0.113.10', 443)).stderr).toContain('refused');
    const rules = [{ address: '203.0.113.9', port: 443, protocol: 'tcp' as const }];
    expect((await shield.status(task, rules)).state).toBe('up');
    expect((await shield.status(task, [])).state).toBe('altered');
  });

  it('says when its rules were altered, and replaces them when raised again', async () => {
    const prefix = await engine.hostNamespacePrefix();
    await runner.run(loadRules(prefix, pins.path(task), 'insert rule inet terok output accept\n'));
    expect((await shield.status(task, [])).state).toBe('altered');
    await shield.raise(task, []);
    expect((await shield.status(task, [])).state).toBe('up');
    expect((await connect(task, '203.0.113.7', 80)).stderr).toContain('refused');
  });

  it('leaves neither pin nor process when lowered, twice', async () => {
    await shield.lower(task);
    await shield.lower(task);
    expect(await networkProcesses(task)).toEqual([]);
    expect(await shield.raised()).not.toContain(task);
    expect((await shield.status(task, [])).state).toBe('down');
    await expect(
      runner.run(listRules(await engine.hostNamespacePrefix(), pins.path(task))),
    ).rejects.toThrow();
  });
});

describe('what may never be opened', () => {
  it.each([
    '127.0.0.1',
    '169.254.169.254',
    '224.0.0.1',
    '0.0.0.0',
    '::1',
    'fe80::1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00::1',
  ])('refuses to allow %s', async (address) => {
    await expect(
      shieldWith('slirp4netns').open('k0ccc', [{ address, port: 80, protocol: 'tcp' }]),
    ).rejects.toMatchObject({
      code: 'POLICY_DENIED',
    });
  });
});

it('takes the pin away again when the network program fails', async () => {
  const shield = new PinnedShield({
    runner,
    pins,
    namespacePrefix: (signal) => engine.hostNamespacePrefix(signal),
    networkProgram: () => Promise.reject(new Error('no program')),
    isRoot,
    resourcesDir,
  });
  await expect(shield.raise('k0ddd', [])).rejects.toThrow('no program');
  expect(await shield.raised()).not.toContain('k0ddd');
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { asText } from '../../../src/runtime/core/command.ts';
import { HostCommandRunner } from '../../../src/runtime/core/exec.ts';
import { endProcesses, findProcesses } from '../../../src/runtime/core/process-table-loader.ts';

const runner = new HostCommandRunner({ baseEnv: { PATH: process.env['PATH'] ?? '', ONLY: 'this' } });

describe('a command', () => {
  it('gets its input and none of our environment', async () => {
    process.env['LEAK_CANARY'] = 'leaked';
    const environment = await runner.run({ file: 'env', args: [], parse: asText });
    expect(environment).toContain('ONLY=this');
    expect(environment).not.toContain('LEAK_CANARY');
    expect(await runner.run({ file: 'cat', args: [], input: 'hello', parse: asText })).toBe('hello');
  });

  it('that is not installed names the program and the way out', async () => {
    await expect(runner.run({ file: 'no-such-program', args: [], parse: asText })).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      message: 'The program "no-such-program" is not installed',
    });
  });

  it('that fails carries its last words, cleaned', async () => {
    await expect(
      runner.run({
        file: 'sh',
        args: ['-c', 'printf "\\033[31mno\\033[0m space" >&2; exit 3'],
        parse: asText,
      }),
    ).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      details: 'no space',
      message: expect.stringContaining('exit code 3'),
    });
  });

  it('may answer with another exit code', async () => {
    const code = await runner.run({
      file: 'sh',
      args: ['-c', 'exit 3'],
      okCodes: [0, 3],
      parse: ({ exitCode }) => exitCode,
    });
    expect(code).toBe(3);
  });

  it('ends at its deadline even if it ignores TERM', async () => {
    const startedAt = performance.now();
    await expect(
      runner.run({
        file: 'sh',
        args: ['-c', 'trap "" TERM; sleep 60 & wait; sleep 60'],
        timeoutMs: 100,
        parse: asText,
      }),
    ).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('did not finish in 100 ms'),
    });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('is cancelled by its signal', async () => {
    await expect(
      runner.run({ file: 'sleep', args: ['60'], parse: asText }, { signal: AbortSignal.timeout(50) }),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('tells its lines as they come', async () => {
    const lines: string[] = [];
    await runner.run(
      { file: 'sh', args: ['-c', 'echo one; echo two >&2'], parse: asText },
      { onLine: (line) => void lines.push(line) },
    );
    expect(lines.sort()).toEqual(['one', 'two']);
  });
});

describe('a detached process', () => {
  const directory = mkdtempSync('/tmp/tk-exec-');
  const log = path.join(directory, 'log');
  afterAll(() => rmSync(directory, { recursive: true }));

  it('runs on, writes to its log, and is found and ended by its arguments', async () => {
    const marker = `marker-${process.pid}`;
    await runner.detach({ file: 'sh', args: ['-c', 'echo up; sleep 60; :', marker], logFile: log });
    const found = await findProcesses((argv) => argv.includes(marker));
    expect(found).toHaveLength(1);
    await endProcesses(found);
    expect(await findProcesses((argv) => argv.includes(marker))).toEqual([]);
    expect(readFileSync(log, 'utf8')).toBe('up\n');
  });

  it('is awaited until it says it is ready', async () => {
    const { pid } = await runner.detach({
      file: 'sh',
      args: ['-c', 'echo 1 >&3; sleep 60'],
      logFile: log,
      readyFd: 3,
    });
    await endProcesses(await findProcesses((argv) => argv.includes('echo 1 >&3; sleep 60')));
    expect(pid).toBeGreaterThan(1);
  });

  it('that ends before it is ready is a failure', async () => {
    await expect(runner.detach({ file: 'false', args: [], logFile: log, readyFd: 3 })).rejects.toThrow(
      'ended before it was ready',
    );
  });
});

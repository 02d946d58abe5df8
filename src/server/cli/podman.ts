import { constants } from 'node:os';
import { finished } from 'node:stream/promises';
import { asNothing, type StreamingProcess } from '../../runtime/core/command.ts';
import { HostError } from '../../runtime/core/errors.ts';
import { HostCommandRunner } from '../../runtime/core/exec.ts';
import { baseEnvironment } from '../base-environment.ts';
import type { Command } from './command.ts';

export const podman: Command = {
  usage: 'podman <arguments>',
  summary: 'Run Podman on the store of terok-mcp, for looking around. The exit code is that of Podman.',
  run: async (args, { host, services, paths }) => {
    const { file, args: ours, env } = await services.podmanCommand(paths);
    const runner = new HostCommandRunner({ baseEnv: baseEnvironment(host, paths) });
    const subprocess = runner.stream({ file, args: [...ours, ...args], env });
    host.stdin.pipe(subprocess.stdin);
    // Podman may end, or not read, before what was typed is used up.
    subprocess.stdin.on('error', () => undefined);
    // Nobody reads on, as with `| head`.
    host.stdout.once('error', () => subprocess.kill('SIGTERM'));
    subprocess.stdout.pipe(host.stdout, { end: false });
    subprocess.stderr.pipe(host.stderr, { end: false });
    host.onSignal(() => subprocess.kill('SIGTERM'));
    await Promise.allSettled([finished(subprocess.stdout), finished(subprocess.stderr)]);
    const exitCode = toExitCode(await subprocess.exited);
    if (exitCode !== undefined) return exitCode;
    // It never ran. Whoever runs it to the end is told why, as everywhere else.
    await runner.run({ file, args: ['--version'], env, parse: asNothing });
    throw new HostError(`The program "${file}" cannot be started`, { hint: 'Run "terok-mcp doctor".' });
  },
};

/** As a shell reports it: a signal counts from 128. Undefined when there was no process. */
function toExitCode({ exitCode, signal }: Awaited<StreamingProcess['exited']>): number | undefined {
  if (exitCode !== undefined) return exitCode;
  const known = Object.entries(constants.signals).find(([name]) => name === signal);
  return known === undefined ? undefined : 128 + known[1];
}

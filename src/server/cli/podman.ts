import { finished } from 'node:stream/promises';
import { HostCommandRunner } from '../../runtime/core/exec.ts';
import { baseEnvironment } from '../base-environment.ts';
import type { Command } from './command.ts';

export const podman: Command = {
  usage: 'podman <arguments>',
  summary: 'Run Podman on the store of terok-mcp, for looking around.',
  run: async (args, { host, services, paths }) => {
    const { file, args: ours, env } = await services.podmanCommand(paths);
    const runner = new HostCommandRunner({ baseEnv: baseEnvironment(host, paths) });
    const subprocess = runner.stream({ file, args: [...ours, ...args], env });
    host.stdin.pipe(subprocess.stdin);
    // Podman may end, or not read, before what was typed is used up.
    subprocess.stdin.on('error', () => undefined);
    subprocess.stdout.pipe(host.stdout, { end: false });
    subprocess.stderr.pipe(host.stderr, { end: false });
    host.onSignal(() => subprocess.kill('SIGTERM'));
    await Promise.allSettled([finished(subprocess.stdout), finished(subprocess.stderr)]);
    return (await subprocess.exited).exitCode === 0 ? 0 : 1;
  },
};

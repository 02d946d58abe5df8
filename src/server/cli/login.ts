import { setTimeout as delay } from 'node:timers/promises';
import { HostCommandRunner } from '../../runtime/core/exec.ts';
import { baseEnvironment } from '../base-environment.ts';
import { control } from '../control/control-protocol.ts';
import { type Command, type CommandContext, parseCommandArgs, UsageError } from './command.ts';

const END_NOTICED_MS = 5_000;
const POLL_MS = 100;

export const login: Command = {
  usage: 'login <project> --dev',
  summary:
    "A shell of your own on the project's debugging image, behind the same network rules as any task. The exit code is that of the shell.",
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { dev: { type: 'boolean' } },
      { names: ['<project>'] },
    );
    const [project = ''] = positionals;
    if (values.dev !== true) throw new UsageError('--dev missing');
    const { host, output, withDaemon } = context;
    if (!host.isInteractive) throw new UsageError('this is no terminal to put a shell on');
    const interrupted = new AbortController();
    host.onSignal(() => interrupted.abort());
    const { task, container, warnings } = await withDaemon(
      async (client) =>
        await client.call(
          control.tasksDev,
          { project },
          { onProgress: (line) => output.note(`· ${line}`), signal: interrupted.signal },
        ),
    );
    for (const warning of warnings) output.note(`! ${warning}`);
    output.note(`Task ${task.id}. Leave the shell to end it.`);
    const attached = await attach(context, container);
    const ended = await untilEnded(context, { id: task.id, project });
    if (ended === undefined) {
      output.note(`Task ${task.id} still runs: "terok-mcp task stop ${task.id}" ends it.`);
    }
    output.note(
      `What it pushed is in the gate, under ${task.id}/. "terok-mcp task delete ${task.id}" removes the task and archives that.`,
    );
    // Podman 4 knows the shell's own code only sometimes; the daemon has it from the container.
    return ended?.exitCode ?? attached;
  },
};

/** Podman puts this terminal into raw mode: keys and Ctrl-C go to the shell. No key sequence leaves it running. */
async function attach({ host, services, paths }: CommandContext, container: string): Promise<number> {
  const { file, args, env } = await services.podmanCommand(paths);
  const runner = new HostCommandRunner({ baseEnv: baseEnvironment(host, paths) });
  return await runner.attach({ file, args: [...args, 'attach', '--detach-keys=', '--', container], env });
}

/** The daemon is told of the end a moment after this terminal. Undefined when the task goes on. */
async function untilEnded(
  { withDaemon }: CommandContext,
  { id, project }: { readonly id: string; readonly project: string },
): Promise<{ readonly exitCode: number | null } | undefined> {
  return await withDaemon(async (client) => {
    for (const deadline = Date.now() + END_NOTICED_MS; Date.now() < deadline; await delay(POLL_MS)) {
      const { tasks } = await client.call(control.tasksList, { project });
      const task = tasks.find((candidate) => candidate.id === id);
      if (task === undefined) return { exitCode: null };
      if (task.state !== 'running' && task.state !== 'starting') return task;
    }
    return undefined;
  });
}

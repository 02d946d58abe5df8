import { setTimeout as delay } from 'node:timers/promises';
import { control } from '../control/control-protocol.ts';
import { attachToContainer } from './attach.ts';
import type { CommandContext } from './command.ts';

const END_NOTICED_MS = 5_000;
const POLL_MS = 100;

/** A shell on the project's debugging image, to its end. Gives the exit code of the shell. */
export async function devLogin(project: string, context: CommandContext): Promise<number> {
  const { host, output, withDaemon } = context;
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
  // No key sequence leaves it running.
  const attached = await attachToContainer(context, container, { detachKeys: '' });
  const ended = await untilEnded(context, { id: task.id, project });
  if (ended === undefined) {
    output.note(`Task ${task.id} still runs: "terok-mcp task stop ${task.id}" ends it.`);
  }
  output.note(
    `What it pushed is in the gate, under ${task.id}/. "terok-mcp task delete ${task.id}" removes the task and archives that.`,
  );
  // Podman 4 knows the shell's own code only sometimes; the daemon has it from the container.
  return ended?.exitCode ?? attached;
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

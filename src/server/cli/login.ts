import { setTimeout as delay } from 'node:timers/promises';
import { CommandError, ConflictError } from '../../runtime/core/errors.ts';
import type { TaskState } from '../../runtime/tasks/contract.ts';
import { control } from '../control/control-protocol.ts';
import type { TaskDetails } from '../control/task-methods.ts';
import { attachToContainer } from './attach.ts';
import { type Command, type CommandContext, parseCommandArgs, UsageError } from './command.ts';
import { devLogin } from './dev-login.ts';

const READY_MS = 60_000;
const END_NOTICED_MS = 3_000;
const POLL_MS = 100;

export const login: Command = {
  usage: 'login (<task> | <project> --dev)',
  summary:
    "The terminal of an interactive task, which is started again if it has ended; C-a d leaves it running. With --dev, a shell of your own on a project's debugging image, behind the same network rules as any task, ended by leaving the shell, whose exit code it has.",
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { dev: { type: 'boolean' } },
      { names: ['<task>'] },
    );
    const [name = ''] = positionals;
    if (!context.host.isInteractive) throw new UsageError('this is no terminal to put a shell on');
    return values.dev === true ? await devLogin(name, context) : await taskLogin(name, context);
  },
};

async function taskLogin(id: string, context: CommandContext): Promise<number> {
  const { host, output, withDaemon } = context;
  const interrupted = new AbortController();
  host.onSignal(() => interrupted.abort());
  const { signal } = interrupted;
  const task = await withDaemon(async (client) => {
    const found = await client.call(control.tasksShow, { id }, { signal });
    assertHasTerminal(found);
    if (hasEnded(found.state)) {
      output.note(`Task ${found.id} has ended (${found.state}); starting it again.`);
      const { warnings } = await client.call(
        control.tasksRestart,
        { id: found.id },
        { onProgress: (line) => output.note(`· ${line}`), signal },
      );
      for (const warning of warnings) output.note(`! ${warning}`);
    }
    const show = () => client.call(control.tasksShow, { id: found.id }, { signal });
    return await untilRunning(show, signal);
  });
  await attachToContainer(context, task.container, { detachKeys: 'ctrl-a,d' });
  const { state, failure } = await afterwards(context, task.id);
  if (!hasEnded(state)) {
    output.note(
      `Task ${task.id} goes on. "terok-mcp login ${task.id}" comes back to it, "terok-mcp task stop ${task.id}" ends it.`,
    );
    return 0;
  }
  output.note(
    `Task ${task.id} is ${state}${failure === null ? '' : `: ${failure}`}. "terok-mcp login ${task.id}" starts it again.`,
  );
  return state === 'failed' ? 1 : 0;
}

/** Throws ConflictError, with what people may have meant, where there is no terminal to come back to. */
function assertHasTerminal({ id, mode, state }: TaskDetails): void {
  if (state === 'stopping' || state === 'deleting')
    throw new ConflictError(`Task ${id} is ${state}`, { hint: 'Wait until that is done.' });
  if (mode === 'interactive') return;
  throw new ConflictError(`Task ${id} has no terminal to log in to: it is a ${mode} task`, {
    hint: {
      headless: `"terok-mcp logs -f ${id}" shows what it does; "terok-mcp follow-up ${id}" says more to its agent once it has ended.`,
      web: `It is used in a browser: "terok-mcp task open ${id}" gives the address.`,
      tool: `"terok-mcp logs -f ${id}" shows what it does.`,
      dev: 'Its shell belongs to the terminal that started it; "terok-mcp login <project> --dev" makes another.',
    }[mode],
  });
}

/** Throws CommandError when it ends instead, or takes too long. */
async function untilRunning(show: () => Promise<TaskDetails>, signal: AbortSignal): Promise<TaskDetails> {
  for (const deadline = Date.now() + READY_MS; ; await delay(POLL_MS, undefined, { signal })) {
    const task = await show();
    if (task.state === 'running') return task;
    const hint = `"terok-mcp logs ${task.id}" shows what it said.`;
    if (hasEnded(task.state))
      throw new CommandError(`Task ${task.id} did not come up: ${task.failure ?? `it is ${task.state}`}`, {
        hint,
      });
    if (Date.now() > deadline)
      throw new CommandError(`Task ${task.id} is still ${task.state}`, { hint: `${hint} Try again.` });
  }
}

/**
 * Leaving a terminal and the end of a container look the same from here. A container that has ended is noticed by
 * the daemon a moment later, so a task that goes on is asked for once more.
 */
async function afterwards({ withDaemon }: CommandContext, id: string): Promise<TaskDetails> {
  return await withDaemon(async (client) => {
    const show = () => client.call(control.tasksShow, { id });
    let task = await show();
    if (task.state !== 'stopping') {
      await delay(2 * POLL_MS);
      task = await show();
    }
    for (const deadline = Date.now() + END_NOTICED_MS; task.state === 'stopping' && Date.now() < deadline; ) {
      await delay(POLL_MS);
      task = await show();
    }
    return task;
  });
}

const hasEnded = (state: TaskState): boolean =>
  state === 'stopped' || state === 'completed' || state === 'failed';

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';

const FOLLOW_INTERVAL_MS = 300;

const list: Command = {
  usage: 'task list [--project <id>] [--json]',
  summary: 'List tasks.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { project: { type: 'string' }, json: { type: 'boolean' } });
    const { tasks } = await withDaemon(
      async (client) => await client.call(control.tasksList, { project: values.project }),
    );
    if (values.json === true) output.json(tasks);
    else if (tasks.length === 0) output.line('No tasks.');
    else {
      output.table(
        ['TASK', 'PROJECT', 'STATE', 'EXIT', 'AGENT', 'CREATED', 'NAME'],
        tasks.map((task) => [
          task.id,
          task.project,
          task.state,
          task.exitCode === null ? '-' : String(task.exitCode),
          task.agent,
          task.createdAt,
          task.name,
        ]),
      );
    }
    return 0;
  },
};

const stop: Command = {
  usage: 'task stop <task>',
  summary: 'End its agent; its work stays.',
  run: async (args, { withDaemon, output }) => {
    const [id = ''] = parseCommandArgs(args, {}, { names: ['<task>'] }).positionals;
    const task = await withDaemon(async (client) => await client.call(control.tasksStop, { id }));
    output.line(`${task.id} is ${task.state}`);
    return 0;
  },
};

const remove: Command = {
  usage: 'task delete <task>',
  summary: 'Remove its sandbox and workspace; unpromoted branches are archived.',
  run: async (args, { withDaemon, output }) => {
    const [id = ''] = parseCommandArgs(args, {}, { names: ['<task>'] }).positionals;
    const deleted = await withDaemon(async (client) => await client.call(control.tasksDelete, { id }));
    output.line(`Deleted ${deleted.id}`);
    for (const ref of deleted.archived) output.line(`  archived ${ref}`);
    return 0;
  },
};

const tailCount = z.coerce.number().int().min(1).max(10_000);

const logs: Command = {
  usage: 'task logs <task> [-f] [--tail <n>]',
  summary: 'Show its output; -f goes on until it ends.',
  run: async (args, { withDaemon, output, host }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { follow: { type: 'boolean', short: 'f' }, tail: { type: 'string' } },
      { names: ['<task>'] },
    );
    const [id = ''] = positionals;
    const tail = tailCount.safeParse(values.tail ?? 200);
    if (!tail.success) throw new UsageError('--tail takes a number from 1 to 10000');
    const interrupted = new AbortController();
    host.onSignal(() => interrupted.abort());
    await withDaemon(async (client) => {
      let cursor: number | undefined;
      for (;;) {
        const page = await client.call(control.tasksLogs, { id, cursor, tail: tail.data });
        for (const line of page.lines) output.line(line);
        cursor = page.nextCursor;
        const hasMore = page.lines.length > 0;
        if (page.isComplete || interrupted.signal.aborted || (values.follow !== true && !hasMore)) return;
        if (values.follow !== true && cursor !== undefined && page.lines.length < tail.data) return;
        if (!hasMore)
          await delay(FOLLOW_INTERVAL_MS, undefined, { signal: interrupted.signal }).catch(() => undefined);
      }
    });
    return 0;
  },
};

export const task: Readonly<Record<string, Command>> = { list, stop, delete: remove, logs };

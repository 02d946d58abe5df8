import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { logs } from './logs.ts';

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
        ['TASK', 'PROJECT', 'MODE', 'STATE', 'EXIT', 'AGENT', 'CREATED', 'NAME'],
        tasks.map((task) => [
          task.id,
          task.project,
          task.mode,
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

const restart: Command = {
  usage: 'task restart <task> [--recreate]',
  summary: 'Start a task that has ended again; --recreate: in a new container, from the image of now.',
  run: async (args, { withDaemon, output }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { recreate: { type: 'boolean' } },
      { names: ['<task>'] },
    );
    const [id = ''] = positionals;
    const { task, warnings, webUrl } = await withDaemon(
      async (client) =>
        await client.call(
          control.tasksRestart,
          { id, recreate: values.recreate },
          { onProgress: (line) => output.note(`· ${line}`) },
        ),
    );
    for (const warning of warnings) output.note(`! ${warning}`);
    output.line(webUrl ?? `${task.id} is ${task.state}`);
    return 0;
  },
};

const open: Command = {
  usage: 'task open <task>',
  summary: 'Print a new address of a running web task; the one before is worth nothing from then on.',
  run: async (args, { withDaemon, output }) => {
    const [id = ''] = parseCommandArgs(args, {}, { names: ['<task>'] }).positionals;
    output.line((await withDaemon(async (client) => await client.call(control.tasksWebUrl, { id }))).url);
    return 0;
  },
};

export const task: Readonly<Record<string, Command>> = {
  list,
  logs: { ...logs, usage: `task ${logs.usage}` },
  open,
  restart,
  stop,
  delete: remove,
};

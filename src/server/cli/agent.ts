import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';

const list: Command = {
  usage: 'agent list [--project <id>] [--json]',
  summary: 'List agents and tools, and whether they are in the image.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { project: { type: 'string' }, json: { type: 'boolean' } });
    const view = await withDaemon(
      async (client) => await client.call(control.agentsList, { project: values.project }),
    );
    if (values.json === true) {
      output.json(view);
      return 0;
    }
    output.table(
      ['NAME', 'KIND', 'INSTALLED', 'FEATURES', 'TITLE'],
      view.agents.map(({ name, kind, installed, version, features, title }) => [
        name === view.default_agent ? `${name} *` : name,
        kind,
        installed === true ? (version ?? 'yes') : installed === false ? 'no' : '?',
        features.join(',') || '-',
        title,
      ]),
    );
    if (view.image !== 'ready') output.note(`! image: ${view.image}`);
    for (const { name, reason } of view.agents)
      if (reason !== undefined) output.note(`! ${name} is not installed: ${reason}`);
    for (const { name, problem } of view.broken) output.note(`✗ ${name}: ${problem}`);
    return 0;
  },
};

export const agent: Readonly<Record<string, Command>> = { list };

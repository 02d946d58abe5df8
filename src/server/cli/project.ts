import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';
import { sshHost, sshInit, sshKey } from './project-ssh.ts';

const create: Command = {
  usage: 'project create <id> --upstream <url> [--branch <name>]',
  summary: "Write a new project's project.yml.",
  run: async (args, { withDaemon, output }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { upstream: { type: 'string' }, branch: { type: 'string' } },
      { names: ['<id>'] },
    );
    const [id = ''] = positionals;
    const upstreamUrl = values.upstream;
    if (upstreamUrl === undefined) throw new UsageError('--upstream <url> missing');
    const project = await withDaemon(
      async (client) =>
        await client.call(control.projectsCreate, { id, upstreamUrl, defaultBranch: values.branch }),
    );
    output.line(`Created project ${project.id}: ${project.file}`);
    return 0;
  },
};

const list: Command = {
  usage: 'project list [--json]',
  summary: 'List projects, and those whose file is broken.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { json: { type: 'boolean' } });
    const answer = await withDaemon(async (client) => await client.call(control.projectsList, {}));
    if (values.json === true) {
      output.json(answer);
      return 0;
    }
    const { projects, broken } = answer;
    if (projects.length === 0 && broken.length === 0) {
      output.line('No projects yet. Make one: terok-mcp project create <id> --upstream <url>');
      return 0;
    }
    output.table(
      ['PROJECT', 'BRANCH', 'AGENT', 'PROMOTION', 'UPSTREAM'],
      projects.map(({ id, defaultBranch, agent, promotion, upstream }) => [
        id,
        defaultBranch ?? '(HEAD)',
        agent,
        promotion,
        upstream,
      ]),
    );
    for (const { id, problem } of broken) output.note(`✗ ${id}: ${problem}`);
    return 0;
  },
};

export const project: Readonly<Record<string, Command>> = {
  create,
  list,
  'ssh-init': sshInit,
  'ssh-host': sshHost,
  'ssh-key': sshKey,
};

import { stringify } from 'yaml';
import { z } from 'zod';
import { RosterFile } from '../../runtime/agents/contract.ts';
import { AgentLayer } from '../../runtime/config/contract.ts';
import { ConfigFile, ProjectFile } from '../../runtime/projects/contract.ts';
import { control, type ResolvedConfig } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';

/** Which schema is for which file. */
const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  config: ConfigFile,
  project: ProjectFile,
  preset: AgentLayer,
  agent: RosterFile,
};

const schema: Command = {
  usage: `config schema [${Object.keys(SCHEMAS).join('|')}]`,
  summary:
    'JSON Schema for editors: of config.yml, project.yml, presets/*.yml or agents/*.yaml. Default: project.',
  run: async (args, { output }) => {
    const { positionals } = parseCommandArgs(args, {}, { names: [], optional: ['<file>'] });
    const [name = 'project'] = positionals;
    const found = Object.hasOwn(SCHEMAS, name) ? SCHEMAS[name] : undefined;
    if (found === undefined) {
      throw new UsageError(`there is no schema "${name}", but: ${Object.keys(SCHEMAS).join(', ')}`);
    }
    output.json(z.toJSONSchema(found, { io: 'input', target: 'draft-2020-12' }));
    return 0;
  },
};

const resolved: Command = {
  usage: 'config resolved [<project>] [--agent <name>] [--preset <name>] [--json]',
  summary: 'Show what config.yml, project.yml and the preset come to, and which of them says what.',
  run: async (args, { withDaemon, output }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { agent: { type: 'string' }, preset: { type: 'string' }, json: { type: 'boolean' } },
      { names: [], optional: ['<project>'] },
    );
    const answer = await withDaemon(
      async (client) =>
        await client.call(control.configResolved, {
          project: positionals[0],
          agent: values.agent,
          preset: values.preset,
        }),
    );
    if (values.json === true) output.json(answer);
    else output.line(renderResolved(answer).trimEnd());
    return 0;
  },
};

/** Two YAML documents: the settings with their sources as comments, and what they come to for the agent. */
function renderResolved({ project, agent, preset, settings, sources, run }: ResolvedConfig): string {
  const said = (key: string): string => `# ${sources[key]?.join(', ') || 'default'}\n`;
  const sections = Object.entries(settings).flatMap(([key, value]) => {
    if (key !== 'agent' || typeof value !== 'object' || value === null) {
      return [said(key) + stringify({ [key]: value })];
    }
    const layer = Object.entries(value).map(
      ([inner, of]) => said(`agent.${inner}`) + stringify({ [inner]: of }),
    );
    return [`agent:\n${layer.join('').replaceAll(/^(?=.)/gm, '  ')}`];
  });
  const whose = project === null ? 'For all projects' : `For project ${project}`;
  return [
    `# ${whose}${preset === null ? '' : `, with preset ${preset}`}. Above each key: the files that say something there, the strongest first.\n`,
    ...sections,
    `---\n# What it comes to for ${agent}.\n${stringify(run, { blockQuote: 'literal' })}`,
  ].join('\n');
}

export const config: Readonly<Record<string, Command>> = { resolved, schema };

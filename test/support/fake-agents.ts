import {
  type AgentFile,
  type AgentRun,
  type Agents,
  type Roster,
  RosterFile,
  type ToolFile,
  type WebProgramFile,
} from '../../src/runtime/agents/contract.ts';
import type { Config, ConfigScope, GlobalConfig, RunSettings } from '../../src/runtime/config/contract.ts';
import { NotFoundError } from '../../src/runtime/core/errors.ts';
import { nearestNames } from '../../src/runtime/core/nearest.ts';

const shared = { description: 'Works on code.', install: {} } as const;
const entries = [
  {
    ...shared,
    name: 'claude',
    binary: 'claude',
    kind: 'agent',
    title: 'Claude',
    git: { name: 'Claude', email: 'agent@example.org' },
    headless: {
      command: ['claude', '{options}'],
      resume: ['claude', '--resume', '{session}', '{options}'],
      options: { model: ['--model', '{model}'], subagents: ['--agents', '{file}'] },
    },
    session: { id: 'host' },
  },
  {
    ...shared,
    name: 'scripted',
    binary: 'terok-scripted',
    kind: 'agent',
    title: 'Scripted agent',
    git: { name: 'Scripted', email: 'scripted@example.org' },
    headless: { command: ['terok-scripted'] },
  },
  {
    ...shared,
    name: 'vibe',
    binary: 'vibe',
    kind: 'agent',
    title: 'Vibe',
    git: { name: 'V', email: 'v@example.org' },
    headless: { command: ['vibe'] },
  },
  {
    ...shared,
    name: 'gh',
    binary: 'gh',
    kind: 'tool',
    title: 'GitHub CLI',
    sidecar: { env: { GH_TOKEN: 'token' } },
  },
  {
    ...shared,
    name: 'toad',
    binary: 'toad',
    kind: 'web',
    title: 'Toad',
    command: ['toad', 'serve', '--port', '{port}'],
  },
].map((entry) => RosterFile.parse(entry));

const isAgent = (entry: (typeof entries)[number]): entry is AgentFile => entry.kind === 'agent';
const isTool = (entry: (typeof entries)[number]): entry is ToolFile => entry.kind === 'tool';

const isWebProgram = (entry: (typeof entries)[number]): entry is WebProgramFile => entry.kind === 'web';

/** A small roster, with one file that is broken. */
export class FakeAgents implements Agents {
  async roster(): Promise<Roster> {
    return { entries, broken: [{ name: 'mine', problem: '/config/agents/mine.yaml:2:1 unknown key "bin"' }] };
  }

  async agent(name: string): Promise<AgentFile> {
    return find(name, entries.filter(isAgent), 'agent');
  }

  async tool(name: string): Promise<ToolFile> {
    return find(name, entries.filter(isTool), 'tool');
  }

  async webProgram(name: string): Promise<WebProgramFile> {
    return find(name, entries.filter(isWebProgram), 'web program');
  }

  plan(): AgentRun {
    throw new Error('a fake runs nothing');
  }
}

function find<T extends { readonly name: string }>(name: string, known: readonly T[], what: string): T {
  const found = known.find((entry) => entry.name === name);
  if (found !== undefined) return found;
  const names = known.map((entry) => entry.name);
  const near = nearestNames(name, names);
  throw new NotFoundError(`No ${what} named "${name}"`, {
    hint: near.length > 0 ? `Did you mean ${near.join(' or ')}?` : `Known: ${names.join(', ')}.`,
  });
}

/** An empty `config.yml`. */
export class FakeConfig implements Config {
  async global(): Promise<GlobalConfig> {
    return { file: '/config/config.yml', sections: {}, defaultAgent: undefined, agent: undefined };
  }

  async preset(name: string): Promise<ConfigScope> {
    throw new NotFoundError(`No preset named "${name}"`, { hint: 'There is none.' });
  }

  async presets(): Promise<readonly string[]> {
    return [];
  }

  async resolve(): Promise<RunSettings> {
    throw new Error('a fake runs nothing');
  }

  merge(): Readonly<Record<string, unknown>> {
    return {};
  }
}

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { AgentSource } from '../../../src/runtime/agents/agent-document.ts';
import { parseAgent, readAgentDocument } from '../../../src/runtime/agents/agent-document.ts';
import { planAgentRun } from '../../../src/runtime/agents/agent-run.ts';
import type {
  AgentFile,
  AgentRun,
  AgentRunInput,
  RosterEntry,
} from '../../../src/runtime/agents/contract.ts';
import { readRoster } from '../../../src/runtime/agents/roster.ts';
import type { RunSettings } from '../../../src/runtime/config/contract.ts';

export const bundledDirectory = path.resolve(import.meta.dirname, '../../../resources/agents');

export const bundledSources = (): readonly AgentSource[] =>
  readdirSync(bundledDirectory).map((name) => ({
    file: path.join(bundledDirectory, name),
    text: readFileSync(path.join(bundledDirectory, name), 'utf8'),
  }));

export const bundledRoster = (): readonly RosterEntry[] => [
  ...readRoster({ bundled: bundledSources(), own: [] }).entries.values(),
];

export const bundledAgents = (): readonly AgentFile[] =>
  bundledRoster().filter((entry) => entry.kind === 'agent');

export function bundledAgent(name: string): AgentFile {
  const agent = bundledAgents().find((one) => one.name === name);
  if (agent === undefined) throw new Error(`no agent ${name}`);
  return agent;
}

/** A small agent, with more of its file at the end. */
export const agentText = (name: string, more = ''): string => `kind: agent
name: ${name}
title: Title
description: Does things.
binary: run-it
git: { name: Runner, email: run@example.org }
install:
  bundled: [terok-scripted]
headless:
  command: [run-it, --now]
${more}`;

export function agentOf(text: string): AgentFile {
  const name = /^name: (.*)$/m.exec(text)?.[1] ?? 'a';
  const entry = parseAgent(readAgentDocument({ file: `/x/${name}.yaml`, text }));
  if (entry.kind !== 'agent') throw new Error('not an agent');
  return entry;
}

export const settings = (changed: Partial<RunSettings> = {}): RunSettings => ({
  model: undefined,
  maxTurns: undefined,
  timeoutS: 1800,
  instructions: 'Be kind.',
  hasCustomInstructions: false,
  isUnrestricted: true,
  subagents: [],
  ...changed,
});

export const SESSION = '0a1b2c3d-0000-4000-8000-000000000001';

export function plan(agent: AgentFile, changed: Partial<AgentRunInput> = {}): AgentRun {
  const input: AgentRunInput = {
    agent,
    roster: [agent],
    settings: settings(),
    isRestricted: false,
    authorship: 'agent-human',
    human: { name: 'Ada', email: 'ada@example.org' },
    prompt: '-x "do" it\n',
    session: undefined,
    endpoints: new Map(),
    ...changed,
  };
  return planAgentRun(input, () => SESSION);
}

export const contentOf = (run: AgentRun, file: string): string => {
  const found = run.files.find(({ path: name }) => name === file);
  if (found === undefined)
    throw new Error(`no file ${file} among ${run.files.map((one) => one.path).join(' ')}`);
  return found.content;
};

import { z } from 'zod';
import type { RunSettings } from '../config/contract.ts';
import { CredentialKind, type Route } from './credential-schemas.ts';
import { Agent, Tool, WebProgram } from './roster-schema.ts';

/** One file of the roster: everything about an agent or tool that is data. */
export const RosterFile = z.discriminatedUnion('kind', [Agent, Tool, WebProgram]);
export type RosterEntry = z.infer<typeof RosterFile>;
export type AgentFile = z.infer<typeof Agent>;
export type ToolFile = z.infer<typeof Tool>;
export type WebProgramFile = z.infer<typeof WebProgram>;

export { CredentialKind };
/** Where an entry's API calls go, and how they are signed. */
export type CredentialRoute = z.infer<typeof Route>;

/** A person's own file that cannot be used. */
export interface AgentProblem {
  readonly name: string;
  /** With file, line and key. */
  readonly problem: string;
}

export interface Roster {
  /** By name. */
  readonly entries: readonly RosterEntry[];
  /** A bundled entry stays among the former while the file that is to change it is among these. */
  readonly broken: readonly AgentProblem[];
}

/** A file the host writes for one task; read-only in the container. */
export interface AgentConfigFile {
  /** Below the task's agent-config directory, which is mounted read-only at AGENT_CONFIG. */
  readonly path: string;
  readonly content: string;
  readonly isExecutable: boolean;
  /** Where it is mounted besides, like /etc/claude-code/managed-settings.json. */
  readonly mountedAt: string | undefined;
}

/** Where a task's read-only configuration lies in its container. */
export const AGENT_CONFIG = '/etc/terok';

export interface Person {
  readonly name: string;
  readonly email: string;
}

export const Authorship = z.enum(['agent-human', 'human-agent', 'agent', 'human']);
export type Authorship = z.infer<typeof Authorship>;

export interface AgentRunInput {
  readonly agent: AgentFile;
  /** All agents of the roster: wrappers and approvals are there for each, whoever starts it. */
  readonly roster: readonly RosterEntry[];
  readonly settings: RunSettings;
  readonly isRestricted: boolean;
  readonly authorship: Authorship;
  /** The person, where known. */
  readonly human: Person | undefined;
  /** Absent: nothing headless is run. */
  readonly prompt: string | undefined;
  /** Conversation to go on with; absent: a new one. */
  readonly session: string | undefined;
  /** Where its API calls go instead of its vendor, by name of the entry; none: as it comes. */
  readonly endpoints: ReadonlyMap<string, ApiEndpoint>;
}

/** An address inside the container that stands for the vendor's, and what opens it there. */
export interface ApiEndpoint {
  /** Like http://localhost:9419, without a slash at the end. */
  readonly baseUrl: string;
  /** Host and port, for programs that take no more; absent: those of `baseUrl`, with its path. */
  readonly baseAddress?: string | undefined;
  /** Worth nothing anywhere else: it may be read by whoever is in the container. */
  readonly token: string;
  readonly kind: CredentialKind;
  /** The same as a unix socket of the container, for programs that speak no TCP. */
  readonly socket?: string | undefined;
}

/** One run of an agent as values: nothing has been written or started. */
export interface AgentRun {
  /** Program and arguments of the headless run; undefined without a prompt. No prompt and no secret among them. */
  readonly command: readonly string[] | undefined;
  /** What the agent reads on standard input: the prompt, with what had no better way in front of or behind it. */
  readonly prompt: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** Variables with a token of this start in them: written for it as files, never part of the container itself. */
  readonly phantomEnvironment: Readonly<Record<string, string>>;
  readonly files: readonly AgentConfigFile[];
  /** Directories below /home/dev that are the task's own and outlive its container. */
  readonly state: readonly string[];
  /** Files in them, for a task that has none yet. */
  readonly firstState: readonly { readonly path: string; readonly content: string }[];
  /** Id chosen by us for a new conversation; undefined where the agent chooses or has none. */
  readonly session: string | undefined;
  /** What was asked for and this agent cannot do, in our own words. */
  readonly warnings: readonly string[];
}

export interface Agents {
  /** All agents and tools as the files are now. */
  roster(): Promise<Roster>;
  /** Throws NotFoundError with the nearest names, or InvalidInputError (file, line, key) for a broken file. */
  agent(name: string): Promise<AgentFile>;
  /** The same for a tool. */
  tool(name: string): Promise<ToolFile>;
  /** The same for a web program. */
  webProgram(name: string): Promise<WebProgramFile>;
  /** Settles how an agent is run (pure but for a fresh session id). Throws InvalidInputError for a contradiction. */
  plan(input: AgentRunInput): AgentRun;
}

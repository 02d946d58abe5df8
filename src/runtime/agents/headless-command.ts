import { InvalidInputError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import {
  approvalArgs,
  containerPath,
  fill,
  instructionArgs,
  LOG_TO_OUTPUT,
  SUBAGENTS_FILE,
  wrapperFile,
} from './agent-channels.ts';
import type { AgentRunInput } from './contract.ts';
import { opencodeProvider } from './opencode-config.ts';
import { hasOpencodeProvider } from './run-environment.ts';
import { heldBack } from './subagent-modes.ts';

export interface HeadlessRun {
  readonly command: readonly string[];
  readonly prompt: string;
  /** Id chosen by us. */
  readonly session: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

/** What of the settings an agent can be told, and how; what it cannot be told becomes words of the prompt, or a warning. */
export function headlessRun(input: AgentRunInput, prompt: string, newSession: () => string): HeadlessRun {
  const { agent, settings } = input;
  const { options, model_env, log_env } = agent.headless;
  const warnings: string[] = [];
  const args = [...approvalArgs(agent, input.isRestricted)];
  const environment = {
    ...agent.headless.env,
    ...modelEnvironment(input),
    ...(log_env === undefined ? {} : { [log_env]: LOG_TO_OUTPUT }),
  };
  const inFront: string[] = [];
  const behind: string[] = [];

  if (settings.model !== undefined) {
    if (options.model !== undefined)
      args.push(...fill(options.model, { model: modelName(input, usable('model', settings.model)) }));
    else if (model_env === undefined)
      warnings.push(
        `${agent.title} cannot be told which model to use; "${cleanLine(settings.model, 100)}" is ignored.`,
      );
  }
  if (settings.maxTurns !== undefined) {
    const turns = String(settings.maxTurns);
    if (options.max_turns !== undefined) args.push(...fill(options.max_turns, { max_turns: turns }));
    else {
      behind.push(`Important: complete this task in no more than ${turns} steps.`);
      warnings.push(
        `${agent.title} knows no limit of turns; its prompt asks for no more than ${turns} steps.`,
      );
    }
  }
  if (settings.subagents.length > 0) {
    if (options.subagents !== undefined)
      args.push(...fill(options.subagents, { file: containerPath(SUBAGENTS_FILE) }));
    else warnings.push(`${agent.title} knows no sub-agents; those chosen are ignored.`);
    const held = options.subagents === undefined ? [] : heldBack(input);
    if (held.length > 0)
      warnings.push(`This task is restricted: ${held.join(', ')} may not work without asking either.`);
  }
  if (settings.instructions !== '') {
    args.push(...instructionArgs(agent));
    if (agent.instructions.via === 'prompt') inFront.push(settings.instructions);
  }

  const { command, session, warning } = conversation(input, newSession);
  return {
    command: [
      // By its wrapper, found without PATH: a login shell may have set another.
      containerPath(wrapperFile(agent)),
      ...command.slice(1).flatMap((argument) => (argument === '{options}' ? args : [argument])),
    ],
    prompt: [...inFront, prompt, ...behind].join('\n\n'),
    session,
    environment,
    warnings: warning === undefined ? warnings : [...warnings, warning],
  };
}

/** As the agent knows it: OpenCode wants the provider in front, which a caller need not know. */
export function modelName({ agent, endpoints }: AgentRunInput, model: string): string {
  const isOthers = agent.opencode?.base_url === undefined && hasOpencodeProvider(agent, endpoints);
  return isOthers ? `${opencodeProvider(agent)}/${model}` : model;
}

/** The model, for an agent that reads it from a variable however it is started. */
export function modelEnvironment({ agent, settings }: AgentRunInput): Readonly<Record<string, string>> {
  const { options, model_env } = agent.headless;
  if (settings.model === undefined || options.model !== undefined || model_env === undefined) return {};
  return { [model_env]: usable('model', settings.model) };
}

interface Conversation {
  readonly command: readonly string[];
  readonly session: string | undefined;
  readonly warning?: string;
}

function conversation({ agent, session }: AgentRunInput, newSession: () => string): Conversation {
  const { command, resume } = agent.headless;
  if (session !== undefined && resume !== undefined)
    return { command: fill(resume, { session: usable('session id', session) }), session: undefined };
  const fresh = agent.session.id === 'host' ? newSession() : undefined;
  return {
    command: fresh === undefined ? command : fill(command, { session: fresh }),
    session: fresh,
    ...(session === undefined
      ? {}
      : { warning: `${agent.title} cannot go on with an earlier conversation; this is a new one.` }),
  };
}

/** A value that stands where a flag could stand must not be one. */
function usable(what: string, value: string): string {
  if (/^[^-\s\u0000-\u001f\u007f][^\u0000-\u001f\u007f]{0,255}$/.test(value)) return value;
  throw new InvalidInputError(`"${cleanLine(value, 100)}" cannot be a ${what}`, {
    hint: 'It is one line of at most 256 characters, and does not begin with "-".',
  });
}

import { deepMerge } from '../core/deep-merge.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { approvalsOf, fill } from './agent-channels.ts';
import { configFiles } from './config-files.ts';
import type { AgentRun, AgentRunInput } from './contract.ts';
import { headlessRun, modelEnvironment, modelName } from './headless-command.ts';
import { runEnvironment } from './run-environment.ts';

/** Settles how an agent is run (pure but for `newSession`, a fresh UUID). Throws InvalidInputError for a contradiction. */
export function planAgentRun(input: AgentRunInput, newSession: () => string): AgentRun {
  const headless = input.prompt === undefined ? undefined : headlessRun(input, input.prompt, newSession);
  return {
    command: headless?.command,
    prompt: headless?.prompt,
    ...runEnvironment(input, headless?.environment ?? modelEnvironment(input)),
    files: configFiles(input),
    state: input.agent.state,
    firstState: Object.entries(firstState(input)).map(([path, value]) => ({
      path,
      content: `${JSON.stringify(value, undefined, 2)}\n`,
    })),
    session: headless?.session,
    warnings: headless?.warnings ?? interactiveWarnings(input),
  };
}

/** What lets an agent act without asking may be among it. */
const firstState = ({ agent, isRestricted }: AgentRunInput): Readonly<Record<string, unknown>> =>
  approvalsOf(agent, isRestricted).reduce<Record<string, unknown>>(
    (files, approval) => (approval.via === 'first_state' ? deepMerge(files, approval.files) : files),
    agent.first_state,
  );

/** Whoever starts the agent by hand is told what only a headless run would hand over. */
function interactiveWarnings(input: AgentRunInput): readonly string[] {
  const { agent, settings } = input;
  const { title, instructions, headless } = agent;
  const { model, subagents } = settings;
  const flags =
    model === undefined ? [] : fill(headless.options.model ?? [], { model: modelName(input, model) });
  return [
    ...(instructions.via === 'prompt' && settings.hasCustomInstructions
      ? [
          `${title} takes instructions with a prompt only; point it to /etc/terok/instructions.md when you start it by hand.`,
        ]
      : []),
    ...(flags.length > 0
      ? [`${title} takes its model when it is started: "${cleanLine(flags.join(' '), 200)}".`]
      : []),
    ...(model !== undefined && flags.length === 0 && headless.model_env === undefined
      ? [`${title} cannot be told which model to use; "${cleanLine(model, 100)}" is ignored.`]
      : []),
    ...(subagents.length > 0
      ? [
          headless.options.subagents === undefined
            ? `${title} knows no sub-agents; those chosen are ignored.`
            : `${title} takes sub-agents with a prompt only.`,
        ]
      : []),
  ];
}

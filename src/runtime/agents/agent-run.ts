import { configFiles } from './config-files.ts';
import type { AgentRun, AgentRunInput } from './contract.ts';
import { headlessRun } from './headless-command.ts';
import { runEnvironment } from './run-environment.ts';

/** Settles how an agent is run (pure but for `newSession`, a fresh UUID). Throws InvalidInputError for a contradiction. */
export function planAgentRun(input: AgentRunInput, newSession: () => string): AgentRun {
  const headless = input.prompt === undefined ? undefined : headlessRun(input, input.prompt, newSession);
  return {
    command: headless?.command,
    prompt: headless?.prompt,
    environment: runEnvironment(input, headless?.environment ?? {}),
    files: configFiles(input),
    session: headless?.session,
    warnings: headless?.warnings ?? interactiveWarnings(input),
  };
}

function interactiveWarnings({ agent, settings }: AgentRunInput): readonly string[] {
  if (agent.instructions.via !== 'prompt' || !settings.hasCustomInstructions) return [];
  return [
    `${agent.title} takes instructions with a prompt only; point it to /etc/terok/instructions.md when you start it by hand.`,
  ];
}

import type { AgentRunInput } from './contract.ts';

/** Those in which a sub-agent asks like any other, or does nothing at all. */
const ASKING: ReadonlySet<unknown> = new Set([undefined, 'default', 'manual', 'plan']);

/** Whether a sub-agent's own mode would undo that its task is restricted. */
export const isLoose = (permissionMode: unknown, { isRestricted }: AgentRunInput): boolean =>
  isRestricted && !ASKING.has(permissionMode);

/** Sub-agents that are not given the mode their file asks for. */
export const heldBack = (input: AgentRunInput): readonly string[] =>
  input.settings.subagents.flatMap(({ name, fields }) =>
    isLoose(fields['permissionMode'], input) ? [name] : [],
  );

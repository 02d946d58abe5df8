import type { AgentRun, ToolFile } from '../agents/contract.ts';
import { HostError, InvalidInputError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { Vault } from '../vault/contract.ts';

/** Seconds a tool may take when nobody says otherwise. */
export const TOOL_TIMEOUT_S = 600;

/** A tool's own surroundings: no agent, no wrapper, no instructions. */
export function toolRun({ files }: ToolFile): AgentRun {
  return {
    command: undefined,
    prompt: undefined,
    environment: {},
    phantomEnvironment: {},
    files: files.map(({ path, content }) => ({
      path: `managed${path}`,
      content,
      isExecutable: false,
      mountedAt: path,
    })),
    state: [],
    firstState: [],
    session: undefined,
    warnings: [],
  };
}

/**
 * The real credentials of a tool, by variable. Throws InvalidInputError for one that agents share an image with, and
 * HostError where there is no credential.
 */
export async function credentialsOf(
  tool: ToolFile,
  { vault, project }: { readonly vault: Pick<Vault, 'credential'>; readonly project: string },
): Promise<ReadonlyMap<string, Secret>> {
  if (tool.sidecar === undefined) {
    throw new InvalidInputError(`${tool.title} is not a tool that runs by itself`, {
      hint: `Agents have "${tool.name}" in their own image.`,
    });
  }
  const wanted = Object.entries(tool.sidecar.env);
  const fields = wanted.length === 0 ? undefined : await vault.credential(tool.name, project);
  return new Map(
    wanted.map(([variable, field]) => {
      const value = fields?.get(field);
      if (value === undefined) {
        throw new HostError(`There is no credential for ${tool.title}`, {
          hint: `Run "terok-mcp auth ${tool.name}" on this machine.`,
        });
      }
      return [variable, value];
    }),
  );
}

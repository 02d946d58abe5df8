import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Paths } from '../../runtime/core/paths.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import type { ControlClient } from '../control/control-client.ts';
import type { ExitCode, Host } from '../host.ts';
import type { Services } from '../services.ts';
import type { Output } from './output.ts';

export interface CommandContext {
  readonly host: Host;
  readonly services: Services;
  readonly paths: Paths;
  readonly output: Output;
  /** Talks to the daemon, starting it when it does not run; the connection is closed afterwards. */
  withDaemon<T>(use: (client: ControlClient) => Promise<T>): Promise<T>;
}

export interface Command {
  /** After `terok-mcp`: `task list [--project <id>] [--json]`. */
  readonly usage: string;
  readonly summary: string;
  run(args: readonly string[], context: CommandContext): Promise<ExitCode>;
}

/** The command was called wrongly: usage is shown and the exit code is 2. */
export class UsageError extends Error {}

/** `util.parseArgs`, strict; what it refuses is a UsageError. */
export function parseCommandArgs<T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
  positionals: { readonly names: readonly string[]; readonly optional?: readonly string[] } = { names: [] },
) {
  const parsed = parseStrictly(args, options);
  const { names, optional = [] } = positionals;
  if (parsed.positionals.length < names.length) {
    throw new UsageError(`${names.slice(parsed.positionals.length).join(' and ')} missing`);
  }
  const most = names.length + optional.length;
  if (parsed.positionals.length > most) {
    throw new UsageError(`unexpected argument "${cleanLine(parsed.positionals[most] ?? '', 40)}"`);
  }
  return { values: parsed.values, positionals: parsed.positionals };
}

function parseStrictly<T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const problem = error instanceof Error ? (error.message.split(/\.\s/)[0] ?? '') : String(error);
    throw new UsageError(
      problem.endsWith('is ambiguous')
        ? `${problem}: a value that begins with "-" is written --option=value`
        : problem,
    );
  }
}

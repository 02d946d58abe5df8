import { ConflictError } from '../../runtime/core/errors.ts';
import { createLogger } from '../../runtime/core/log.ts';
import { Scope } from '../../runtime/core/scope.ts';
import { holdState, prepareDirectories } from '../daemon-lock.ts';
import { logLevel } from '../log-level.ts';
import { McpServer } from '../mcp/mcp-server.ts';
import { runPipe } from '../pipe.ts';
import { type Command, type CommandContext, parseCommandArgs } from './command.ts';

const STDERR = 2;

export const stdio: Command = {
  usage: 'stdio [--in-process]',
  summary: 'What an MCP client launches. --in-process: without a daemon, for tests and CI.',
  run: async (args, context) => {
    const { values } = parseCommandArgs(args, { 'in-process': { type: 'boolean' } });
    if (values['in-process'] !== true) return await runPipe(context.host);
    await serveInProcess(context);
    return 0;
  },
};

async function serveInProcess({ host, services, paths }: CommandContext): Promise<void> {
  const logger = createLogger({ level: logLevel(host, 'warn'), fileDescriptor: STDERR });
  const scope = new Scope();
  try {
    await prepareDirectories(paths, host.uid);
    const lock = await lockHere(paths, host.pid);
    scope.defer(() => lock.release());
    const runtime = await services.createRuntime(host, paths, logger);
    scope.defer(async () => await runtime[Symbol.asyncDispose]());
    const ended = new Promise<void>((resolve) => {
      host.stdin.once('end', resolve);
      host.stdin.once('close', resolve);
      host.stdout.once('error', () => resolve());
      host.onSignal(() => resolve());
    });
    const connection = new McpServer({ runtime, logger }).connect({ input: host.stdin, output: host.stdout });
    await ended;
    await connection.close();
  } finally {
    await scope.dispose();
  }
}

async function lockHere(paths: CommandContext['paths'], pid: number): Promise<{ release(): Promise<void> }> {
  try {
    return await holdState(paths, { pid, socketPath: undefined });
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    throw new ConflictError(error.message, {
      hint: 'Leave out --in-process to use that daemon, or set TEROK_STATE_DIR to another directory.',
      cause: error,
    });
  }
}

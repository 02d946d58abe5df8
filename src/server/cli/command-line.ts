import { RuntimeError } from '../../runtime/core/errors.ts';
import { didYouMean } from '../../runtime/core/nearest.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import { ControlClient } from '../control/control-client.ts';
import { dialDaemon } from '../daemon-client.ts';
import type { ExitCode, Host } from '../host.ts';
import { pathsOf } from '../host-paths.ts';
import { services as realServices, type Services } from '../services.ts';
import { VERSION } from '../version.ts';
import { type Command, type CommandContext, UsageError } from './command.ts';
import { endWithReader } from './lost-reader.ts';
import { Output } from './output.ts';

type Group = Readonly<Record<string, Command>>;

/** Each loads what it needs and nothing more: a command should answer at once. */
const COMMANDS: Readonly<Record<string, () => Promise<Command | Group>>> = {
  stdio: async () => (await import('./stdio.ts')).stdio,
  serve: async () => (await import('./serve.ts')).serve,
  setup: async () => (await import('./setup.ts')).setup,
  doctor: async () => (await import('./doctor.ts')).doctor,
  project: async () => (await import('./project.ts')).project,
  config: async () => (await import('./config.ts')).config,
  image: async () => (await import('./image.ts')).image,
  agent: async () => (await import('./agent.ts')).agent,
  auth: async () => (await import('./auth.ts')).auth,
  vault: async () => (await import('./vault.ts')).vault,
  audit: async () => (await import('./audit.ts')).audit,
  run: async () => (await import('./run.ts')).run,
  'follow-up': async () => (await import('./follow-up.ts')).followUp,
  'run-tool': async () => (await import('./run-tool.ts')).runTool,
  web: async () => (await import('./web.ts')).web,
  logs: async () => (await import('./logs.ts')).logs,
  login: async () => (await import('./login.ts')).login,
  task: async () => (await import('./task.ts')).task,
  approvals: async () => (await import('./approvals.ts')).approvals,
  approve: async () => (await import('./approvals.ts')).approve,
  deny: async () => (await import('./approvals.ts')).deny,
  daemon: async () => (await import('./daemon.ts')).daemon,
  podman: async () => (await import('./podman.ts')).podman,
};

/** Runs one command. Whatever goes wrong is one message on standard error and an exit code. */
export async function runCommandLine(host: Host, services: Services = realServices): Promise<ExitCode> {
  const output = new Output({ stdout: host.stdout, stderr: host.stderr });
  const [name = 'help', ...rest] = host.argv;
  // These have more to end than the process.
  if (name !== 'stdio' && name !== 'serve') endWithReader(host);
  try {
    if (name === 'version' || name === '--version' || name === '-V') {
      output.line(VERSION);
      return 0;
    }
    if (name === 'help' || name === '--help' || name === '-h') {
      await printHelp(output);
      return 0;
    }
    const { command, args } = await find(name, rest);
    if (name !== 'podman' && asksForHelp(args)) {
      output.line(`terok-mcp ${command.usage}\n  ${command.summary}`);
      return 0;
    }
    return await runCommand({ command, args, host, services, output });
  } catch (error) {
    if (error instanceof UsageError) {
      output.note(`terok-mcp: ${error.message}`);
      return 2;
    }
    if (error instanceof RuntimeError) output.failure(error);
    else
      output.note(`terok-mcp: unexpected failure\n${error instanceof Error ? error.stack : String(error)}`);
    return 1;
  }
}

/** What follows `--` is for somebody else. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const own = end === -1 ? args : args.slice(0, end);
  return own.includes('--help') || own.includes('-h');
}

async function find(
  name: string,
  rest: readonly string[],
): Promise<{ command: Command; args: readonly string[] }> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined)
    throw new UsageError(`no such command: ${cleanLine(name, 40)}. ${suggest(name, Object.keys(COMMANDS))}`);
  const found = await load();
  if (isCommand(found)) return { command: found, args: rest };
  const [verb = '', ...args] = rest;
  const command = Object.hasOwn(found, verb) ? found[verb] : undefined;
  if (command === undefined)
    throw new UsageError(
      `terok-mcp ${name} takes: ${Object.keys(found).join(', ')}. ${suggest(verb, Object.keys(found))}`,
    );
  return { command, args };
}

async function runCommand(run: {
  readonly command: Command;
  readonly args: readonly string[];
  readonly host: Host;
  readonly services: Services;
  readonly output: Output;
}): Promise<ExitCode> {
  const { command, args, host, services, output } = run;
  const paths = pathsOf(host);
  const withDaemon: CommandContext['withDaemon'] = async (use) => {
    const { client, daemon } = await ControlClient.greet(await dialDaemon(host, paths, 'control'));
    if (daemon.version !== VERSION) {
      output.note(
        `terok-mcp: this is release ${VERSION}, the daemon is ${daemon.version}; "terok-mcp daemon stop" lets this one start.`,
      );
    }
    try {
      return await use(client);
    } finally {
      client.close();
    }
  };
  try {
    return await command.run(args, { host, services, paths, output, withDaemon });
  } catch (error) {
    if (error instanceof UsageError)
      throw new UsageError(`${error.message}\n  usage: terok-mcp ${command.usage}`);
    throw error;
  }
}

async function printHelp(output: Output): Promise<void> {
  const loaded = await Promise.all(Object.values(COMMANDS).map(async (load) => await load()));
  const commands = loaded.flatMap((entry) => (isCommand(entry) ? [entry] : Object.values(entry)));
  output.line('terok-mcp: sandboxed coding agents, delegated over MCP\n');
  for (const { usage, summary } of commands) output.line(`  terok-mcp ${usage}\n      ${summary}`);
  output.line('  terok-mcp version | help\n');
  output.line('Exit codes: 0 done, 1 it failed (the reason is on standard error), 2 it was called wrongly.');
  output.line(
    'Directories: TEROK_CONFIG_DIR, TEROK_STATE_DIR (daemon.log lies there), TEROK_RUNTIME_DIR; else the XDG ones.',
  );
}

function isCommand(entry: Command | Group): entry is Command {
  return typeof entry['run'] === 'function';
}

const suggest = (name: string, known: readonly string[]): string =>
  didYouMean(name, known, 'See: terok-mcp help');

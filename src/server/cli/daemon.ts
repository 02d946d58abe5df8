import { setTimeout as delay } from 'node:timers/promises';
import { ConflictError, HostError } from '../../runtime/core/errors.ts';
import { ControlClient } from '../control/control-client.ts';
import { control } from '../control/control-protocol.ts';
import { dialRunningDaemon } from '../daemon-client.ts';
import { lockState } from '../daemon-lock.ts';
import { type Command, type CommandContext, parseCommandArgs } from './command.ts';

const STOP_DEADLINE_MS = 20_000;
const POLL_MS = 50;

const status: Command = {
  usage: 'daemon status [--json]',
  summary: 'Say whether the daemon runs and what keeps it.',
  run: async (args, context) => {
    const { values } = parseCommandArgs(args, { json: { type: 'boolean' } });
    const { output } = context;
    const found = await askRunningDaemon(
      context,
      async (client) => await client.call(control.daemonStatus, {}),
    );
    if (values.json === true) output.json(found ?? { running: false });
    else if (found === undefined) output.line('No daemon runs.');
    else {
      output.line(`Release ${found.version}, pid ${found.pid}, since ${found.startedAt}`);
      output.line(`Stays because of: ${found.reasonsToStay.join(', ') || 'nothing; it leaves when idle'}`);
    }
    return 0;
  },
};

const stop: Command = {
  usage: 'daemon stop',
  summary: 'End the daemon; tasks go on and the next command starts a new one.',
  run: async (args, context) => {
    parseCommandArgs(args, {});
    const stopped = await askRunningDaemon(context, async (client) => {
      await client.call(control.shutdown, {});
      return true;
    });
    if (stopped === true) await untilUnlocked(context);
    context.output.line(stopped === undefined ? 'No daemon runs.' : 'Stopped.');
    return 0;
  },
};

/** The daemon gives its lock back last: then nothing of it is left. */
async function untilUnlocked({ paths }: CommandContext): Promise<void> {
  const deadline = Date.now() + STOP_DEADLINE_MS;
  for (;;) {
    try {
      lockState(paths).release();
      return;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (Date.now() > deadline)
        throw new HostError('The daemon has not ended yet', { hint: `See ${paths.daemonLog}.` });
      await delay(POLL_MS);
    }
  }
}

async function askRunningDaemon<T>(
  { host, paths }: CommandContext,
  ask: (client: ControlClient) => Promise<T>,
): Promise<T | undefined> {
  const connection = await dialRunningDaemon(host, paths, 'control');
  if (connection === undefined) return undefined;
  const { client } = await ControlClient.greet(connection);
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}

export const daemon: Readonly<Record<string, Command>> = { status, stop };

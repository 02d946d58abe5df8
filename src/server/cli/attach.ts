import { setTimeout as delay } from 'node:timers/promises';
import { asNothing } from '../../runtime/core/command.ts';
import { HostCommandRunner } from '../../runtime/core/exec.ts';
import { baseEnvironment } from '../base-environment.ts';
import type { CommandContext } from './command.ts';

/**
 * Alternate screen, mouse, focus and paste reports, keypad, colours and cursor as they were: a program that goes
 * on without this terminal does not put them back.
 */
const RESTORE_TERMINAL =
  '\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1005l\u001b[?1006l\u001b[?1004l\u001b[?2004l\u001b[?1l\u001b>\u001b[r\u001b[?1049l\u001b[0m\u001b[?25h\n';

/** Until what was announced has been heard. Heard later, the screen is drawn twice. */
const HEARD_MS = 150;

/**
 * Puts a container's terminal on this one, to its end or until the keys that leave it; none: only its end. Podman
 * takes this terminal into raw mode, so keys and Ctrl-C go to the container. Gives Podman's exit code, which is that
 * of the container only sometimes.
 */
export async function attachToContainer(
  { host, services, paths }: CommandContext,
  container: string,
  options: { readonly detachKeys: string },
): Promise<number> {
  const { file, args, env } = await services.podmanCommand(paths);
  const runner = new HostCommandRunner({ baseEnv: baseEnvironment(host, paths) });
  const keys = `--detach-keys=${options.detachKeys}`;
  if (options.detachKeys === '') {
    return await runner.attach({ file, args: [...args, 'attach', keys, '--', container], env });
  }
  // To `terok-init`, which then draws everything for whoever attaches next. One that does not run is noticed below.
  const announcement = { file, args: [...args, 'kill', '--signal=WINCH', '--', container], env };
  await runner.run({ ...announcement, parse: asNothing }).catch(() => undefined);
  await delay(HEARD_MS);
  try {
    // A closed window leaves the task as C-a d does: its HUP is not for the container.
    const attach = ['attach', keys, '--sig-proxy=false', '--', container];
    return await runner.attach({ file, args: [...args, ...attach], env });
  } finally {
    host.stdout.write(RESTORE_TERMINAL);
  }
}

import { asNothing, type Command, type CommandRunner } from '../core/command.ts';
import { HostError } from '../core/errors.ts';
import type { SetupStep } from './contract.ts';
import { failing, fine } from './finding.ts';
import { deviceMode, readHostFile } from './host-loader.ts';

const TUN = '/dev/net/tun';
const TUN_ID = 'host.tun';
const NAMESPACES = '/proc/sys/user/max_user_namespaces';
const NAMESPACES_ID = 'host.user-namespaces';

const command = (file: string, ...args: readonly string[]): Command<void> => ({
  file,
  args,
  parse: asNothing,
});

/** User-mode networks open the tun device as the user; 0666 is what udev sets wherever it runs. */
export function tunDeviceStep(deps: { readonly runner: CommandRunner; readonly isRoot: boolean }): SetupStep {
  const fixes = ['mkdir -p /dev/net', `test -c ${TUN} || mknod ${TUN} c 10 200`, `chmod 666 ${TUN}`];
  const advice = `Ask an administrator to run: ${fixes.join(' && ')}`;
  return {
    id: TUN_ID,
    title: `Opening ${TUN}`,
    check: async () => {
      const mode = await deviceMode(TUN);
      if (mode !== undefined && (mode & 0o666) === 0o666)
        return fine(TUN_ID, `${TUN} is there for every user`);
      const message = mode === undefined ? `${TUN} is missing` : `${TUN} is closed to ordinary users`;
      return failing(TUN_ID, message, deps.isRoot ? 'Run "terok-mcp setup".' : advice);
    },
    apply: async (_progress, signal) => {
      if (!deps.isRoot) throw new HostError(`${TUN} cannot be used by this user`, { hint: advice });
      await deps.runner.run(command('mkdir', '-p', '/dev/net'), { signal });
      if ((await deviceMode(TUN)) === undefined)
        await deps.runner.run(command('mknod', TUN, 'c', '10', '200'), { signal });
      await deps.runner.run(command('chmod', '666', TUN), { signal });
    },
  };
}

/** What keeps an ordinary user from making namespaces, as kernels and distributions spell it (pure). */
export function namespacesBlockedBy(settings: {
  readonly maxUserNamespaces: string | undefined;
  readonly unprivilegedUsernsClone: string | undefined;
}): string | undefined {
  if (settings.maxUserNamespaces === undefined) return 'this kernel has no user namespaces';
  if (Number(settings.maxUserNamespaces) === 0) return 'user.max_user_namespaces is 0';
  if (settings.unprivilegedUsernsClone?.trim() === '0') return 'kernel.unprivileged_userns_clone is 0';
  return undefined;
}

/** Rootless containers begin with a user namespace. */
export function userNamespacesStep(): SetupStep {
  const why = async (): Promise<string | undefined> =>
    namespacesBlockedBy({
      maxUserNamespaces: await readHostFile(NAMESPACES),
      unprivilegedUsernsClone: await readHostFile('/proc/sys/kernel/unprivileged_userns_clone'),
    });
  const advice =
    'Ask an administrator to run: sysctl -w user.max_user_namespaces=65536 kernel.unprivileged_userns_clone=1';
  return {
    id: NAMESPACES_ID,
    title: 'Checking user namespaces',
    check: async () => {
      const reason = await why();
      return reason === undefined
        ? fine(NAMESPACES_ID, 'user namespaces are available')
        : failing(NAMESPACES_ID, reason, advice);
    },
    apply: async () => {
      throw new HostError(`Rootless containers are not possible: ${await why()}`, { hint: advice });
    },
  };
}

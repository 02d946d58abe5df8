import type { Paths } from '../runtime/core/paths.ts';
import type { Host } from './host.ts';

const KEPT = [
  'USER',
  'LOGNAME',
  'TZ',
  'TMPDIR',
  'DBUS_SESSION_BUS_ADDRESS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
] as const;

/** nft, newuidmap and the network programs live there; ordinary users lack these directories. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What programs of ours start with: an agreed list, so that no variable of the caller's steers git or Podman. */
export function baseEnvironment(host: Host, paths: Paths): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {
    PATH: host.env['PATH'] ? `${host.env['PATH']}:${SYSTEM_PATH}` : SYSTEM_PATH,
    HOME: host.home,
    LANG: 'C.UTF-8',
    XDG_RUNTIME_DIR: paths.xdgRuntime,
  };
  for (const name of KEPT) {
    const value = host.env[name];
    if (value !== undefined && value !== '') environment[name] = value;
  }
  return environment;
}

/** What the person set for package managers: builds of images follow it, and programs of the host that fetch. */
export function packageEnvironment(host: Host): Readonly<Record<string, string>> {
  const isAboutPackages = (name: string): boolean =>
    /^(?:npm_config_|pip_|node_extra_ca_certs$|xdg_config_home$)/i.test(name);
  return Object.fromEntries(
    Object.entries(host.env).flatMap(([name, value]) =>
      isAboutPackages(name) && value !== undefined ? [[name, value] as const] : [],
    ),
  );
}

import type { CommandRunner } from '../../core/command.ts';
import { CommandError, ConflictError, InvalidInputError } from '../../core/errors.ts';
import { KeyedMutex } from '../../core/keyed-mutex.ts';
import type { Project } from '../../projects/contract.ts';
import type { SshHostKey, SshHosts } from '../contract.ts';
import { type Destination, destinationText, knownName, parseDestination } from './destination.ts';
import { keyscanCommand, readHostKey, renderHostLine, type ScannedKey } from './keyscan-command.ts';
import { type KnownHosts, keyType, parseKnownHosts } from './known-hosts.ts';
import { appendKnownHosts, knownHostsFile, loadKnownHosts } from './known-hosts-store.ts';

/** The hosts that a project's tasks may log in to, kept in OpenSSH's own format beside its project.yml. */
export class ProjectHosts implements SshHosts {
  readonly #runner: CommandRunner;
  readonly #mutex = new KeyedMutex();

  constructor(deps: { readonly runner: CommandRunner }) {
    this.#runner = deps.runner;
  }

  async scan(project: Project, text: string, signal?: AbortSignal) {
    const destination = parseDestination(text);
    const known = parseKnownHosts(await loadKnownHosts(project));
    const keys = await this.#runner.run(keyscanCommand(destination), { signal });
    if (keys.length === 0) {
      throw new CommandError(`${destinationText(destination)} showed no key`, {
        hint: 'Check the name, the port, and that this machine reaches it.',
      });
    }
    return {
      file: knownHostsFile(project),
      isListed: isListed(project, destination),
      keys: keys.map((key) => describe(key, refuseChange(key, { known, destination, project }))),
    };
  }

  async trust(project: Project, text: string, lines: readonly string[]): Promise<number> {
    const destination = parseDestination(text);
    const name = knownName(destination);
    const keys = lines.map((line) => {
      const [host, type = '', base64 = ''] = line.split(' ');
      const key = host === name ? readHostKey(name, type, base64) : undefined;
      if (key === undefined) {
        throw new InvalidInputError(`This is no key of ${name}`, { hint: 'Ask for its keys again.' });
      }
      return key;
    });
    return await this.#mutex.run(project.directory, async () => {
      const known = parseKnownHosts(await loadKnownHosts(project));
      const added = keys.filter((key) => !refuseChange(key, { known, destination, project }));
      if (added.length > 0)
        await appendKnownHosts(
          project,
          added.map((key) => key.line),
        );
      return added.length;
    });
  }

  async containerFile(project: Project): Promise<string> {
    const known = parseKnownHosts(await loadKnownHosts(project));
    const names = new Set(project.settings.ssh.destinations.map((text) => knownName(parseDestination(text))));
    const lines = [
      ...known.revoked.map((key) => `@revoked ${renderHostLine('*', key, keyType(key) ?? '')}`),
      ...[...names].flatMap((name) =>
        known.keysOf(name).map((key) => renderHostLine(name, key, keyType(key) ?? '')),
      ),
    ];
    return lines.map((line) => `${line}\n`).join('');
  }

  async warnings(project: Project): Promise<readonly string[]> {
    const known = parseKnownHosts(await loadKnownHosts(project));
    return project.settings.ssh.destinations
      .filter((text) => known.keysOf(knownName(parseDestination(text))).length === 0)
      .map(
        (text) =>
          `The SSH agent signs nothing for ${text}, whose host is known by no key: run "terok-mcp project ssh-host ${project.id} ${text}" on this machine.`,
      );
  }
}

const describe = ({ type, fingerprint, line }: ScannedKey, isKnown: boolean): SshHostKey => ({
  type,
  fingerprint,
  line,
  isKnown,
});

const isListed = ({ settings }: Project, wanted: Destination): boolean =>
  settings.ssh.destinations.some((text) => {
    const listed = parseDestination(text);
    return listed.user === wanted.user && knownName(listed) === knownName(wanted);
  });

/** Says whether the key is known. A key in the place of a known one is what an attacker on the way would show. */
function refuseChange(
  key: ScannedKey,
  {
    known,
    destination,
    project,
  }: { readonly known: KnownHosts; readonly destination: Destination; readonly project: Project },
): boolean {
  const name = knownName(destination);
  const file = knownHostsFile(project);
  if (known.isUnreliable) {
    throw new ConflictError(`${file} has a line with @revoked that cannot be read`, {
      hint: 'Repair or remove that line.',
    });
  }
  if (known.isRevoked(key.blob)) {
    throw new ConflictError(`${name} shows a key that ${file} revokes (${key.fingerprint})`, {
      hint: 'Do not log in there before its people have explained that.',
    });
  }
  const there = known.keysOf(name);
  if (there.some((other) => other.equals(key.blob))) return true;
  if (there.some((other) => keyType(other) === key.type)) {
    throw new ConflictError(`${name} shows another ${key.type} key than the known one (${key.fingerprint})`, {
      hint: `Somebody may stand between. If its people say that this key is right, remove the old line from ${file} and try again.`,
    });
  }
  return false;
}

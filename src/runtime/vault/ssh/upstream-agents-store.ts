import { createHash } from 'node:crypto';
import path from 'node:path';
import { HostError } from '../../core/errors.ts';
import { makePrivateDir } from '../../core/files.ts';
import { SingleFlight } from '../../core/keyed-mutex.ts';
import { parseUpstreamUrl } from '../../core/upstream-url.ts';
import type { SshAccess, UpstreamKeys } from '../../gate/contract.ts';
import type { Project } from '../../projects/contract.ts';
import type { VaultService } from '../contract.ts';
import type { CredentialStore } from '../parts.ts';
import { destinationText } from './destination.ts';
import { knownHostsFile } from './known-hosts-store.ts';
import type { SshAgents } from './ssh-agent-server.ts';

interface OpenAgent {
  readonly project: Project;
  readonly access: SshAccess;
  readonly service: VaultService;
}

/**
 * Agents for the gate's own git: one a project, on a socket that only this user reaches, with the project's key and for
 * logging in at its upstream alone. What tasks may do with the same key is another matter.
 */
export class UpstreamAgents implements UpstreamKeys, AsyncDisposable {
  readonly #agents: Pick<SshAgents, 'serve'>;
  readonly #store: Pick<CredentialStore, 'sshKeys' | 'status'>;
  readonly #directory: string;
  readonly #uid: number;
  readonly #open = new Map<string, OpenAgent>();
  readonly #flights = new SingleFlight<SshAccess>();

  constructor(deps: {
    readonly agents: Pick<SshAgents, 'serve'>;
    readonly store: Pick<CredentialStore, 'sshKeys' | 'status'>;
    /** Of sockets; made when it is needed. */
    readonly directory: string;
    readonly uid: number;
  }) {
    this.#agents = deps.agents;
    this.#store = deps.store;
    this.#directory = deps.directory;
    this.#uid = deps.uid;
  }

  async access(project: Project): Promise<SshAccess> {
    const { id } = project;
    if (!this.#store.sshKeys().some((key) => key.project === id)) {
      throw new HostError(`"${id}" has no SSH key`, { hint: `Run "terok-mcp project ssh-init ${id}".` });
    }
    if (this.#store.status().state === 'locked') {
      throw new HostError(`the vault, which holds the key of "${id}", is locked`, {
        hint: 'Run "terok-mcp vault unlock".',
      });
    }
    return await this.#flights.run(id, () => this.#opened(project));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map(({ service }) => service.close()));
  }

  async #opened(project: Project): Promise<SshAccess> {
    const open = this.#open.get(project.id);
    if (open !== undefined) {
      if (isSamePlace(open.project, project)) return open.access;
      this.#open.delete(project.id);
      await open.service.close();
    }
    await makePrivateDir(this.#directory, this.#uid);
    // Ids may be longer than what a socket's path has room for.
    const name = createHash('sha256').update(project.id).digest('hex').slice(0, 16);
    const access = {
      agentSocket: path.join(this.#directory, `${name}.sock`),
      knownHosts: knownHostsFile(project),
    };
    const service = await this.#agents.serve({
      task: 'gate',
      project: forItsUpstream(project),
      socketPath: access.agentSocket,
    });
    this.#open.set(project.id, { project, access, service });
    return access;
  }
}

const isSamePlace = (a: Project, b: Project): boolean =>
  a.settings.git.upstream_url === b.settings.git.upstream_url && a.directory === b.directory;

function forItsUpstream(project: Project): Project {
  const ssh = { destinations: [upstreamDestination(project)], signatures: false };
  return { ...project, settings: { ...project.settings, ssh } };
}

/** Where git logs in (git-clone(1), GIT URLS). Without a user OpenSSH takes that of this process, which is nobody's upstream. */
export function upstreamDestination({ id, settings }: Pick<Project, 'id' | 'settings'>): string {
  const url = settings.git.upstream_url;
  const [, user, host = '', port = '22'] =
    /^ssh:\/\/(?:([^@/:]+)(?::[^@/]*)?@)?(\[[^\]/]+\]|[^/:[\]]+)(?::([0-9]+))?\//.exec(url) ??
    /^(?:([^@/:]+)@)?(\[[^\]/]+\]|[^/:[\]]+)()?:/.exec(url) ??
    [];
  const parsed = parseUpstreamUrl(url);
  if (!parsed.isValid || parsed.transport !== 'ssh' || user === undefined || host === '') {
    throw new HostError(`The upstream of "${id}" does not say as whom to log in`, {
      hint: 'Write git.upstream_url with a user, like "git@example.org:team/repo.git".',
    });
  }
  return destinationText({
    user,
    host: host.replace(/^\[|\]$/g, '').toLowerCase(),
    port: port === '' ? 22 : Number(port),
  });
}

import type { Agents } from '../agents/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { TaskId } from '../core/ids.ts';
import type { Logger } from '../core/log.ts';
import { Secret } from '../core/secret.ts';
import type { Project, Projects } from '../projects/contract.ts';
import { storableKey } from './api-key.ts';
import {
  type AuditRecord,
  type CredentialGrant,
  type CredentialInfo,
  type CredentialUse,
  DEFAULT_SET,
  type GrantPlan,
  type LeakReport,
  type LoginStart,
  type SshKeyInfo,
  type TaskOfVault,
  type VaultService as TaskService,
  type Vault,
  type VaultStatus,
} from './contract.ts';
import { type GrantRequest, planGrants } from './grant-plan.ts';
import type { AuditLog, Budgets, CredentialStore, LiveCredentials, Tokens } from './parts.ts';
import type { ServedTasks } from './served-tasks.ts';
import type { StoredCredential } from './stored-credential.ts';

/** Opens a socket for one task. */
export interface TaskServer {
  serve(task: {
    readonly task: TaskId;
    readonly project: Project;
    readonly socketPath: string;
  }): Promise<TaskService>;
}

/** Keys of projects. */
export interface SshKeyring {
  init: Vault['initSshKey'];
  list: Vault['sshKeys'];
  remove: Vault['removeSshKey'];
}

type Keyed = Pick<Vault, 'status' | 'unlock' | 'lock' | 'changeKey' | 'rotate' | 'export' | 'import'>;

export interface VaultServiceDeps {
  readonly store: CredentialStore & Keyed;
  readonly tokens: Tokens;
  readonly budgets: Pick<Budgets, 'used'>;
  /** Whose projects the budgets are of. */
  readonly served: ServedTasks;
  /** Prices are read anew at each start of a task. */
  readonly prices: { load(): Promise<void> };
  readonly live: LiveCredentials;
  readonly proxy: TaskServer;
  readonly sshAgents: TaskServer;
  readonly sshKeys: SshKeyring;
  readonly logins: Pick<Vault, 'beginLogin' | 'finishLogin' | 'cancelLogin'>;
  readonly auditLog: Pick<AuditLog, 'read'>;
  readonly scanner: Pick<Vault, 'scan' | 'scanStream'>;
  readonly agents: Pick<Agents, 'roster'>;
  readonly projects: Pick<Projects, 'get'>;
  readonly clock: Clock;
  readonly log: Logger;
}

type InSet = { readonly set?: string | undefined };

/** The vault as the rest of the system sees it: each question goes to the part that answers it. */
export class VaultService implements Vault {
  readonly #deps: VaultServiceDeps;

  constructor(deps: VaultServiceDeps) {
    this.#deps = deps;
  }

  status(): VaultStatus {
    return this.#deps.store.status();
  }

  async unlock(passphrase?: Secret): Promise<VaultStatus> {
    return await this.#deps.store.unlock(passphrase);
  }

  lock(): VaultStatus {
    return this.#deps.store.lock();
  }

  async changeKey(next: Parameters<Vault['changeKey']>[0]): Promise<VaultStatus> {
    return await this.#deps.store.changeKey(next);
  }

  async rotate(): Promise<VaultStatus> {
    return await this.#deps.store.rotate();
  }

  async export(passphrase: Secret): Promise<string> {
    return await this.#deps.store.export(passphrase);
  }

  async import(
    text: string,
    passphrase: Secret,
    options: { readonly overwrite: boolean },
  ): Promise<readonly string[]> {
    return await this.#deps.store.import(text, passphrase, options);
  }

  list(): readonly (CredentialInfo & { readonly use: CredentialUse })[] {
    const { store, budgets } = this.#deps;
    return store
      .list()
      .map((info) => ({ ...info, use: budgets.used(info.provider, info.set) }))
      .toSorted((a, b) => a.provider.localeCompare(b.provider) || a.set.localeCompare(b.set));
  }

  async storeApiKey(provider: string, key: Secret, options: InSet = {}): Promise<CredentialInfo> {
    const { agents, projects, store } = this.#deps;
    const credential = storableKey({ provider, key, roster: await agents.roster() });
    const set = options.set ?? DEFAULT_SET;
    if (set !== DEFAULT_SET) await projects.get(set);
    return store.put({ provider, set }, credential);
  }

  async remove(provider: string, options: InSet = {}): Promise<boolean> {
    const { store, tokens } = this.#deps;
    const set = options.set ?? DEFAULT_SET;
    const wasStored = store.remove({ provider, set });
    tokens.revoke({ provider, set });
    return wasStored;
  }

  async credential(provider: string, project: string): Promise<ReadonlyMap<string, Secret> | undefined> {
    const { store, live } = this.#deps;
    const info = store.find(provider, project);
    const found = info === undefined ? undefined : await live.get(info.provider, info.set);
    return found === undefined ? undefined : fieldsOf(found.credential);
  }

  async beginLogin(provider: string, options?: InSet): Promise<LoginStart> {
    return await this.#deps.logins.beginLogin(provider, options);
  }

  async finishLogin(container: string): Promise<CredentialInfo> {
    return await this.#deps.logins.finishLogin(container);
  }

  async cancelLogin(container: string): Promise<void> {
    await this.#deps.logins.cancelLogin(container);
  }

  async planGrants(input: GrantRequest): Promise<GrantPlan> {
    const { agents, store, prices } = this.#deps;
    const [roster] = await Promise.all([agents.roster(), prices.load()]);
    return planGrants(input, { roster, store });
  }

  grant(task: TaskId, grants: readonly CredentialGrant[], lifetimeS: number): void {
    const { tokens, clock } = this.#deps;
    tokens.grant(task, grants, new Date(clock.now().getTime() + lifetimeS * 1000));
  }

  async serveProxy(task: TaskOfVault, socketPath: string): Promise<TaskService> {
    const { proxy, served, prices, log } = this.#deps;
    // A task that runs since before this process: what was read last counts, or what we came with.
    await prices.load().catch((error: unknown) => log.warn({ error: String(error) }, 'prices were not read'));
    const leave = served.enter(task);
    try {
      const service = await proxy.serve({ task: task.id, project: task.project, socketPath });
      const close = async (): Promise<void> => {
        await service.close().finally(leave);
      };
      return { close, [Symbol.asyncDispose]: close };
    } catch (error) {
      leave();
      throw error;
    }
  }

  async serveSshAgent({ id, project }: TaskOfVault, socketPath: string): Promise<TaskService> {
    return await this.#deps.sshAgents.serve({ task: id, project, socketPath });
  }

  revoke(task: TaskId): void {
    this.#deps.tokens.revoke({ task });
  }

  revokeAll(filter: { readonly task?: string | undefined; readonly provider?: string | undefined }): number {
    return this.#deps.tokens.revoke({ task: filter.task, provider: filter.provider });
  }

  async initSshKey(...[project, options]: Parameters<Vault['initSshKey']>): ReturnType<Vault['initSshKey']> {
    return await this.#deps.sshKeys.init(project, options);
  }

  sshKeys(): readonly SshKeyInfo[] {
    return this.#deps.sshKeys.list();
  }

  async removeSshKey(project: string): Promise<boolean> {
    return await this.#deps.sshKeys.remove(project);
  }

  async audit(filter: Parameters<Vault['audit']>[0]): Promise<readonly AuditRecord[]> {
    return await this.#deps.auditLog.read(filter);
  }

  async scan(places: Parameters<Vault['scan']>[0], signal?: AbortSignal): Promise<LeakReport> {
    return await this.#deps.scanner.scan(places, signal);
  }

  async scanStream(chunks: AsyncIterable<Uint8Array>): Promise<readonly string[]> {
    return await this.#deps.scanner.scanStream(chunks);
  }
}

/** Never a refresh token: a program that used it would lock us out. */
function fieldsOf(credential: StoredCredential): ReadonlyMap<string, Secret> {
  switch (credential.kind) {
    case 'api_key':
      return new Map([['key', new Secret(credential.key)]]);
    case 'oauth':
      return new Map([['access_token', new Secret(credential.access_token)]]);
    case 'oauth_token':
    case 'pat':
      return new Map([['token', new Secret(credential.token)]]);
  }
}

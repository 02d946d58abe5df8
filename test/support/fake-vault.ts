import { InvalidInputError } from '../../src/runtime/core/errors.ts';
import { Secret } from '../../src/runtime/core/secret.ts';
import type {
  AuditRecord,
  CredentialInfo,
  CredentialUse,
  KeySource,
  LeakReport,
  SshHosts,
  SshKeyInfo,
  Vault,
  VaultService,
  VaultStatus,
} from '../../src/runtime/vault/contract.ts';

export const NO_USE: CredentialUse = {
  requests: 0,
  inputTokens: 0,
  outputTokens: 0,
  costUsd: 0,
  lastUsedAt: undefined,
};

const MOMENT = '2026-01-01T00:00:00.000Z';

/** The vault's contract, in memory: values are kept as they come, and nothing is sealed. */
export class FakeVault implements Vault {
  /** API keys by provider, of the set `default`; of others by `provider@set`. */
  readonly keys = new Map<string, Secret>();
  /** What is known of credentials that are more than a key. */
  readonly known: Array<CredentialInfo & { readonly use: CredentialUse }> = [];
  readonly records: AuditRecord[] = [];
  readonly tokens: Array<{ readonly task: string; readonly provider: string }> = [];
  readonly ssh = new Map<string, SshKeyInfo>();
  passphrase = 'the right passphrase';
  keySource: KeySource = 'passphrase';
  isLocked = false;
  leaks: LeakReport = { leaks: [], skipped: [], hasExactMatches: true };

  status(): VaultStatus {
    const credentials = this.list().length;
    const isEmpty = credentials + this.ssh.size === 0;
    return {
      state: this.isLocked ? 'locked' : isEmpty ? 'empty' : 'unlocked',
      keySource: this.keySource,
      keyPlace: 'in your head',
      lockedBecause: this.isLocked ? 'nobody gave the passphrase' : undefined,
      credentials,
      sshKeys: this.ssh.size,
    };
  }

  async unlock(passphrase?: Secret): Promise<VaultStatus> {
    if (this.keySource === 'passphrase' && passphrase?.reveal() !== this.passphrase)
      throw new InvalidInputError('The passphrase does not open the vault', { hint: 'Try again.' });
    this.isLocked = false;
    return this.status();
  }

  lock(): VaultStatus {
    this.isLocked = true;
    return this.status();
  }

  async changeKey(next: {
    readonly source: KeySource;
    readonly passphrase?: Secret | undefined;
  }): Promise<VaultStatus> {
    this.keySource = next.source;
    if (next.passphrase !== undefined) this.passphrase = next.passphrase.reveal();
    return this.status();
  }

  async rotate(): Promise<VaultStatus> {
    return this.status();
  }

  async export(passphrase: Secret): Promise<string> {
    const names = [...this.keys.keys()].toSorted();
    return `${JSON.stringify({ fake: names, sealedWith: passphrase.reveal().length })}\n`;
  }

  async import(text: string, _passphrase: Secret, options: { readonly overwrite: boolean }) {
    const names: string[] = JSON.parse(text).fake;
    const taken = names.filter((name) => options.overwrite || !this.keys.has(name));
    for (const name of taken) this.keys.set(name, new Secret('imported-key-of-a-test'));
    return taken;
  }

  list() {
    const keys = [...this.keys.keys()].map((name) => ({ ...infoOf(name), use: NO_USE }));
    return [...keys, ...this.known].toSorted((a, b) =>
      `${a.provider} ${a.set}`.localeCompare(`${b.provider} ${b.set}`),
    );
  }

  async storeApiKey(
    provider: string,
    key: Secret,
    { set = 'default' }: { readonly set?: string | undefined } = {},
  ): Promise<CredentialInfo> {
    const name = nameOf(provider, set);
    this.keys.set(name, key);
    return infoOf(name);
  }

  async remove(provider: string, { set = 'default' }: { readonly set?: string | undefined } = {}) {
    return this.keys.delete(nameOf(provider, set));
  }

  async credential(provider: string, project: string = 'default') {
    const key = this.keys.get(nameOf(provider, project)) ?? this.keys.get(provider);
    return key === undefined ? undefined : new Map([['key', key]]);
  }

  async beginLogin(provider: string) {
    return { provider, container: `login-${provider}`, hint: undefined };
  }

  async finishLogin(container: string): Promise<CredentialInfo> {
    return { ...infoOf(container.replace('login-', '')), kind: 'oauth' as const };
  }

  async cancelLogin(): Promise<void> {}

  async planGrants() {
    return { grants: [], hasSshAgent: false, warnings: [] };
  }

  grant(task: string, grants: Parameters<Vault['grant']>[1]): void {
    this.tokens.push(...grants.map(({ provider }) => ({ task, provider })));
  }

  async serveProxy(): Promise<VaultService> {
    return silentService();
  }

  async serveSshAgent(): Promise<VaultService> {
    return silentService();
  }

  revoke(task: string): void {
    this.revokeAll({ task });
  }

  revokeAll(filter: { readonly task?: string | undefined; readonly provider?: string | undefined }): number {
    const stay = this.tokens.filter(
      ({ task, provider }) =>
        (filter.task !== undefined && filter.task !== task) ||
        (filter.provider !== undefined && filter.provider !== provider),
    );
    const ended = this.tokens.length - stay.length;
    this.tokens.splice(0, this.tokens.length, ...stay);
    return ended;
  }

  async initSshKey(project: string, options: { readonly type: 'ed25519' | 'rsa' }) {
    const existing = this.ssh.get(project);
    if (existing !== undefined) return { ...existing, origin: 'existing' as const };
    const key: SshKeyInfo = {
      project,
      type: options.type,
      fingerprint: 'SHA256:0000000000000000000000000000000000000000000',
      publicKey: `ssh-${options.type} AAAA ${project}`,
      comment: project,
      createdAt: MOMENT,
    };
    this.ssh.set(project, key);
    return { ...key, origin: 'generated' as const };
  }

  sshKeys(): readonly SshKeyInfo[] {
    return [...this.ssh.values()];
  }

  async removeSshKey(project: string): Promise<boolean> {
    return this.ssh.delete(project);
  }

  async audit(filter: Parameters<Vault['audit']>[0]): Promise<readonly AuditRecord[]> {
    return this.records
      .filter(
        ({ task, provider }) =>
          (filter.task === undefined || filter.task === task) &&
          (filter.provider === undefined || filter.provider === provider),
      )
      .slice(-filter.limit);
  }

  async scan(): Promise<LeakReport> {
    return this.leaks;
  }

  async scanStream(): Promise<readonly string[]> {
    return [];
  }
}

/** Hosts' keys, in memory: nobody is asked. */
export class FakeSshHosts implements SshHosts {
  readonly trusted: string[] = [];

  async scan() {
    return { file: '/config/projects/demo/known_hosts', isListed: false, keys: [] };
  }

  async trust(_project: unknown, _destination: string, lines: readonly string[]): Promise<number> {
    this.trusted.push(...lines);
    return lines.length;
  }

  async containerFile(): Promise<string> {
    return this.trusted.join('\n');
  }

  async warnings(): Promise<readonly string[]> {
    return [];
  }
}

const nameOf = (provider: string, set: string): string =>
  set === 'default' ? provider : `${provider}@${set}`;

function infoOf(name: string): CredentialInfo {
  const [provider = '', set = 'default'] = name.split('@');
  return {
    provider,
    set,
    kind: 'api_key',
    version: 1,
    storedAt: MOMENT,
    expiresAt: undefined,
    problem: undefined,
  };
}

const silentService = (): VaultService => ({
  close: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
});

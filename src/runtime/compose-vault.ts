import path from 'node:path';
import type { Agents } from './agents/contract.ts';
import type { Approvals } from './approvals/contract.ts';
import type { Clock } from './core/clock.ts';
import type { CommandRunner } from './core/command.ts';
import type { StateDatabase } from './core/database.ts';
import type { EventLog } from './core/event-log.ts';
import type { Logger } from './core/log.ts';
import type { Paths } from './core/paths.ts';
import type { Scope } from './core/scope.ts';
import type { ContainerEngine } from './engine/contract.ts';
import type { ImageRequest, Images } from './images/contract.ts';
import type { Projects } from './projects/contract.ts';
import { AuditFile } from './vault/audit-log-store.ts';
import { KnownRoutes } from './vault/known-routes.ts';
import { VendorLogins } from './vault/login/vendor-logins.ts';
import { ProcessExchange } from './vault/oauth/process-exchange.ts';
import { Renewer } from './vault/oauth/renewer.ts';
import { CredentialProxy } from './vault/proxy/credential-proxy-server.ts';
import { UpstreamClient } from './vault/proxy/upstream-client.ts';
import { LeakScanner } from './vault/scan/leak-scanner-loader.ts';
import { ServedTasks } from './vault/served-tasks.ts';
import { ProjectHosts } from './vault/ssh/project-hosts.ts';
import { SshAgents } from './vault/ssh/ssh-agent-server.ts';
import { SshKeys } from './vault/ssh/ssh-keys.ts';
import { UpstreamAgents } from './vault/ssh/upstream-agents-store.ts';
import { SealedStore } from './vault/store/sealed-store.ts';
import { BudgetKeeper } from './vault/tokens/budget-keeper.ts';
import { PriceLoader } from './vault/tokens/price-loader.ts';
import { TokenStore } from './vault/tokens/token-store.ts';
import { VaultNeed } from './vault/vault-need.ts';
import { VaultService } from './vault/vault-service.ts';

export interface VaultOptions {
  /** This very program, without its arguments: it is started anew for each renewal of a login. */
  readonly program: { readonly file: string; readonly args: readonly string[] };
  /** PEM of authorities that upstreams are trusted by, besides those of Node. */
  readonly extraCa?: readonly string[] | undefined;
}

export interface VaultDeps {
  readonly options: {
    readonly paths: Paths;
    readonly uid: number;
    readonly env: Readonly<Record<string, string>>;
    readonly packageEnv: Readonly<Record<string, string>>;
    readonly resourcesDir: string;
    readonly vault: VaultOptions;
  };
  readonly scope: Scope;
  readonly host: {
    readonly runner: CommandRunner;
    readonly engine: ContainerEngine;
    readonly agents: Agents;
    readonly images: Images;
    readonly machineImages: () => Promise<ImageRequest>;
  };
  readonly networkProgram: () => Promise<'slirp4netns' | 'pasta'>;
  readonly database: StateDatabase;
  readonly events: EventLog;
  readonly approvals: Approvals;
  readonly projects: Projects;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The vault, opened where its key needs no person. What it holds open goes into the scope. */
export async function composeVault(deps: VaultDeps) {
  const { options, scope, host, database, events, approvals, projects, clock, logger: log } = deps;
  const { paths, env, packageEnv, resourcesDir, vault: own } = options;
  const { runner, engine, agents, images, machineImages } = host;
  const known = new KnownRoutes({ agents, clock });
  const routes = () => known.get();
  const store = new SealedStore({
    file: path.join(paths.state, 'vault.db'),
    directory: paths.state,
    runner,
    clock,
    log,
  });
  scope.defer(() => store[Symbol.asyncDispose]());
  await store.start();
  const exchange = new ProcessExchange({
    runner,
    directory: path.join(paths.state, 'renewals'),
    program: own.program,
    env: certificatesOf(packageEnv),
    clock,
  });
  scope.defer(async () => exchange[Symbol.dispose]());
  const rules = async () => {
    const all = [...(await routes())];
    return new Map(all.flatMap(([name, { refresh }]) => (refresh === undefined ? [] : [[name, refresh]])));
  };
  const live = new Renewer({ store, exchange, clock, events, log, rules });
  scope.defer(async () => live[Symbol.dispose]());
  live.start();
  const served = new ServedTasks();
  const prices = new PriceLoader({
    bundled: path.join(resourcesDir, 'prices.yaml'),
    own: path.join(paths.config, 'prices.yaml'),
  });
  const budgets = new BudgetKeeper({
    database,
    clock,
    approvals,
    events,
    prices,
    log,
    projectOf: (task) => served.projectOf(task),
  });
  scope.defer(async () => budgets[Symbol.dispose]());
  const audit = new AuditFile({ directory: path.join(paths.state, 'audit'), log });
  scope.defer(async () => audit[Symbol.dispose]());
  const tokens = new TokenStore({ database, clock });
  const upstreams = new UpstreamClient({ env, extraCa: own.extraCa });
  scope.defer(() => upstreams[Symbol.asyncDispose]());
  const logins = new VendorLogins({
    engine,
    images,
    agents,
    store,
    imageRequest: machineImages,
    networkProgram: deps.networkProgram,
    directory: path.join(paths.runtime, 'logins'),
    instance: paths.instance,
    clock,
    log,
  });
  scope.defer(() => logins[Symbol.asyncDispose]());
  // Without Podman it is tried again at the next start.
  void logins.start();
  const need = new VaultNeed({ events, clock });
  const onLocked: VaultNeed['tell'] = (task) => need.tell(task);
  const sshAgents = new SshAgents({ store, audit, events, clock, log, onLocked });
  const upstreamKeys = new UpstreamAgents({
    agents: sshAgents,
    store,
    directory: path.join(paths.runtime, 'ssh'),
    uid: options.uid,
  });
  scope.defer(() => upstreamKeys[Symbol.asyncDispose]());
  const vault = new VaultService({
    store,
    tokens,
    budgets,
    served,
    prices,
    live,
    proxy: new CredentialProxy({
      tokens,
      budgets,
      live,
      audit,
      events,
      clock,
      log,
      routes,
      upstreams,
      onLocked,
    }),
    sshAgents,
    sshKeys: new SshKeys({ store, legacyDirectory: path.join(paths.state, 'core/ssh-keys'), clock }),
    logins,
    auditLog: audit,
    scanner: new LeakScanner({ secrets: () => store.secrets(), agents }),
    agents,
    projects,
    clock,
    log,
  });
  return { vault, sshHosts: new ProjectHosts({ runner }), upstreamKeys, prices };
}

/** Node reads it at its start alone, so a process of ours gets what this one got. */
const certificatesOf = (packageEnv: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(packageEnv).filter(([name]) => name.toUpperCase() === 'NODE_EXTRA_CA_CERTS'),
  );

import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { RosterEntry } from '../../src/runtime/agents/contract.ts';
import { ApprovalService } from '../../src/runtime/approvals/approval-service.ts';
import { ApprovalStore } from '../../src/runtime/approvals/approval-store.ts';
import { NotFoundError } from '../../src/runtime/core/errors.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import type { Project } from '../../src/runtime/projects/contract.ts';
import { AuditFile } from '../../src/runtime/vault/audit-log-store.ts';
import { Renewer } from '../../src/runtime/vault/oauth/renewer.ts';
import { CredentialProxy } from '../../src/runtime/vault/proxy/credential-proxy-server.ts';
import { UpstreamClient } from '../../src/runtime/vault/proxy/upstream-client.ts';
import { LeakScanner } from '../../src/runtime/vault/scan/leak-scanner-loader.ts';
import { ServedTasks } from '../../src/runtime/vault/served-tasks.ts';
import { SshAgents } from '../../src/runtime/vault/ssh/ssh-agent-server.ts';
import { SshKeys } from '../../src/runtime/vault/ssh/ssh-keys.ts';
import { BudgetKeeper } from '../../src/runtime/vault/tokens/budget-keeper.ts';
import { PriceLoader } from '../../src/runtime/vault/tokens/price-loader.ts';
import { TokenStore } from '../../src/runtime/vault/tokens/token-store.ts';
import { VaultService } from '../../src/runtime/vault/vault-service.ts';
import { VaultPlace } from './sealed-store.ts';
import { type TestState, testState } from './state.ts';

export interface VaultLab extends AsyncDisposable {
  readonly state: TestState;
  readonly directory: string;
  readonly vault: VaultService;
  readonly approvals: ApprovalService;
  readonly audit: AuditFile;
  readonly projects: Map<string, Project>;
  /** A name for a socket. */
  readonly socket: (name: string) => string;
}

const failing = async (): Promise<never> => {
  throw new Error('nothing here does that');
};

/** The whole vault in this process, with a roster of the test's own. */
export async function vaultLab(options: {
  readonly entries: readonly RosterEntry[];
  readonly ca?: string | undefined;
}): Promise<VaultLab> {
  const state = testState();
  const { database, clock, events } = state;
  const place = await VaultPlace.make();
  const store = await place.open();
  const directory = mkdtempSync('/tmp/tk-vl-');
  const approvals = new ApprovalService({ store: new ApprovalStore({ database }), events, clock });
  const served = new ServedTasks();
  const prices = new PriceLoader({
    bundled: path.resolve('resources/prices.yaml'),
    own: path.join(directory, 'prices.yaml'),
  });
  const projectOf = served.projectOf.bind(served);
  const budgets = new BudgetKeeper({ database, clock, projectOf, approvals, events, prices });
  const audit = new AuditFile({ directory: path.join(directory, 'audit') });
  const tokens = new TokenStore({ database, clock });
  const log = silentLogger;
  const roster = async () => ({ entries: options.entries, broken: [] });
  const live = new Renewer({
    store,
    exchange: { exchange: failing, takeUp: failing, discard: failing },
    clock,
    events,
    log,
    rules: async () => new Map(),
  });
  const upstreams = new UpstreamClient({
    env: {},
    extraCa: options.ca === undefined ? [] : [options.ca],
  });
  const routes = async () =>
    new Map(options.entries.flatMap(({ name, route }) => (route === undefined ? [] : [[name, route]])));
  const onLocked = () => undefined;
  const proxy = new CredentialProxy({
    tokens,
    budgets,
    live,
    audit,
    events,
    clock: { now: () => clock.now(), sleep: () => new Promise(() => undefined) },
    log,
    routes,
    upstreams,
    onLocked,
  });
  const projects = new Map<string, Project>();
  const vault = new VaultService({
    store,
    tokens,
    budgets,
    served,
    prices,
    live,
    proxy,
    sshAgents: new SshAgents({ store, audit, events, clock, log, onLocked }),
    sshKeys: new SshKeys({ store, legacyDirectory: path.join(directory, 'core/ssh-keys'), clock }),
    logins: { beginLogin: failing, finishLogin: failing, cancelLogin: failing },
    auditLog: audit,
    scanner: new LeakScanner({ secrets: () => store.secrets(), agents: { roster } }),
    agents: { roster },
    projects: {
      get: async (id) => {
        const project = projects.get(id);
        if (project === undefined) throw new NotFoundError(`No project named "${id}"`);
        return project;
      },
    },
    clock,
    log,
  });
  return {
    state,
    directory,
    vault,
    approvals,
    audit,
    projects,
    socket: (name) => path.join(directory, name),
    [Symbol.asyncDispose]: async () => {
      await upstreams[Symbol.asyncDispose]();
      live[Symbol.dispose]();
      budgets[Symbol.dispose]();
      audit[Symbol.dispose]();
      await place[Symbol.asyncDispose]();
      state[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface SocketAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One HTTP request on a unix socket, without keeping the connection. */
export async function askSocket(
  socketPath: string,
  what: {
    readonly path: string;
    readonly method?: string;
    readonly headers?: OutgoingHttpHeaders;
    readonly body?: string;
  },
): Promise<SocketAnswer> {
  return await new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = what;
    const outgoing = request({ socketPath, path: what.path, method, headers, agent: false }, (answer) => {
      text(answer).then(
        (read) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: read }),
        reject,
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

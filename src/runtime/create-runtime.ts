import path from 'node:path';
import { ApprovalService } from './approvals/approval-service.ts';
import { ApprovalStore } from './approvals/approval-store.ts';
import { composeHost, type HostOptions, networkProgramFinder } from './compose.ts';
import { composeVault, type VaultOptions } from './compose-vault.ts';
import type { Checkpoint } from './core/checkpoint.ts';
import type { Clock } from './core/clock.ts';
import { openDatabase } from './core/database.ts';
import { DatabaseEventLog } from './core/event-log.ts';
import { KeyedMutex } from './core/keyed-mutex.ts';
import type { Logger } from './core/log.ts';
import { Scope } from './core/scope.ts';
import { filesOpenToOthers, freeBytes, memoryReaders, selinuxMode } from './doctor/doctor-loader.ts';
import { DoctorService } from './doctor/doctor-service.ts';
import { hostChecks } from './doctor/host-checks.ts';
import { projectChecks } from './doctor/project-checks.ts';
import { vaultChecks } from './doctor/vault-checks.ts';
import { GitGate, type PushReport } from './gate/git-gate.ts';
import { HostGpus } from './gpus/host-gpus.ts';
import { ImageJobs } from './images/image-jobs.ts';
import { GitIdentity } from './projects/git-identity.ts';
import { ProjectStore } from './projects/project-store.ts';
import { RepositoryStore } from './projects/repository-store.ts';
import { SocketRelay } from './relay/relay-server.ts';
import { ReviewService } from './review/review-service.ts';
import type { Runtime } from './runtime.ts';
import { PinStore } from './shield/pin-store.ts';
import { PinnedShield } from './shield/pinned-shield.ts';
import { CredentialWatch } from './tasks/credential-watch.ts';
import { Reconciler } from './tasks/reconciler.ts';
import { RefusalRecorder } from './tasks/refusal-recorder.ts';
import { RunEvidences } from './tasks/run-evidence.ts';
import { RunFollower } from './tasks/run-follower.ts';
import { StartsUnderWay } from './tasks/starts-under-way.ts';
import { TaskChanges } from './tasks/task-changes.ts';
import { TaskCloser } from './tasks/task-closer.ts';
import type { TaskContext } from './tasks/task-context.ts';
import { TaskEgress } from './tasks/task-egress.ts';
import { TaskFilesStore } from './tasks/task-files-store.ts';
import { TaskLauncher } from './tasks/task-launcher.ts';
import { TaskManager } from './tasks/task-manager.ts';
import { TaskMonitor } from './tasks/task-monitor.ts';
import { TaskPlanner } from './tasks/task-planner.ts';
import { TaskReports } from './tasks/task-reports.ts';
import { TaskRestarter } from './tasks/task-restarter.ts';
import { TaskServices } from './tasks/task-services.ts';
import { TaskStartUp } from './tasks/task-start-up.ts';
import { TaskStore } from './tasks/task-store.ts';
import { WebAddresses } from './tasks/web-addresses.ts';
import { LogTranscripts } from './transcript/log-transcripts-loader.ts';
import { HttpWebDoors } from './web/web-doors-server.ts';

export interface RuntimeOptions extends HostOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly checkpoint: Checkpoint;
  readonly vault: VaultOptions;
}

/** Where Podman looks for CDI specifications. */
const CDI_DIRECTORIES = ['/etc/cdi', '/var/run/cdi'];
/** How long callers are kept waiting for the tidying up after an earlier run. */
const RECONCILE_PATIENCE_MS = 10_000;
/** How long the end waits for operations under way; the next start takes up what it cuts off. */
const DISPOSE_PATIENCE_MS = 5_000;

/**
 * Puts the whole system together: the only place that calls constructors. The caller holds the process lock of
 * the state directory. What an earlier run left is taken up in the background; a host where that is not
 * possible (no Podman, say) still gets a runtime, whose tools say why.
 */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { paths, clock, logger, resourcesDir } = options;
  const scope = new Scope();
  const database = openDatabase(paths.database);
  scope.defer(() => void database.close());
  const events = new DatabaseEventLog({ database, clock });
  const host = composeHost(options);
  const { runner, engine, config, agents, images, machineImages } = host;
  // Builds that an earlier run left go on with the person's settings mounted.
  void images.takeUpLeftovers().catch((error: unknown) => {
    logger.warn({ error: String(error) }, 'what an earlier build left could not be looked at');
  });
  const builds = new ImageJobs({ images, monotonicMs: () => performance.now() });
  scope.defer(() => builds[Symbol.asyncDispose]());
  const projects = new ProjectStore({
    directory: paths.projects,
    config,
    repositories: new RepositoryStore({ database, clock }),
  });
  const approvals = new ApprovalService({ store: new ApprovalStore({ database }), events, clock });
  const networkProgram = networkProgramFinder(options.env);
  const { vault, sshHosts, upstreamKeys, prices } = await composeVault({
    options,
    scope,
    host,
    networkProgram,
    database,
    events,
    approvals,
    projects,
    clock,
    logger,
  });
  const gate = new GitGate({
    gates: paths.gates,
    runner,
    env: options.env,
    clock,
    log: logger,
    keys: upstreamKeys,
    onPush: (report) => recordPush(report, events),
  });
  scope.defer(() => gate[Symbol.asyncDispose]());
  const review = new ReviewService({ projects, gate, approvals, events, vault });
  scope.defer(() => review[Symbol.dispose]());

  const namespacePrefix = (signal?: AbortSignal): Promise<readonly string[]> =>
    engine.hostNamespacePrefix(signal);
  const shield = new PinnedShield({
    runner,
    pins: new PinStore({ directory: paths.networks }),
    namespacePrefix,
    networkProgram,
    isRoot: options.uid === 0,
    resourcesDir,
  });
  const store = new TaskStore({ database });
  const files = new TaskFilesStore({ paths, runner, namespacePrefix });
  const doors = new HttpWebDoors({ runner, namespacePrefix, logger });
  const transcripts = new LogTranscripts();
  const relay = new SocketRelay({ log: logger });
  const services = new TaskServices({ gate, relay, vault, doors, files, store });
  scope.defer(() => services.closeAll());
  const context: TaskContext = {
    projects,
    agents,
    gpus: new HostGpus({
      cdiDirectories: CDI_DIRECTORIES,
      roots: { dev: '/dev', sys: '/sys' },
      isRootless: options.uid !== 0,
    }),
    engine,
    images,
    gate,
    shield,
    doors,
    transcripts,
    vault,
    credentials: new CredentialWatch({ vault, files, events, logger }),
    events,
    store,
    files,
    services,
    evidences: new RunEvidences({ agents, transcripts, files, logger }),
    refusals: new RefusalRecorder({ shield, store, events }),
    changes: new TaskChanges(),
    mutex: new KeyedMutex(),
    clock,
    logger,
    checkpoint: options.checkpoint,
    instance: paths.instance,
    personalHomes: path.join(paths.config, 'agent-home'),
  };
  // What still runs ends before the database closes, but a stop with a long grace period does not hold us.
  scope.defer(() => within(DISPOSE_PATIENCE_MS, context.mutex.whenIdle(), clock));
  const closer = new TaskCloser(context);
  const follower = new RunFollower(context, { closer });
  const monitor = new TaskMonitor(context, { closer, follower });
  scope.defer(() => monitor.stop());
  const reconciler = new Reconciler(context, { closer, monitor });
  const starts = new StartsUnderWay();
  scope.defer(() => starts.stop());
  const starting = {
    planner: new TaskPlanner({
      projects,
      agents,
      config,
      identity: new GitIdentity({ runner, configHome: options.packageEnv['XDG_CONFIG_HOME'] }),
      vault,
      sshHosts,
    }),
    startUp: new TaskStartUp(context),
    starts,
  };
  const tasks = new TaskManager(context, {
    starts,
    launcher: new TaskLauncher(context, starting),
    restarter: new TaskRestarter(context, starting),
    webAddresses: new WebAddresses(context),
    reports: new TaskReports(context, { follower }),
    closer,
    monitor,
    reconciler,
  });
  const doctor = new DoctorService({
    checks: [
      ...hostChecks({ paths, engine, runner, freeBytes, selinuxMode }),
      ...projectChecks({ config, projects, agents, images, machineImages }),
      ...vaultChecks({
        vault,
        clock,
        state: paths.state,
        filesOpenToOthers,
        memoryReaders,
        loadPrices: () => prices.load(),
        places: () => [
          { task: undefined, directory: context.personalHomes, agentHome: false },
          ...store.list().flatMap((task) => files.containerWritable(task)),
        ],
      }),
    ],
  });
  monitor.start();
  const looking = new AbortController();
  void reconciler.keepLooking(looking.signal);
  scope.defer(() => looking.abort());
  const reconciled = reconciler.ensure().catch((error: unknown) => {
    logger.warn({ error: String(error) }, 'what an earlier run left could not be looked at yet');
  });
  return {
    ready: within(RECONCILE_PATIENCE_MS, reconciled, clock),
    agents,
    config,
    images,
    builds,
    projects,
    tasks,
    review,
    approvals,
    vault,
    sshHosts,
    egress: new TaskEgress(context, { get: (id) => tasks.get(id) }),
    doctor,
    events,
    [Symbol.asyncDispose]: () => scope.dispose(),
  };
}

function recordPush({ project, task, ...push }: PushReport, events: DatabaseEventLog): void {
  events.record({ project, task, actor: 'agent', kind: 'gate.pushed', data: { ...push } });
}

/** Waits for the work, but not for ever; the work itself goes on. */
async function within(patienceMs: number, work: Promise<void>, clock: Clock): Promise<void> {
  const over = new AbortController();
  const patience = clock.sleep(patienceMs, over.signal).catch(() => undefined);
  await Promise.race([work, patience]).finally(() => over.abort());
}

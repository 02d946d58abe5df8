import path from 'node:path';
import { isNeverAllowed } from '../core/address-classes.ts';
import type { CommandRunner } from '../core/command.ts';
import { CommandError, HostError, PolicyError } from '../core/errors.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';
import { endProcesses } from '../core/process-table-loader.ts';
import type { EgressRule, Shield, ShieldStatus } from './contract.ts';
import {
  listRules,
  loadRules,
  type NamespacePrefix,
  pinNamespace,
  pinProcess,
  pinType,
  startPasta,
  startSlirp,
  tryRuleset,
  unpin,
} from './network-commands.ts';
import { networkProcesses } from './network-processes.ts';
import { allowKey, type NftListing } from './nft-listing.ts';
import type { PinStore } from './pin-store.ts';
import { renderOpened, renderRuleset } from './ruleset.ts';

export type NetworkProgram = 'slirp4netns' | 'pasta';

export interface PinnedShieldDeps {
  readonly runner: CommandRunner;
  readonly pins: PinStore;
  readonly namespacePrefix: (signal?: AbortSignal) => Promise<NamespacePrefix>;
  /** Throws HostError when there is none. */
  readonly networkProgram: () => Promise<NetworkProgram>;
  readonly isRoot: boolean;
  readonly resourcesDir: string;
}

/**
 * Task networks as pinned namespaces. Every check here fails closed: a listing that cannot be read, differs
 * or is missing is an exception, and an exception on the way up takes the pin away again.
 */
export class PinnedShield implements Shield {
  readonly #deps: PinnedShieldDeps;
  readonly #script: string;
  readonly #mutex = new KeyedMutex();
  #intended: Promise<string> | undefined;

  constructor(deps: PinnedShieldDeps) {
    this.#deps = deps;
    this.#script = path.join(deps.resourcesDir, 'host/pin-namespace.sh');
  }

  raise(
    task: string,
    rules: readonly EgressRule[],
    signal?: AbortSignal,
  ): Promise<{ readonly networkPath: string }> {
    return this.#mutex.run(task, async () => {
      for (const rule of rules) refuseNeverAllowed(rule);
      const prefix = await this.#deps.namespacePrefix(signal);
      const pin = this.#deps.pins.path(task);
      if (!(await this.#deps.pins.has(task))) {
        await this.#pin(prefix, task, rules, signal);
        await this.#startNetwork(prefix, task, signal);
        return { networkPath: pin };
      }
      if (!(await this.#isIntact(prefix, pin, rules, signal))) {
        await this.#lower(prefix, task);
        await this.#pin(prefix, task, rules, signal);
      }
      await this.#connect(prefix, task, signal);
      return { networkPath: pin };
    });
  }

  open(task: string, rules: readonly EgressRule[], signal?: AbortSignal): Promise<void> {
    return this.#mutex.run(task, async () => {
      for (const rule of rules) refuseNeverAllowed(rule);
      const prefix = await this.#deps.namespacePrefix(signal);
      await this.#deps.runner.run(loadRules(prefix, this.#deps.pins.path(task), renderOpened(rules)), {
        signal,
      });
    });
  }

  async status(task: string, rules: readonly EgressRule[], signal?: AbortSignal): Promise<ShieldStatus> {
    const prefix = await this.#deps.namespacePrefix(signal);
    const pin = this.#deps.pins.path(task);
    if (!(await this.#isPinned(prefix, pin, signal))) return { state: 'down', allowed: [], refused: [] };
    const { listing, intended } = await this.#compare(prefix, pin, signal);
    const state = differences(listing, intended, rules) === undefined ? 'up' : 'altered';
    return { state, allowed: rules, refused: listing.refused };
  }

  lower(task: string, signal?: AbortSignal): Promise<void> {
    return this.#mutex.run(task, async () => this.#lower(await this.#deps.namespacePrefix(signal), task));
  }

  async raised(): Promise<readonly string[]> {
    return await this.#deps.pins.tasks();
  }

  adopt(
    task: string,
    containerPid: number | undefined,
    rules: readonly EgressRule[],
    signal?: AbortSignal,
  ): Promise<{ readonly networkPath: string }> {
    return this.#mutex.run(task, async () => {
      const prefix = await this.#deps.namespacePrefix(signal);
      const pin = this.#deps.pins.path(task);
      if (!(await this.#isPinned(prefix, pin, signal))) {
        if (containerPid === undefined)
          throw new CommandError(`The container of task ${task} shows no process`);
        await this.#deps.pins.create(task);
        await this.#deps.runner.run(pinProcess(prefix, containerPid, pin), { signal });
      }
      const { listing, intended } = await this.#compare(prefix, pin, signal);
      if (listing.policy !== intended) {
        throw new PolicyError(`The network rules of task ${task} are not the ones it was started with`, {
          hint: 'The task is stopped; its work is kept.',
        });
      }
      // A crash between storing a rule and loading it: what is stored holds.
      if (differences(listing, intended, rules) !== undefined) {
        await this.#deps.runner.run(loadRules(prefix, pin, renderOpened(rules)), { signal });
      }
      await this.#connect(prefix, task, signal);
      return { networkPath: pin };
    });
  }

  async #pin(
    prefix: NamespacePrefix,
    task: string,
    rules: readonly EgressRule[],
    signal?: AbortSignal,
  ): Promise<void> {
    const intended = this.#intendedPolicy(prefix, signal);
    // Awaited below, together with the listing it is compared with; until then nobody else handles its failure.
    intended.catch(() => undefined);
    const pin = await this.#deps.pins.create(task);
    try {
      const listing = await this.#deps.runner.run(
        pinNamespace(prefix, this.#script, pin, renderRuleset(rules)),
        { signal },
      );
      const difference = differences(listing, await intended, rules);
      if (difference !== undefined) {
        throw new CommandError(`The kernel holds other network rules than were loaded: ${difference}`, {
          hint: 'Check "nft --version"; the task was not started.',
        });
      }
    } catch (error) {
      await this.#lower(prefix, task);
      throw explainMissing(error);
    }
  }

  /** Starts the user-mode network unless one serves this pin already. */
  async #connect(prefix: NamespacePrefix, task: string, signal?: AbortSignal): Promise<void> {
    const pin = this.#deps.pins.path(task);
    if ((await networkProcesses(pin)).length === 0) await this.#startNetwork(prefix, task, signal);
  }

  async #startNetwork(prefix: NamespacePrefix, task: string, signal?: AbortSignal): Promise<void> {
    const pin = this.#deps.pins.path(task);
    try {
      const program = await this.#deps.networkProgram();
      if (program === 'slirp4netns') {
        await this.#deps.runner.detach(startSlirp(prefix, pin, this.#deps.pins.logPath(task)));
      } else {
        await this.#deps.runner.run(startPasta(prefix, pin, { asRoot: this.#deps.isRoot }), { signal });
      }
    } catch (error) {
      await this.#lower(prefix, task);
      throw error;
    }
  }

  async #lower(prefix: NamespacePrefix, task: string): Promise<void> {
    const pin = this.#deps.pins.path(task);
    await endProcesses(await networkProcesses(pin));
    await this.#deps.runner.run(unpin(prefix, pin));
    await this.#deps.pins.remove(task);
  }

  async #isPinned(prefix: NamespacePrefix, pin: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.#deps.runner.run(pinType(prefix, pin), { signal })) === 'nsfs';
  }

  async #isIntact(
    prefix: NamespacePrefix,
    pin: string,
    rules: readonly EgressRule[],
    signal?: AbortSignal,
  ): Promise<boolean> {
    if (!(await this.#isPinned(prefix, pin, signal))) return false;
    const { listing, intended } = await this.#compare(prefix, pin, signal);
    return differences(listing, intended, rules) === undefined;
  }

  /** What the kernel holds behind a pin, and what it should hold. */
  async #compare(
    prefix: NamespacePrefix,
    pin: string,
    signal?: AbortSignal,
  ): Promise<{ readonly listing: NftListing; readonly intended: string }> {
    const [listing, intended] = await Promise.all([
      this.#deps.runner.run(listRules(prefix, pin), { signal }),
      this.#intendedPolicy(prefix, signal),
    ]);
    return { listing, intended };
  }

  /** Once per process: what this kernel and this nft make of our ruleset. */
  async #intendedPolicy(prefix: NamespacePrefix, signal?: AbortSignal): Promise<string> {
    this.#intended ??= this.#deps.runner
      .run(tryRuleset(prefix, this.#script, renderRuleset([])), { signal })
      .then((listing) => listing.policy);
    try {
      return await this.#intended;
    } catch (error) {
      this.#intended = undefined;
      throw error;
    }
  }
}

/** Undefined when the kernel holds exactly the policy and exactly the opened destinations. */
function differences(
  listing: NftListing,
  intended: string,
  rules: readonly EgressRule[],
): string | undefined {
  if (listing.policy !== intended) return 'the rules differ';
  const expected = [...new Set(rules.map(allowKey))].sort();
  return JSON.stringify(listing.allowed) === JSON.stringify(expected)
    ? undefined
    : 'the opened destinations differ';
}

function refuseNeverAllowed(rule: EgressRule): void {
  if (!isNeverAllowed(rule.address)) return;
  throw new PolicyError(`${rule.address} may never be opened to a task`, {
    hint: 'Loopback, link-local, metadata, multicast and reserved addresses stay closed, and names are not addresses.',
  });
}

/** The shell's "not found" of a program in the pinning script. */
function explainMissing(error: unknown): unknown {
  const program =
    error instanceof CommandError ? /: (nft|ip|mount): not found/.exec(error.details ?? '')?.[1] : undefined;
  if (program === undefined) return error;
  return new HostError(`The program "${program}" is not installed`, {
    hint: 'Run "terok-mcp setup", which installs it or names the package to install.',
    cause: error,
  });
}

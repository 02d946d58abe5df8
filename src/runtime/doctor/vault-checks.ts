import path from 'node:path';
import type { Clock } from '../core/clock.ts';
import { RuntimeError } from '../core/errors.ts';
import type { Leak, Vault, VaultStatus } from '../vault/contract.ts';
import type { Check } from './doctor-service.ts';

const MAX_NAMED = 5;
/** Below the deadline of a check: what was found by then is told. */
const SCAN_MS = 10_000;

export interface VaultCheckDeps {
  readonly vault: Pick<Vault, 'status' | 'list' | 'scan'>;
  readonly clock: Clock;
  /** The state directory. */
  readonly state: string;
  /** `doctor-loader.ts`. */
  readonly filesOpenToOthers: (directory: string, prefix: string) => Promise<readonly string[]>;
  /** `doctor-loader.ts`. */
  readonly memoryReaders: () => Promise<'nobody' | 'its user'>;
  /** Reads the prices of models anew; throws InvalidInputError with the line. */
  readonly loadPrices: () => Promise<void>;
  /** Directories that containers write. */
  readonly places: () => Parameters<Vault['scan']>[0];
}

export function vaultChecks(deps: VaultCheckDeps): readonly Check[] {
  return [state(deps), files(deps), memory(deps), credentials(deps), prices(deps), leaks(deps)];
}

function state({ vault }: VaultCheckDeps): Check {
  return {
    id: 'vault.state',
    run: async () => {
      const status = vault.status();
      if (status.state !== 'locked') return { level: 'ok', message: describe(status) };
      return {
        level: 'warn',
        message: `${describe(status)}. ${status.lockedBecause ?? ''} Tasks get no credentials.`,
        fix: 'Run "terok-mcp vault unlock".',
      };
    },
  };
}

function describe({ state, keyPlace, credentials, sshKeys }: VaultStatus): string {
  if (state === 'empty') return `the vault is empty; its key: ${keyPlace}`;
  return `the vault is ${state}, with ${credentials} credentials and ${sshKeys} SSH keys; its key: ${keyPlace}`;
}

function files({ filesOpenToOthers, state }: VaultCheckDeps): Check {
  return {
    id: 'vault.files',
    run: async () => {
      const open = [
        ...(await filesOpenToOthers(state, 'vault')),
        ...(await filesOpenToOthers(path.join(state, 'audit'), '')),
      ];
      if (open.length === 0) return { level: 'ok', message: 'only you can read the files of the vault' };
      return {
        level: 'fail',
        message: `others of this machine can read ${listed(open)}`,
        fix: 'Run "chmod 600" on each, then "terok-mcp vault rotate"; replace what they held if somebody may have read them.',
      };
    },
  };
}

function memory({ memoryReaders }: VaultCheckDeps): Check {
  return {
    id: 'vault.memory',
    run: async () => {
      if ((await memoryReaders()) === 'nobody')
        return { level: 'ok', message: 'root alone can look into the memory of the daemon' };
      return {
        level: 'warn',
        message: 'every program of yours can look into the memory of the daemon, where the vault is open',
        fix: 'Its log says why, where it was started as a daemon: the cache directory has to be yours, with room for a copy of node, where programs may run.',
      };
    },
  };
}

function credentials({ vault, clock }: VaultCheckDeps): Check {
  return {
    id: 'vault.credentials',
    run: async () => {
      const all = vault.list();
      const broken = all.filter(({ problem }) => problem !== undefined);
      if (broken.length > 0) {
        const named = broken.map(({ provider, set, problem }) => `${provider} (${set}): ${problem ?? ''}`);
        return {
          level: 'warn',
          message: named.slice(0, MAX_NAMED).join('; '),
          fix: `Run "terok-mcp auth ${broken[0]?.provider ?? '<name>'}".`,
        };
      }
      const now = clock.now().toISOString();
      const ended = all.filter(({ expiresAt }) => expiresAt !== undefined && expiresAt < now);
      const note =
        ended.length === 0
          ? ''
          : `; ended, and renewed when a task asks: ${ended.map(({ provider }) => provider).join(', ')}`;
      return { level: 'ok', message: `${all.length} credentials, none with a problem${note}` };
    },
  };
}

function prices({ loadPrices }: VaultCheckDeps): Check {
  return {
    id: 'vault.prices',
    run: async () => {
      try {
        await loadPrices();
        return { level: 'ok', message: 'the prices of models are readable' };
      } catch (error) {
        if (!(error instanceof RuntimeError)) throw error;
        return {
          level: 'warn',
          message: error.message,
          fix: 'Correct the named line: budgets in dollars are counted by the prices of before.',
        };
      }
    },
  };
}

function leaks({ vault, places }: VaultCheckDeps): Check {
  return {
    id: 'vault.leaks',
    run: async (signal) => {
      const where = places();
      const { leaks, skipped, hasExactMatches } = await vault.scan(
        where,
        AbortSignal.any([signal, AbortSignal.timeout(SCAN_MS)]),
      );
      const left = skipped.length === 0 ? '' : `; not looked at: ${listed(skipped)}`;
      const how = hasExactMatches ? '' : ' (by the names of files alone: the vault does not open)';
      if (leaks.length === 0) {
        const message = `no credential found in ${where.length} directories of tasks${how}${left}`;
        return { level: 'ok', message };
      }
      return {
        level: 'fail',
        message: `credentials where containers can read them: ${listed(leaks.map(describeLeak))}${left}`,
        fix: 'Replace each at its vendor, remove the file or delete the task, and log in with "terok-mcp auth", never inside a task.',
      };
    },
  };
}

const describeLeak = ({ provider, path: file, task, kind }: Leak): string =>
  `${kind === 'exact' ? 'the very credential' : 'a login'} of ${provider} in ${file}${task === undefined ? '' : ` (task ${task})`}`;

function listed(words: readonly string[]): string {
  const rest = words.length > MAX_NAMED ? ` and ${words.length - MAX_NAMED} more` : '';
  return `${words.slice(0, MAX_NAMED).join('; ')}${rest}`;
}

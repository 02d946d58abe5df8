import { asNothing, type Command, type CommandRunner } from '../core/command.ts';
import { HostError } from '../core/errors.ts';
import {
  findCommonRange,
  findFreeRange,
  parseSubordinateIds,
  RANGE_SIZE,
  type SubordinateRange,
} from '../core/subordinate-ids.ts';
import { loadSubordinateTexts, type SubordinateFiles } from '../core/subordinate-ids-loader.ts';
import type { SetupStep } from './contract.ts';
import { failing, fine } from './finding.ts';

const ID = 'host.subordinate-ids';

/** Reserves a block of ids for a user, in subuid(5) and subgid(5), under their locks. */
export function addSubordinateRange(user: string, range: SubordinateRange): Command<void> {
  const span = `${range.hostStart}-${range.hostStart + range.size - 1}`;
  return {
    file: 'usermod',
    args: ['--add-subuids', span, '--add-subgids', span, '--', user],
    parse: asNothing,
  };
}

/** Whether rootless containers of this user can have the usual 65536 ids; its ranges need not be in one piece. */
export function hasEnoughIds(texts: SubordinateFiles, owners: readonly string[]): boolean {
  return [texts.subuid, texts.subgid].every((text) => {
    const own = parseSubordinateIds(text).filter((range) => owners.includes(range.owner));
    return own.reduce((sum, range) => sum + range.size, 0) >= RANGE_SIZE;
  });
}

export interface SubordinateIdsDeps {
  readonly runner: CommandRunner;
  readonly uid: number;
  readonly userName: string;
  readonly files?: SubordinateFiles | undefined;
}

/**
 * A block of host ids for container ids. For root it is where container root maps to, so that it never is
 * host root: one block, the same for users and groups, that no other user has.
 */
export function subordinateIdsStep(deps: SubordinateIdsDeps): SetupStep {
  const owners = [deps.userName, String(deps.uid)];
  const isRoot = deps.uid === 0;
  const isReserved = (texts: SubordinateFiles): boolean =>
    isRoot ? findCommonRange(texts, owners) !== undefined : hasEnoughIds(texts, owners);
  const advise = (texts: SubordinateFiles): string => {
    const free = findFreeRange([texts.subuid, texts.subgid]);
    if (free === undefined) return 'Free some ids in /etc/subuid and /etc/subgid: every one is taken.';
    const { file, args } = addSubordinateRange(deps.userName, free);
    return `Ask an administrator to run: ${[file, ...args].join(' ')}`;
  };
  return {
    id: ID,
    title: 'Reserving ids for containers',
    check: async () => {
      const texts = loadSubordinateTexts(deps.files);
      if (isReserved(texts)) return fine(ID, 'ids for containers are reserved');
      const message = `no ${RANGE_SIZE} subordinate ids are reserved for ${deps.userName}`;
      return failing(ID, message, isRoot ? 'Run "terok-mcp setup".' : advise(texts));
    },
    apply: async (_progress, signal) => {
      const texts = loadSubordinateTexts(deps.files);
      const free = findFreeRange([texts.subuid, texts.subgid]);
      if (!isRoot || free === undefined) {
        throw new HostError(`No subordinate ids are reserved for ${deps.userName}`, { hint: advise(texts) });
      }
      await deps.runner.run(addSubordinateRange(deps.userName, free), { signal });
    },
  };
}

import type { Project } from '../../projects/contract.ts';
import type { TaskTotals } from './credential-use.ts';

type Budget = NonNullable<Project['settings']['vault']['budget']>;

/** What a task may have used in all, extensions among it; undefined: no limit of that kind. */
export interface Limits {
  readonly usd: number | undefined;
  readonly requests: number | undefined;
}

/** @param times how often a person gave the same amount again. */
export const limitsOf = ({ usd, requests }: Budget, times: number): Limits => ({
  usd: usd === undefined ? undefined : usd * (1 + times),
  requests: requests === undefined ? undefined : requests * (1 + times),
});

export const isUsedUp = ({ requests, costUsd }: TaskTotals, limits: Limits): boolean =>
  (limits.usd !== undefined && costUsd >= limits.usd) ||
  (limits.requests !== undefined && requests >= limits.requests);

/** Like `5.03 of 5.00 US dollars, 80 of 100 requests`. */
export function describeUse({ requests, costUsd }: TaskTotals, limits: Limits): string {
  const parts = [
    ...(limits.usd === undefined ? [] : [`${inDollars(costUsd)} of ${inDollars(limits.usd)} US dollars`]),
    ...(limits.requests === undefined ? [] : [`${requests} of ${limits.requests} requests`]),
  ];
  return parts.join(', ');
}

/** What one more approval gives, like `5.00 US dollars and 100 requests`. */
export function describeAmount({ usd, requests }: Budget): string {
  const parts = [
    ...(usd === undefined ? [] : [`${inDollars(usd)} US dollars`]),
    ...(requests === undefined ? [] : [`${requests} requests`]),
  ];
  return parts.join(' and ');
}

/** Cents, and of less than a cent what there is. */
const inDollars = (usd: number): string => (usd > 0 && usd < 0.01 ? usd.toPrecision(2) : usd.toFixed(2));

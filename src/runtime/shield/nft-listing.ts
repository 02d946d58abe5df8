import { z } from 'zod';
import type { CommandOutput } from '../core/command.ts';
import { CommandError } from '../core/errors.ts';
import type { EgressRule, RefusedConnection } from './contract.ts';

/** What the kernel holds in one namespace, split into what must equal our intent and what it counted. */
export interface NftListing {
  /** Everything but handles, counters and set contents, in order: equal strings are equal policies. */
  readonly policy: string;
  /** Contents of the sets of opened destinations, sorted. */
  readonly allowed: readonly string[];
  readonly refused: readonly RefusedConnection[];
}

const Listing = z.object({ nftables: z.array(z.record(z.string(), z.unknown())) });
const Concat = z.object({ concat: z.tuple([z.string(), z.string(), z.union([z.number(), z.string()])]) });
const SeenElement = z.object({ elem: z.object({ val: Concat, counter: z.object({ packets: z.number() }) }) });
const SetObject = z.looseObject({ name: z.string(), elem: z.array(z.unknown()).optional() });

export const allowKey = (rule: EgressRule): string => `${rule.address} ${rule.protocol} ${rule.port}`;

/** Reads `nft -j list ruleset` (libnftables-json(5)). Throws CommandError for anything it cannot read whole. */
export function parseListing({ stdout }: Pick<CommandOutput, 'stdout'>): NftListing {
  const policy: unknown[] = [];
  const allowed: string[] = [];
  const refused: RefusedConnection[] = [];
  try {
    for (const object of Listing.parse(JSON.parse(stdout)).nftables) {
      if ('metainfo' in object) continue;
      const set = SetObject.safeParse(object['set']).data;
      if (set !== undefined && /^allow[46]$/.test(set.name)) {
        for (const element of set.elem ?? []) allowed.push(Concat.parse(element).concat.join(' '));
      } else if (set !== undefined && /^seen[46]$/.test(set.name)) {
        for (const element of set.elem ?? []) refused.push(toRefused(SeenElement.parse(element)));
      }
      policy.push(withoutState(object));
    }
  } catch (cause) {
    throw new CommandError('The rules of a task network cannot be read back', {
      hint: 'Check "nft --version"; 1.0.6 and newer are known to work.',
      cause,
    });
  }
  return { policy: JSON.stringify(policy), allowed: allowed.sort(), refused };
}

function toRefused({ elem }: z.infer<typeof SeenElement>): RefusedConnection {
  const [address, protocol, port] = elem.val.concat;
  return { address, protocol, port: Number(port), packets: elem.counter.packets };
}

/** Drops what differs between two loads of one policy: handles, and the contents of sets that change. */
function withoutState(object: Readonly<Record<string, unknown>>): unknown {
  const [[kind, body] = ['', {}]] = Object.entries(object);
  const { handle: _handle, ...rest } = z.record(z.string(), z.unknown()).parse(body);
  if (kind === 'set' && /^(?:allow|seen)[46]$/.test(String(rest['name']))) delete rest['elem'];
  return { [kind]: rest };
}

import { HostError, PolicyError } from '../core/errors.ts';
import type { Gate, OutgoingObject, PromoteRequest } from '../gate/contract.ts';
import type { Vault } from '../vault/contract.ts';

export interface LeakCheckDeps {
  readonly gate: Pick<Gate, 'outgoing'>;
  readonly vault: Pick<Vault, 'status' | 'scanStream'>;
}

const MAX_NAMED = 5;
const UNNAMED: Readonly<Record<string, string>> = {
  commit: 'its message',
  tree: 'the name of a file',
  blob: 'a file with it in its name',
};
const SEPARATOR = Buffer.from('\n');

/**
 * Refuses a change that has a credential of the vault anywhere in what its promotion would publish. Denies whatever
 * could not be looked through: HostError while the vault is locked, PolicyError for a find or too large a change,
 * and what the gate throws.
 */
export async function assertNoLeak(
  { gate, vault }: LeakCheckDeps,
  request: PromoteRequest,
  signal?: AbortSignal,
): Promise<void> {
  const { credentials, state } = vault.status();
  if (credentials === 0) return;
  if (state === 'locked') {
    throw new HostError('The vault is locked, so the change cannot be searched for your credentials', {
      hint: 'Run "terok-mcp vault unlock" on this machine, then promote again; nothing was pushed.',
    });
  }
  const names = await vault.scanStream(textOf(`${request.branch}\n${request.target ?? ''}`));
  if (names.length > 0) throw new LeakFoundError(names, ['the name of the branch'], { isInName: true });
  const providers = await vault.scanStream(contentsOf(gate.outgoing(request, signal)));
  if (providers.length === 0) return;
  throw new LeakFoundError(providers, await placesOf({ gate, vault }, request, signal), { isInName: false });
}

/** Names whose credential it is and where it stands, never what it is. */
export class LeakFoundError extends PolicyError {
  /** The name of the branch is not to be repeated. */
  readonly isInName: boolean;

  constructor(
    providers: readonly string[],
    places: readonly string[],
    { isInName }: { readonly isInName: boolean },
  ) {
    super(
      `The change holds ${providers.length === 1 ? 'a credential' : 'credentials'} of ${providers.join(', ')}; nothing was pushed`,
      {
        hint: 'Have the work redone on a new branch without it in any commit: to remove it in a later one is not enough. A container has had the real value: replace it at its vendor, then with "terok-mcp auth".',
        details: places.join('\n'),
      },
    );
    this.isInName = isInName;
  }
}

async function* textOf(text: string): AsyncGenerator<Uint8Array, void, void> {
  yield Buffer.from(text);
}

/** One text for one search; nothing is found across two objects. */
async function* contentsOf(objects: AsyncIterable<OutgoingObject>): AsyncGenerator<Uint8Array, void, void> {
  for await (const { content } of objects) {
    yield* content;
    yield SEPARATOR;
  }
}

/** Looks again, one object at a time. */
async function placesOf(
  { gate, vault }: LeakCheckDeps,
  request: PromoteRequest,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const places: string[] = [];
  for await (const { content, commit, path, type } of gate.outgoing(request, signal)) {
    const providers = await vault.scanStream(content);
    if (providers.length === 0) continue;
    const isInName = path !== undefined && (await vault.scanStream(textOf(path))).length > 0;
    const what = isInName || path === undefined ? (UNNAMED[type] ?? `a ${type}`) : path;
    places.push(`${providers.join(', ')}: ${what} of commit ${commit.slice(0, 12)}`);
    if (places.length >= MAX_NAMED) break;
  }
  return places;
}

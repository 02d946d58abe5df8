import type { Agents, CredentialRoute } from '../agents/contract.ts';
import type { Clock } from '../core/clock.ts';

/** To read the roster's files takes longer than a small request: what they said holds for a moment. */
const HOLDS_MS = 2_000;

/** Routes by name of their entry, as the roster's files were at most two seconds ago. */
export class KnownRoutes {
  readonly #agents: Pick<Agents, 'roster'>;
  readonly #clock: Clock;
  #last:
    | { readonly atMs: number; readonly routes: Promise<ReadonlyMap<string, CredentialRoute>> }
    | undefined;

  constructor(deps: { readonly agents: Pick<Agents, 'roster'>; readonly clock: Clock }) {
    this.#agents = deps.agents;
    this.#clock = deps.clock;
  }

  /** Throws InvalidInputError where the roster cannot be read. */
  get(): Promise<ReadonlyMap<string, CredentialRoute>> {
    const nowMs = this.#clock.now().getTime();
    const last = this.#last;
    if (last !== undefined && Math.abs(nowMs - last.atMs) < HOLDS_MS) return last.routes;
    const routes = this.#read();
    const next = { atMs: nowMs, routes };
    this.#last = next;
    routes.catch(() => {
      if (this.#last === next) this.#last = undefined;
    });
    return routes;
  }

  async #read(): Promise<ReadonlyMap<string, CredentialRoute>> {
    const { entries } = await this.#agents.roster();
    return new Map(entries.flatMap(({ name, route }) => (route === undefined ? [] : [[name, route]])));
  }
}

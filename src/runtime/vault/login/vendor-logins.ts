import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Agents, RosterEntry } from '../../agents/contract.ts';
import type { Clock } from '../../core/clock.ts';
import {
  CancelledError,
  CommandError,
  HostError,
  InvalidInputError,
  NotFoundError,
} from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { didYouMean, quoted } from '../../core/nearest.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import { type ContainerEngine, type ContainerState, LABEL } from '../../engine/contract.ts';
import type { ImageRequest, Images } from '../../images/contract.ts';
import { type CredentialInfo, DEFAULT_SET, type LoginStart, type Vault } from '../contract.ts';
import type { CredentialStore } from '../parts.ts';
import type { StoredCredential } from '../stored-credential.ts';
import { extractFrom } from './credential-extract.ts';
import { LOGIN_LIFETIME_S, LOGIN_USER, loginContainer } from './login-container.ts';
import { LoginDirectoryStore } from './login-directory-store.ts';

/** Leaving a terminal and the end of its container are told apart after so long. */
const END_NOTICED_MS = 5_000;
const POLL_MS = 100;
/** 128 and SIGINT, SIGKILL, SIGTERM. */
const GIVEN_UP = [130, 137, 143];

export interface VendorLoginsDeps {
  readonly engine: Pick<
    ContainerEngine,
    'idMapping' | 'hostOwner' | 'launch' | 'remove' | 'inspect' | 'list'
  >;
  readonly images: Pick<Images, 'ensure'>;
  readonly agents: Pick<Agents, 'roster'>;
  readonly store: Pick<CredentialStore, 'status' | 'put'>;
  /** Whose agents' image is used: that of the machine. */
  readonly imageRequest: () => Promise<ImageRequest>;
  readonly networkProgram: () => Promise<'slirp4netns' | 'pasta'>;
  /** `<runtime>/logins`: in memory where the machine has such a place. */
  readonly directory: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface OpenLogin {
  readonly provider: string;
  readonly set: string;
  readonly auth: NonNullable<RosterEntry['auth']>;
  /** Ends the watch over its time. */
  readonly ended: AbortController;
}

/**
 * Logins by the vendors' own programs, each in a container of its own that a person attaches to. What it leaves is read
 * by the roster's rules and goes into the vault; container and directory go in any case.
 */
export class VendorLogins
  implements Pick<Vault, 'beginLogin' | 'finishLogin' | 'cancelLogin'>, AsyncDisposable
{
  readonly #deps: VendorLoginsDeps;
  readonly #directories: LoginDirectoryStore;
  readonly #open = new Map<string, OpenLogin>();

  constructor(deps: VendorLoginsDeps) {
    this.#deps = deps;
    this.#directories = new LoginDirectoryStore({ directory: deps.directory });
  }

  /** Removes what logins left that an earlier run began. */
  async start(): Promise<void> {
    const { engine, instance, log } = this.#deps;
    try {
      for (const { name } of await engine.list({ [LABEL.login]: instance }))
        if (!this.#open.has(name)) await engine.remove(name);
      for (const id of await this.#directories.ids())
        if (!this.#open.has(id)) await this.#directories.destroy(id);
    } catch (error) {
      log.warn({ error: String(error) }, 'what an earlier login left could not be removed');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#open.keys()].map((container) => this.#remove(container)));
  }

  async beginLogin(
    provider: string,
    options: { readonly set?: string | undefined } = {},
  ): Promise<LoginStart> {
    const { engine, images, store, imageRequest, networkProgram, instance } = this.#deps;
    const status = store.status();
    if (status.state === 'locked')
      throw new HostError('The vault is locked', { hint: 'Run "terok-mcp vault unlock".' });
    const { entry, auth, login, home } = await this.#entryOf(provider);
    // Not told of: the command line says that an image is made, when that takes its time.
    const { l1, inventory } = await images.ensure(await imageRequest(), () => undefined);
    if (!inventory.installed.some(({ name }) => name === provider)) {
      const skipped = inventory.skipped.find(({ name }) => name === provider);
      throw new InvalidInputError(`${entry.title} is not in the agents' image`, {
        hint: 'Name it under docker.agents of config.yml, or log in elsewhere and store its key.',
        details: skipped?.reason,
      });
    }
    const container = `terok-login-${provider}-${randomBytes(4).toString('hex')}`;
    const opened: OpenLogin = {
      provider,
      set: options.set ?? DEFAULT_SET,
      auth,
      ended: new AbortController(),
    };
    this.#open.set(container, opened);
    try {
      const directory = await this.#directories.create(container, engine.hostOwner(LOGIN_USER));
      await engine.launch(
        loginContainer({
          entry,
          name: container,
          image: l1,
          instance,
          login,
          home,
          directory,
          idMapping: engine.idMapping(LOGIN_USER),
          networkProgram: await networkProgram(),
        }),
      );
    } catch (error) {
      await this.#remove(container);
      throw error;
    }
    void this.#endInTime(container, opened.ended.signal);
    return { provider, container, hint: auth.hint };
  }

  async finishLogin(container: string): Promise<CredentialInfo> {
    const login = this.#openLogin(container);
    try {
      const ended = await this.#ended(container);
      if (ended === undefined || GIVEN_UP.includes(ended.exitCode))
        throw new CancelledError(`The login of ${login.provider} was given up`, {
          hint: 'Nothing was kept.',
        });
      if (ended.exitCode !== 0) {
        throw new CommandError(
          `The login of ${login.provider} failed: its program ended with exit code ${ended.exitCode}`,
          { hint: 'Nothing was kept. What it said stood on the terminal.' },
        );
      }
      return this.#deps.store.put(login, await this.#extract(container, login));
    } finally {
      await this.#remove(container);
    }
  }

  async cancelLogin(container: string): Promise<void> {
    if (this.#open.has(container)) await this.#remove(container);
  }

  async #entryOf(provider: string): Promise<{
    readonly entry: RosterEntry;
    readonly auth: NonNullable<RosterEntry['auth']>;
    readonly login: { readonly command: readonly string[]; readonly publish: readonly string[] };
    readonly home: string;
  }> {
    const { entries } = await this.#deps.agents.roster();
    const entry = entries.find(({ name }) => name === provider);
    if (entry === undefined) {
      const names = entries.filter(({ auth }) => auth?.login !== undefined).map(({ name }) => name);
      throw new NotFoundError(`The roster has no ${quoted(provider)}`, {
        hint: didYouMean(provider, names, `One can log in to ${names.join(', ')}.`),
      });
    }
    const { auth } = entry;
    if (auth?.login === undefined || auth.directory === undefined || auth.extract.length === 0) {
      throw new InvalidInputError(`${entry.title} has no login of its own`, {
        hint: `Store an API key: terok-mcp auth ${provider} --api-key`,
      });
    }
    return { entry, auth, login: auth.login, home: auth.directory.container };
  }

  #openLogin(container: string): OpenLogin {
    const login = this.#open.get(container);
    if (login !== undefined) return login;
    throw new NotFoundError(`No login goes on in ${cleanLine(container, 80)}`, {
      hint: 'It took too long, or the daemon was started anew meanwhile: begin again.',
    });
  }

  /** Undefined for one that still runs: the person has left it. */
  async #ended(container: string): Promise<ContainerState | undefined> {
    const { engine, clock } = this.#deps;
    for (let waitedMs = 0; waitedMs <= END_NOTICED_MS; waitedMs += POLL_MS) {
      const state = await engine.inspect(container);
      if (state === undefined || state.status === 'exited') return state;
      await clock.sleep(POLL_MS);
    }
    return undefined;
  }

  async #extract(container: string, { provider, auth }: OpenLogin): Promise<StoredCredential> {
    const problems: string[] = [];
    for (const rule of auth.extract) {
      const file = await this.#directories.read(container, rule.file);
      const extracted =
        file.text === undefined ? { problem: `${rule.file} ${file.problem}` } : extractFrom(file.text, rule);
      if (extracted.credential !== undefined) return extracted.credential;
      problems.push(extracted.problem);
    }
    const names = await this.#directories.names(container);
    throw new CommandError(`The login of ${provider} left no credential that can be used`, {
      hint: 'Finish the login before you leave the program, and try again. Nothing was kept.',
      details: `${problems.join('; ')}. It left: ${names.join(', ') || 'nothing'}`,
    });
  }

  async #endInTime(container: string, ended: AbortSignal): Promise<void> {
    try {
      await this.#deps.clock.sleep(LOGIN_LIFETIME_S * 1000, ended);
    } catch {
      return;
    }
    await this.#remove(container).catch((error: unknown) => {
      this.#deps.log.warn({ container, error: String(error) }, 'a login that took too long was not removed');
    });
  }

  /**
   * The directory goes after the container: one that still runs could put a link in the place of what is destroyed. Where
   * the container cannot be removed, both wait for the next start.
   */
  async #remove(container: string): Promise<void> {
    this.#open.get(container)?.ended.abort();
    this.#open.delete(container);
    await this.#deps.engine.remove(container);
    await this.#directories.destroy(path.basename(container));
  }
}

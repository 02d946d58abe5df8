import { arch } from 'node:os';
import type { Command, CommandRunner } from '../core/command.ts';
import { HostError, RuntimeError } from '../core/errors.ts';
import { type ContainerEngine, LABEL, type Progress } from '../engine/contract.ts';
import {
  debianSources,
  debianSourcesFiles,
  keyringsOf,
  parseIndexTargets,
  proxyOptions,
  versionCodename,
} from './apt-sources.ts';
import { type BaseArchiveStore, keepExisting, readExisting } from './base-archive-store.ts';
import {
  archiveName,
  buildRootFilesystem,
  dumpAptConfig,
  LOCAL_BASE,
  LOCAL_SUITE,
  listAptIndexes,
  PUBLISHED_BASE,
  recipeHash,
  resolveRegistry,
} from './base-recipe.ts';
import type { Parent } from './layers.ts';

/** A pull that has not begun to copy after this long is not going to. */
const PULL_START_MS = 30_000;
const PULL_MS = 600_000;
/** Where Debian's own packages, and those of its derivatives, put the archive's keys. */
const WELL_KNOWN_KEYRINGS = [
  '/usr/share/keyrings/debian-archive-keyring.gpg',
  '/usr/share/keyrings/debian-archive-keyring.pgp',
];

/** Sees to it that mmdebstrap is there, or throws HostError with what a person must do. */
export type PrepareBuilder = (progress: Progress, signal?: AbortSignal) => Promise<void>;

type Labels = Readonly<Record<string, string>>;

/** The image below all layers: Ubuntu where it can be pulled, else a Debian built from the host's own apt sources. */
export class BaseImage {
  readonly #engine: ContainerEngine;
  readonly #runner: CommandRunner;
  readonly #archives: BaseArchiveStore;
  readonly #isRoot: boolean;
  readonly #hasProxy: boolean;
  readonly #prepareBuilder: PrepareBuilder;

  constructor(deps: {
    readonly engine: ContainerEngine;
    readonly runner: CommandRunner;
    readonly archives: BaseArchiveStore;
    readonly isRoot: boolean;
    /** Whether pulls go through a proxy, which then resolves names in our place. */
    readonly hasProxy?: boolean;
    readonly prepareBuilder?: PrepareBuilder | undefined;
  }) {
    this.#engine = deps.engine;
    this.#runner = deps.runner;
    this.#archives = deps.archives;
    this.#isRoot = deps.isRoot;
    this.#hasProxy = deps.hasProxy ?? false;
    this.#prepareBuilder = deps.prepareBuilder ?? (async () => undefined);
  }

  /** Names a base may have here, the better first. */
  candidates(named: string | undefined): readonly string[] {
    return named === undefined ? [PUBLISHED_BASE, LOCAL_BASE] : [named];
  }

  /** The base this machine has already, going by the labels of what is there; undefined when none fits. */
  choose(named: string | undefined, labels: ReadonlyMap<string, Labels>): Parent | undefined {
    const found = this.candidates(named).map((tag) => fitting(tag, labels.get(tag)));
    return found.find((parent) => parent !== undefined);
  }

  /**
   * Whether `provide` would surely have to build an archive: none is cached, and the registry cannot be found.
   * False promises nothing: the pull may fail all the same, and `provide` sees to the builder then.
   */
  async wouldBuild(signal?: AbortSignal): Promise<boolean> {
    if ((await this.#archives.find(archiveName(arch()))) !== undefined) return false;
    return !(await this.#mayFindRegistry(PUBLISHED_BASE, signal));
  }

  /** Pulls or, where none was named, builds a base. Throws HostError when neither is possible here. */
  async provide(named: string | undefined, progress: Progress, signal?: AbortSignal): Promise<Parent> {
    const reason = await this.#pull(named ?? PUBLISHED_BASE, progress, signal);
    if (reason === undefined) return { tag: named ?? PUBLISHED_BASE, content: undefined };
    if (named !== undefined) {
      // Never another one in its place: whoever names a base has a reason.
      throw new HostError(`The base image ${named} is not here and cannot be pulled: ${reason}`, {
        hint: 'Check docker.base_image, or bring it here: "terok-mcp podman load -i <archive>".',
      });
    }
    progress(
      `${PUBLISHED_BASE} cannot be had: ${reason}. Using Debian ${LOCAL_SUITE} instead; it is not Ubuntu.`,
    );
    const archive = (await this.#archives.find(archiveName(arch()))) ?? (await this.#build(progress, signal));
    progress(`Importing ${LOCAL_BASE} from ${archive}`);
    const content = recipeHash(arch());
    const labels = { [LABEL.content]: content, [LABEL.layer]: 'base' };
    try {
      await this.#engine.importImage(archive, LOCAL_BASE, labels, signal);
    } catch (error) {
      if (signal?.aborted !== true) await this.#archives.drop(archive);
      throw error;
    }
    return { tag: LOCAL_BASE, content };
  }

  /** Pulls a base anew. One that cannot be pulled is kept, and says so. */
  async refresh(
    present: Parent,
    named: string | undefined,
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<Parent> {
    const wanted = named ?? PUBLISHED_BASE;
    const reason = await this.#pull(wanted, progress, signal);
    if (reason === undefined) return { tag: wanted, content: undefined };
    progress(`${wanted} cannot be pulled: ${reason}. Keeping ${present.tag} as it is.`);
    return present;
  }

  /** Undefined when it worked, else why not: being offline is an ordinary state of a machine. */
  async #pull(
    image: string,
    progress: Progress,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (image.startsWith('localhost/')) return 'it is of this machine, and no registry has it';
    if (!(await this.#mayFindRegistry(image, signal))) return 'the name of its registry does not resolve';
    progress(`Pulling ${image}`);
    const impatience = new AbortController();
    let timer = setTimeout(() => impatience.abort(), PULL_START_MS);
    const onLine: Progress = (line) => {
      progress(line);
      if (!/copying|signatures/i.test(line)) return;
      clearTimeout(timer);
      timer = setTimeout(() => impatience.abort(), PULL_MS);
    };
    try {
      await this.#engine.pull(
        image,
        onLine,
        AbortSignal.any([impatience.signal, ...(signal === undefined ? [] : [signal])]),
      );
      return undefined;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof RuntimeError)) throw error;
      return impatience.signal.aborted ? 'its registry does not answer' : 'the pull failed';
    } finally {
      clearTimeout(timer);
    }
  }

  async #mayFindRegistry(image: string, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#hasProxy) return true;
    const isFound = await this.#runner.run(resolveRegistry(image), { signal }).catch(() => false);
    signal?.throwIfAborted();
    return isFound;
  }

  async #build(progress: Progress, signal: AbortSignal | undefined): Promise<string> {
    const [indexText, configText, [osRelease = '']] = await Promise.all([
      this.#ask(listAptIndexes, signal),
      this.#ask(dumpAptConfig, signal),
      readExisting(['/etc/os-release']),
    ]);
    const indexes = parseIndexTargets(indexText);
    const hostCodename = versionCodename(osRelease);
    const sources = debianSources(indexes, { suite: LOCAL_SUITE, hostCodename });
    if (sources.length === 0) {
      throw new HostError(
        'There is no base image, and apt on this machine has no Debian archive to build one from',
        {
          hint: `Give it one: "terok-mcp podman pull ${PUBLISHED_BASE}", or "terok-mcp podman load -i <archive>".`,
        },
      );
    }
    const declared = await readExisting(debianSourcesFiles(indexes, hostCodename));
    const named = await keepExisting([...new Set(declared.flatMap(keyringsOf))]);
    const keyrings = named.length > 0 ? named : (await keepExisting(WELL_KNOWN_KEYRINGS)).slice(0, 1);
    await this.#prepareBuilder(progress, signal);
    progress(`Building Debian ${LOCAL_SUITE} from this machine's own apt sources (about 20 s)`);
    return await this.#archives.add(archiveName(arch()), async (temporary) => {
      const command = buildRootFilesystem({
        isRoot: this.#isRoot,
        archive: temporary,
        sources,
        keyrings,
        proxies: proxyOptions(configText),
      });
      await this.#runner.run(command, { signal, onLine: (line) => reportStep(line, progress) });
    });
  }

  /** A machine without apt has no sources: that is an answer. */
  async #ask(command: Command<string>, signal: AbortSignal | undefined): Promise<string> {
    return await this.#runner.run(command, { signal }).catch((error: unknown) => {
      if (error instanceof HostError) return '';
      throw error;
    });
  }
}

function fitting(tag: string, labels: Labels | undefined): Parent | undefined {
  if (labels === undefined) return undefined;
  if (tag !== LOCAL_BASE) return { tag, content: undefined };
  const content = labels[LABEL.content];
  return content === recipeHash(arch()) ? { tag, content } : undefined;
}

/** mmdebstrap marks its own steps; the rest is what apt and dpkg say. */
function reportStep(line: string, progress: Progress): void {
  const step = /^I: (.+)$/.exec(line.trim())?.[1];
  if (step !== undefined && !step.startsWith('success')) progress(`mmdebstrap: ${step}`);
}

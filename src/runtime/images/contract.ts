import { z } from 'zod';
import type { Progress } from '../engine/contract.ts';

export const PackageFamily = z.enum(['deb', 'rpm']);
export type PackageFamily = z.infer<typeof PackageFamily>;

/** The `docker` section of `config.yml` and `project.yml`. */
export const DockerSettings = z
  .strictObject({
    base_image: z
      .string()
      .max(300)
      .default('')
      .describe(
        'Image below all layers. Blank: ubuntu:24.04, or a Debian built here where that cannot be had.',
      ),
    family: PackageFamily.optional().describe(
      'Package manager of the base image, where its name does not tell.',
    ),
    agents: z
      .union([z.literal('all'), z.array(z.string().min(1).max(32)).min(1).max(50)])
      .default('all')
      .describe('Agents and tools in the image: all, or a list of names.'),
    user_snippet_file: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('File with Dockerfile lines for the project image, relative to the project directory.'),
    user_snippet_inline: z
      .string()
      .max(256 * 1024)
      .optional()
      .describe('Dockerfile lines, after those of the file; they run as root.'),
  })
  .describe('Images.');
export type DockerSettings = z.infer<typeof DockerSettings>;

/** Whose images: a project's, or those of the machine (set-up), which have no project layer. */
export interface ImageRequest {
  readonly project: { readonly id: string; readonly directory: string } | undefined;
  readonly docker: DockerSettings;
}

/** The images of projects that say nothing about theirs: those of `config.yml`, whose sections are validated. */
export const machineImages = ({
  sections,
}: {
  readonly sections: Readonly<Record<string, unknown>>;
}): ImageRequest => ({ project: undefined, docker: DockerSettings.parse(sections['docker'] ?? {}) });

/** A project's own; a repository without a project stands right on the agents' layer. */
export const projectImages = ({
  id,
  directory,
  settings,
  isRepository,
}: {
  readonly id: string;
  readonly directory: string;
  readonly isRepository: boolean;
  readonly settings: { readonly docker: DockerSettings };
}): ImageRequest => ({ project: isRepository ? undefined : { id, directory }, docker: settings.docker });

export interface InstalledAgent {
  readonly name: string;
  readonly version: string;
}

export interface SkippedAgent {
  readonly name: string;
  /** One line, in our own words or cleaned. */
  readonly reason: string;
}

/** What really is in an image, from its labels. */
export interface Inventory {
  readonly installed: readonly InstalledAgent[];
  /** Could not be installed, or did not answer its probe. */
  readonly skipped: readonly SkippedAgent[];
}

export interface ReadyImages {
  /** The base as it is: `docker.io/library/ubuntu:24.04`, or a local Debian tagged as such. */
  readonly base: string;
  readonly l0: string;
  readonly l1: string;
  /** Only with a snippet. */
  readonly l2: string | undefined;
  /** What tasks run on: L2 where there is one, else L1. */
  readonly task: string;
  readonly inventory: Inventory;
}

/**
 * project: what is missing or stale, and the project's own layer in any case. agents: agents are installed anew,
 * packages of the system are kept. full: everything, without cache, from a base that is pulled again.
 */
export const BuildScope = z.enum(['project', 'agents', 'full']);
export type BuildScope = z.infer<typeof BuildScope>;

export interface BuildRequest extends ImageRequest {
  readonly scope: BuildScope;
  /** Also the image for debugging by hand: the project's snippet on L0. */
  readonly dev: boolean;
  /** Also the image of tools that get a real credential. */
  readonly sidecar: boolean;
}

export interface BuildResult extends ReadyImages {
  readonly dev: string | undefined;
  readonly sidecar: string | undefined;
  /** Tags that were built now. */
  readonly built: readonly string[];
}

export interface ImageRecord {
  readonly id: string;
  readonly tags: readonly string[];
  readonly layer: 'base' | 'l0' | 'l1' | 'l2' | 'dev' | 'sidecar';
  readonly project: string | undefined;
  readonly sizeBytes: number;
  readonly createdAt: string;
  /** dangling: lost its tag to a newer one; orphaned: its base is gone, or its project, which was of this instance. */
  readonly state: 'used' | 'dangling' | 'orphaned';
}

export interface Images {
  /** Builds what is missing or stale; a build of one tag runs once, however many wait. No engine build when nothing changed. */
  ensure(request: ImageRequest, progress: Progress, signal?: AbortSignal): Promise<ReadyImages>;
  /** The image for debugging by hand. */
  ensureDev(request: ImageRequest, progress: Progress, signal?: AbortSignal): Promise<string>;
  /** The image of sidecar tools, with what is in it. */
  ensureSidecar(
    request: ImageRequest,
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<{ readonly tag: string; readonly inventory: Inventory }>;
  /** Throws CommandError naming the layer, with the last lines; the tags stay as they were. */
  build(request: BuildRequest, progress: Progress, signal?: AbortSignal): Promise<BuildResult>;
  /**
   * Writes Dockerfiles and what they copy, and builds nothing. Throws InvalidInputError when the directory is a
   * file or not empty, before anything else is looked at. Returns the files' paths.
   */
  generate(request: ImageRequest, directory: string): Promise<readonly string[]>;
  /** Which layers `ensure` would build, without building: for `setup --check` and `doctor`. */
  plan(request: ImageRequest, signal?: AbortSignal): Promise<{ readonly missing: readonly string[] }>;
  /** What is in the agents' image; undefined when there is none yet. */
  inventory(request: ImageRequest, signal?: AbortSignal): Promise<Inventory | undefined>;
  /** Images of ours. `projects` are those that exist. */
  list(projects: readonly string[], signal?: AbortSignal): Promise<readonly ImageRecord[]>;
  /**
   * Removes dangling and orphaned images of ours, never one that a container uses. Returns what went. Throws
   * ConflictError while images are being built here.
   */
  cleanup(
    options: { readonly projects: readonly string[]; readonly dryRun: boolean },
    signal?: AbortSignal,
  ): Promise<readonly ImageRecord[]>;
  /**
   * Whether `ensure` would surely have to build a base image here, for which the host needs mmdebstrap (where a
   * pull may help, set-up sees to that when it has failed). `mayAskEngine` false: answers without touching the engine, as before the first set-up.
   */
  wouldBuildBase(options: { readonly mayAskEngine: boolean }, signal?: AbortSignal): Promise<boolean>;
}

/** Where a build stands that somebody asked about. */
export type BuildProgress =
  | {
      readonly state: 'building';
      readonly elapsedMs: number;
      /** Outside text, not cleaned; undefined before the first. */
      readonly lastLine: string | undefined;
    }
  | { readonly state: 'built'; readonly result: BuildResult };

/** Builds that may take longer than whoever asks for them waits. */
export interface ImageBuilds {
  /**
   * Joins the running build of this very request, or takes the outcome of one that nobody waited for, or starts one.
   * A failure is thrown once, as the error it was. Without `waitMs` it waits until the end.
   *
   * `outlivesCaller`: the build goes on when nobody waits for it; its outcome is kept for the next who asks, for a
   * quarter of an hour. Otherwise it is cancelled when the last one has left.
   */
  join(
    request: BuildRequest,
    options: { readonly waitMs?: number | undefined; readonly outlivesCaller: boolean },
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<BuildProgress>;
  /** Builds that run: reasons for a daemon to stay. */
  activeCount(): number;
}

/** A directory or file of the host inside the container. Relabelled for SELinux: `private` to this container. */
export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
}

/** How container ids map to host ids; container root is never host root. */
export type IdMapping =
  /** Rootless: container uid/gid `user` is the person's own; everything else is from their subordinate range. */
  | { readonly kind: 'keep-id'; readonly user: number }
  /** Rootful: container ids 0..size-1 are host ids from `hostStart`. */
  | { readonly kind: 'range'; readonly hostStart: number; readonly size: number };

/**
 * A container as a value: everything about it, nothing about how an engine is asked for it. Golden tests pin
 * this and its rendering.
 */
export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly workdir: string;
  /** Numeric uid (and gid) inside the container. */
  readonly user: number;
  readonly idMapping: IdMapping;
  readonly mounts: readonly Mount[];
  readonly devices: Devices;
  /** A terminal for a person who attaches; without one output is a plain log. */
  readonly terminal: boolean;
  readonly network: ContainerNetwork;
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Absent where the host cannot enforce limits; `doctor` says so. */
  readonly limits: ResourceLimits | undefined;
  readonly log: { readonly hostPath: string; readonly maxBytes: number };
  readonly stopTimeoutS: number;
  /** The container is killed after so many seconds, whatever its processes do; undefined: never. */
  readonly lifetimeS: number | undefined;
}

export type ContainerNetwork =
  /** A pinned network namespace whose rules are already loaded. */
  | { readonly kind: 'namespace'; readonly path: string }
  | { readonly kind: 'none' }
  /**
   * All of the internet, through user-mode networking, and not the host's loopback: for a person who logs in to a vendor
   * with the vendor's own program, and for nothing else. No agent and no repository is ever in such a container.
   */
  | {
      readonly kind: 'open';
      readonly program: 'slirp4netns' | 'pasta';
      /** Ports of the host's loopback that lead into the container, under the same number. */
      readonly loopbackPorts: readonly number[];
    };

/** Devices of the host inside the container. */
export interface Devices {
  /** Fully qualified CDI names, like `nvidia.com/gpu=all`. */
  readonly cdi: readonly string[];
  /** Device nodes, where there is no CDI specification. */
  readonly nodes: readonly string[];
  /** Rootless: the person's own groups go with them, because the nodes belong to `video` or `render`. */
  readonly keepGroups: boolean;
}

export interface ResourceLimits {
  readonly memoryBytes: number;
  readonly pids: number;
  readonly cpus: number;
}

export interface ContainerState {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: 'created' | 'running' | 'exited';
  /** Meaningful when `exited`. */
  readonly exitCode: number;
  readonly wasOutOfMemory: boolean;
  readonly pid: number | undefined;
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
}

export interface EngineInfo {
  readonly name: 'podman';
  readonly version: string;
  readonly isRootless: boolean;
  readonly storageDriver: string;
  /** The OCI runtime's name, like runc or crun. */
  readonly ociRuntime: string;
  readonly cgroupVersion: string;
  /** Why memory, cpu and pids limits are not enforced; undefined when they are. */
  readonly limitsUnavailable: string | undefined;
}

export interface ImageBuild {
  readonly tag: string | undefined;
  readonly dockerfile: string;
  /** Directory that `COPY` reads. */
  readonly context: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Host directories the build's steps see; nothing of them stays in the image. */
  readonly volumes: readonly Mount[];
  /** Build without the cache of earlier builds. */
  readonly noCache: boolean;
  readonly buildArguments: Readonly<Record<string, string>>;
}

/** A local image as the engine lists it. */
export interface ImageState {
  readonly id: string;
  /** Empty for one that lost its tags. */
  readonly tags: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly parentId: string | undefined;
}

export type Progress = (message: string) => void;

/**
 * What the rest of the runtime may ask of a container engine. Every call is bounded in time and takes a
 * signal. "The query failed" is an exception, never an empty answer.
 */
export interface ContainerEngine {
  /** Throws HostError when the engine is missing or cannot work here, with the reason. */
  info(signal?: AbortSignal): Promise<EngineInfo>;
  /** The id mapping for a container user on this host. */
  idMapping(user: number): IdMapping;
  /** Owner, on the host, of files made by this container user. */
  hostOwner(user: number): { readonly uid: number; readonly gid: number };
  /** Creates and starts. Throws ConflictError when the name is taken; leaves no container when it fails. */
  launch(spec: ContainerSpec, signal?: AbortSignal): Promise<{ readonly id: string }>;
  /**
   * Starts a container that has ended, as it was made; output goes on in the same log. Throws CommandError when it
   * cannot start, NotFoundError when it is not there.
   */
  start(name: string, signal?: AbortSignal): Promise<void>;
  /** TERM, then KILL after the grace period. An absent or stopped container counts as success. */
  stop(name: string, graceS: number, signal?: AbortSignal): Promise<void>;
  /** Removes, killing first where needed. An absent container counts as success. */
  remove(name: string, signal?: AbortSignal): Promise<void>;
  inspect(name: string, signal?: AbortSignal): Promise<ContainerState | undefined>;
  /** Those of these containers that exist. */
  inspectAll(names: readonly string[], signal?: AbortSignal): Promise<readonly ContainerState[]>;
  /** All containers, running or not, that carry every one of these labels. */
  list(labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<readonly ContainerState[]>;
  /** Labels of a local image; undefined when there is none of that name. */
  imageLabels(tag: string, signal?: AbortSignal): Promise<Readonly<Record<string, string>> | undefined>;
  /** Labels of those local images that exist, by the name asked for; one call for all. */
  labelsOf(
    names: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  pull(image: string, progress: Progress, signal?: AbortSignal): Promise<void>;
  /** Makes an image from a root file system archive. */
  importImage(
    archive: string,
    tag: string,
    labels: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Builds and, where `tag` is given, names the result once it is complete. Returns the image id. */
  build(build: ImageBuild, progress: Progress, signal?: AbortSignal): Promise<string>;
  /** Ends the build of this Dockerfile that a process which is gone has left running, if there is one. */
  abandonBuild(dockerfile: string): Promise<void>;
  /** Removes the containers of builds that were cut off hours ago; images they stand on cannot go before. */
  removeStaleBuilds(nowMs: number, signal?: AbortSignal): Promise<void>;
  /** Local images that carry this label, the steps of builds among them (untagged, with children). */
  listImages(label: string, signal?: AbortSignal): Promise<readonly ImageState[]>;
  /** Removes a tag or image id. Throws ConflictError while a container or another image needs it. */
  removeImage(image: string, signal?: AbortSignal): Promise<void>;
  /**
   * Output of a program in a throw-away container of an image, without network or mounts. With an id mapping the
   * engine may have to copy the image to those ids, once: afterwards containers that have it start quickly.
   */
  runOnce(
    run: {
      readonly image: string;
      readonly command: readonly string[];
      readonly timeoutMs: number;
      readonly idMapping?: IdMapping | undefined;
    },
    signal?: AbortSignal,
  ): Promise<string>;
  /** Argument prefix that runs a host program inside the namespaces owning the engine's networks; empty for root. */
  hostNamespacePrefix(signal?: AbortSignal): Promise<readonly string[]>;
  /**
   * Calls back soon after any container of ours may have ended. A hint only: ask `inspect`. Returns the way
   * to stop watching.
   */
  watchExits(listener: () => void): () => void;
}

/** Labels on every container and image we make; orphans are found by them. */
export const LABEL = {
  instance: 'ai.terok.instance',
  project: 'ai.terok.project',
  task: 'ai.terok.task',
  mode: 'ai.terok.mode',
  agent: 'ai.terok.agent',
  /** Fingerprint of everything a task's container was made with: another one needs another container. */
  spec: 'ai.terok.spec',
  content: 'ai.terok.content-hash',
  base: 'ai.terok.base',
  /** base, l0, l1, l2, dev or sidecar. */
  layer: 'ai.terok.layer',
  /** Instance that made a container for a login: no container of a task, though it is of the same instance. */
  login: 'ai.terok.login',
  /** JSON of an image's `Inventory`; versions stand besides under `ai.terok.agent.<name>`. */
  inventory: 'ai.terok.inventory',
  agentVersion: 'ai.terok.agent.',
  /** Marks a build that was asked for although nothing had changed; images on top of it are stale without it. */
  refresh: 'ai.terok.refresh',
} as const;

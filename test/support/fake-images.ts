import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CancelledError, InvalidInputError } from '../../src/runtime/core/errors.ts';
import type { Progress } from '../../src/runtime/engine/contract.ts';
import type {
  BuildRequest,
  BuildResult,
  ImageRecord,
  ImageRequest,
  Images,
  Inventory,
} from '../../src/runtime/images/contract.ts';

const INVENTORY: Inventory = {
  installed: [
    { name: 'claude', version: '2.1.319' },
    { name: 'scripted', version: '1' },
  ],
  skipped: [{ name: 'vibe', reason: 'its package \u001b[31mcannot be had' }],
};

/** Images without Podman. A build waits for `finish` or `fail`, unless `isInstant`. */
export class FakeImages implements Images {
  isInstant = true;
  inventoryProblem: Error | undefined;
  /** What was asked to be built, in order. */
  readonly builds: BuildRequest[] = [];
  readonly records: ImageRecord[] = [
    record({
      id: 'sha256:aaaabbbbccccdddd',
      tags: ['demo:l2-cli'],
      layer: 'l2',
      project: 'demo',
      state: 'used',
    }),
    record({ id: 'sha256:eeeeffff00001111', tags: [], layer: 'l1', project: undefined, state: 'dangling' }),
    record({ id: 'sha256:2222', tags: ['gone:l2-cli'], layer: 'l2', project: 'gone', state: 'orphaned' }),
  ];
  /** Projects that exist, as `list` or `cleanup` were told last. */
  existing: readonly string[] = [];
  #running: { report: Progress; resolve: (result: BuildResult) => void; reject: (error: unknown) => void }[] =
    [];

  /** Builds that are neither finished nor cancelled. */
  get runningCount(): number {
    return this.#running.length;
  }

  report(line: string): void {
    for (const { report } of this.#running) report(line);
  }

  finish(): void {
    for (const { resolve } of this.#running.splice(0)) resolve(resultOf(this.builds.at(-1)));
  }

  fail(error: unknown): void {
    for (const { reject } of this.#running.splice(0)) reject(error);
  }

  async build(request: BuildRequest, progress: Progress, signal?: AbortSignal): Promise<BuildResult> {
    this.builds.push(request);
    if (this.isInstant) {
      progress('Building terok-l1-cli:test');
      return resultOf(request);
    }
    return await new Promise((resolve, reject) => {
      const run = { report: progress, resolve, reject };
      this.#running.push(run);
      signal?.addEventListener('abort', () => {
        this.#running = this.#running.filter((other) => other !== run);
        reject(new CancelledError('the build was cancelled'));
      });
    });
  }

  async generate(_request: ImageRequest, directory: string): Promise<readonly string[]> {
    const info = await lstat(directory).catch(() => undefined);
    if (info !== undefined && !info.isDirectory()) throw new InvalidInputError(`${directory} is a file`);
    if (info !== undefined && (await readdir(directory)).length > 0)
      throw new InvalidInputError(`${directory} is not empty`, { hint: 'Name an empty directory.' });
    await mkdir(directory, { recursive: true });
    const file = path.join(directory, 'L0.Dockerfile');
    await writeFile(file, 'FROM scratch\n');
    return [file];
  }

  async inventory(): Promise<Inventory | undefined> {
    if (this.inventoryProblem !== undefined) throw this.inventoryProblem;
    return this.builds.length === 0 ? undefined : INVENTORY;
  }

  async list(projects: readonly string[]): Promise<readonly ImageRecord[]> {
    this.existing = projects;
    return this.records;
  }

  async cleanup(options: { readonly projects: readonly string[]; readonly dryRun: boolean }) {
    this.existing = options.projects;
    const leftover = this.records.filter(({ state }) => state !== 'used');
    if (!options.dryRun)
      this.records.splice(0, this.records.length, ...this.records.filter(({ state }) => state === 'used'));
    return leftover;
  }

  async ensure() {
    return resultOf(undefined);
  }

  async ensureDev(): Promise<string> {
    return 'demo:l2-dev';
  }

  async ensureSidecar() {
    return { tag: 'terok-l1-sidecar:test', inventory: INVENTORY };
  }

  async plan() {
    return { missing: [] };
  }

  async wouldBuildBase(): Promise<boolean> {
    return false;
  }
}

function resultOf(request: BuildRequest | undefined): BuildResult {
  return {
    base: 'docker.io/library/ubuntu:24.04',
    l0: 'terok-l0:test',
    l1: 'terok-l1-cli:test',
    l2: undefined,
    task: 'terok-l1-cli:test',
    inventory: INVENTORY,
    dev: request?.dev === true ? 'demo:l2-dev' : undefined,
    sidecar: request?.sidecar === true ? 'terok-l1-sidecar:test' : undefined,
    built: request?.scope === 'full' ? ['terok-l0:test', 'terok-l1-cli:test'] : ['terok-l1-cli:test'],
  };
}

function record(about: Pick<ImageRecord, 'id' | 'tags' | 'layer' | 'project' | 'state'>): ImageRecord {
  return { ...about, sizeBytes: 300 * 1024 ** 2, createdAt: '2026-01-01T00:00:00.000Z' };
}

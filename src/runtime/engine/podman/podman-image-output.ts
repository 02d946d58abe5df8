import { z } from 'zod';
import type { CommandOutput } from '../../core/command.ts';
import { CommandError } from '../../core/errors.ts';
import { cleanTail } from '../../core/untrusted-text.ts';
import type { ImageState } from '../contract.ts';
import { parseJson } from './podman-output.ts';

const labels = z.record(z.string(), z.string()).nullish();
const names = z.array(z.string()).nullish();

const ImageInspect = z.array(
  z.object({ Id: z.string(), RepoTags: names, RepoDigests: names, Labels: labels }),
);

const ImageList = z.array(
  z.object({
    Id: z.string(),
    ParentId: z.string().nullish(),
    Names: names,
    Labels: labels,
    Size: z.number(),
    Created: z.number(),
  }),
);

/** Absent images are simply not in the result; anything else Podman complains about is thrown. */
export function parseLabelsByName({
  stdout,
  stderr,
  exitCode,
}: CommandOutput): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const complaints = stderr.split('\n').filter((line) => line.startsWith('Error:'));
  if (exitCode !== 0 && !complaints.every((line) => NO_IMAGE.test(line))) {
    throw new CommandError('Podman could not inspect images', { details: cleanTail(stderr) });
  }
  const found = parseJson(ImageInspect, stdout.trim() === '' ? '[]' : stdout, 'podman image inspect');
  return new Map(
    found.flatMap((image) =>
      [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])].map(
        (name) => [name, image.Labels ?? {}] as const,
      ),
    ),
  );
}

export function parseImageList({ stdout }: CommandOutput): readonly ImageState[] {
  return parseJson(ImageList, stdout.trim() === '' ? '[]' : stdout, 'podman images').map((image) => ({
    id: image.Id,
    tags: image.Names ?? [],
    labels: image.Labels ?? {},
    sizeBytes: image.Size,
    createdAt: new Date(image.Created * 1000).toISOString(),
    parentId: image.ParentId || undefined,
  }));
}

/** `podman build` ends with the id of what it built. One that failed says why on either stream, or on both. */
export function parseBuiltId({ stdout, stderr, exitCode }: CommandOutput): string {
  if (exitCode !== 0) {
    const details = [stdout, stderr].map((text) => cleanTail(text, 1000)).filter((text) => text !== '');
    throw new CommandError(`"podman build" failed (exit code ${exitCode})`, { details: details.join('\n') });
  }
  const id = /^(?:sha256:)?([0-9a-f]{64})$/.exec(stdout.trimEnd().split('\n').at(-1)?.trim() ?? '')?.[1];
  if (id !== undefined) return id;
  throw new CommandError('Podman built an image and did not say which', { details: cleanTail(stdout) });
}

export interface BuildContainer {
  readonly id: string;
  readonly createdAtMs: number;
}

const ContainerList = z.array(
  z.object({ Id: z.string(), Command: names, State: z.string().nullish(), Created: z.number() }),
);

/** Of the containers in the store, those that are no engine's but a build's. */
export function parseBuildContainers({ stdout }: CommandOutput): readonly BuildContainer[] {
  return parseJson(ContainerList, stdout.trim() === '' ? '[]' : stdout, 'podman ps')
    .filter(({ Command, State }) => State === 'storage' && Command?.join(' ') === 'buildah')
    .map(({ Id, Created }) => ({ id: Id, createdAtMs: Created * 1000 }));
}

export interface RemovalOutcome {
  /** What still needs the image; undefined when it is gone. */
  readonly problem: string | undefined;
}

export function parseRemoval({ stderr, exitCode }: CommandOutput): RemovalOutcome {
  if (exitCode === 0 || NO_IMAGE.test(stderr)) return { problem: undefined };
  if (/in use|used by|dependent child|depend/i.test(stderr)) return { problem: cleanTail(stderr) };
  throw new CommandError('Podman could not remove an image', { details: cleanTail(stderr) });
}

const NO_IMAGE = /no such image|image not known|failed to find image/i;

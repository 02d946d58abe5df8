import { z } from 'zod';
import type { CommandOutput } from '../../core/command.ts';
import { CommandError } from '../../core/errors.ts';
import { cleanTail } from '../../core/untrusted-text.ts';
import type { ContainerState } from '../contract.ts';

// Podman's JSON differs between releases in what it adds, so unknown keys pass; what we rely on is checked.
const ContainerInspect = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    State: z.object({
      Status: z.string(),
      Pid: z.number().optional(),
      ExitCode: z.number(),
      OOMKilled: z.boolean().optional(),
      StartedAt: z.string().optional(),
      FinishedAt: z.string().optional(),
    }),
    Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }),
  }),
);

const ImageInspect = z.array(z.object({ Labels: z.record(z.string(), z.string()).nullish() }));

const Info = z.object({
  host: z.object({
    cgroupVersion: z.string(),
    cgroupControllers: z.array(z.string()).nullish(),
    security: z.object({ rootless: z.boolean(), selinuxEnabled: z.boolean().optional() }),
    ociRuntime: z.object({ name: z.string() }).optional(),
  }),
  store: z.object({ graphDriverName: z.string() }),
  version: z.object({ Version: z.string() }),
});

export interface PodmanInfo {
  readonly version: string;
  readonly isRootless: boolean;
  readonly cgroupVersion: string;
  readonly cgroupControllers: readonly string[];
  readonly storageDriver: string;
  readonly ociRuntime: string;
}

export function parseInfo({ stdout }: CommandOutput): PodmanInfo {
  const info = parseJson(Info, stdout, 'podman info');
  return {
    version: info.version.Version,
    isRootless: info.host.security.rootless,
    cgroupVersion: info.host.cgroupVersion,
    cgroupControllers: info.host.cgroupControllers ?? [],
    storageDriver: info.store.graphDriverName,
    ociRuntime: info.host.ociRuntime?.name ?? 'unknown',
  };
}

/** Absent containers are simply not in the result; anything else Podman complains about is thrown. */
export function parseContainers({ stdout, stderr, exitCode }: CommandOutput): readonly ContainerState[] {
  if (exitCode !== 0 && !/no such container/i.test(stderr)) {
    throw new CommandError('Podman could not inspect containers', { details: cleanTail(stderr) });
  }
  return parseJson(ContainerInspect, stdout === '' ? '[]' : stdout, 'podman container inspect').map(
    (container) => ({
      id: container.Id,
      name: container.Name,
      labels: container.Config.Labels ?? {},
      status: normaliseStatus(container.State.Status),
      exitCode: container.State.ExitCode,
      wasOutOfMemory: container.State.OOMKilled ?? false,
      pid: container.State.Pid === 0 ? undefined : container.State.Pid,
      startedAt: realTime(container.State.StartedAt),
      finishedAt: realTime(container.State.FinishedAt),
    }),
  );
}

export function parseImageLabels({
  stdout,
  stderr,
  exitCode,
}: CommandOutput): Readonly<Record<string, string>> | undefined {
  if (exitCode !== 0) {
    if (/no such image|image not known|failed to find image/i.test(stderr)) return undefined;
    throw new CommandError('Podman could not inspect an image', { details: cleanTail(stderr) });
  }
  return parseJson(ImageInspect, stdout, 'podman image inspect')[0]?.Labels ?? {};
}

/** False for a container that is not there; anything else Podman complains about is thrown. */
export function parseStarted({ stderr, exitCode }: CommandOutput): boolean {
  if (exitCode === 0) return true;
  if (/no such container|no container with name or ID/i.test(stderr)) return false;
  throw new CommandError('A container could not be started again', { details: cleanTail(stderr) });
}

export const parseNames = ({ stdout }: CommandOutput): readonly string[] =>
  stdout.split('\n').filter((line) => line !== '');

function normaliseStatus(status: string): ContainerState['status'] {
  switch (status) {
    case 'created':
    case 'configured':
    case 'initialized':
      return 'created';
    case 'exited':
    case 'stopped':
    case 'dead':
    case 'removing':
      return 'exited';
    default:
      // running, paused, stopping, unknown: a process may still live in it.
      return 'running';
  }
}

/** Podman writes year 1 for "never". */
function realTime(text: string | undefined): string | undefined {
  if (text === undefined || text.startsWith('0001-')) return undefined;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

export function parseJson<T>(schema: z.ZodType<T>, text: string, what: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CommandError(`The output of "${what}" is not what this release understands`, {
      hint: 'Check the Podman version with "podman --version"; 4.3 to 5.x are known to work.',
      cause,
    });
  }
}

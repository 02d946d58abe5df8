import { z } from 'zod';
import { AgentName } from '../core/ids.ts';
import { packageName, programName, version } from './field-schemas.ts';

/** How the packages of an agent get into the image. Everything runs as root, at build time, before any task. */
export const Install = z
  .strictObject({
    requires: z.array(AgentName).default([]).describe('Agents that must be installed as well.'),
    bundled: z
      .array(programName)
      .default([])
      .describe('Programs of resources/container/ for /usr/local/bin.'),
    programs: z
      .record(programName, z.string().max(256 * 1024))
      .default({})
      .describe('Programs by name, written out here, for /usr/local/bin. Begin with "#!".'),
    apt: z.array(packageName).default([]).describe('Packages of Debian and its derivatives.'),
    rpm: z.array(packageName).default([]).describe('Packages of Fedora and its derivatives.'),
    npm: z
      .record(
        packageName,
        z.strictObject({
          version,
          bin: z.array(programName).default([]).describe('Its programs to put on the PATH.'),
          omit_optional: z
            .boolean()
            .default(false)
            .describe(
              'Leave out optional dependencies, like a second copy of a program that is there anyway.',
            ),
        }),
      )
      .default({}),
    pip: z
      .record(packageName, z.strictObject({ version, bin: z.array(programName).default([]) }))
      .default({})
      .describe('Python packages, each in a virtual environment of its own.'),
    shell: z
      .string()
      .max(64 * 1024)
      .optional()
      .describe('Commands for sh -eu, last, as root, where no package manager offers it.'),
  })
  .describe('How it gets into the image.');

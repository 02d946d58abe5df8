import path from 'node:path';
import { control, type ImageView } from '../control/control-protocol.ts';
import { emptyBuildDirectory } from './build-directory-store.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';
import type { Output } from './output.ts';

const MEBIBYTE = 1024 ** 2;

const build: Command = {
  usage: 'image build [<project>] [--agents | --full-rebuild] [--dev] [--sidecar] [--build-dir <dir>]',
  summary:
    'Build what is stale. --agents: agents anew; --full-rebuild: all anew; --build-dir: write the Dockerfiles too.',
  run: async (args, { withDaemon, output, host }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      {
        agents: { type: 'boolean' },
        'full-rebuild': { type: 'boolean' },
        dev: { type: 'boolean' },
        sidecar: { type: 'boolean' },
        'build-dir': { type: 'string' },
      },
      { names: [], optional: ['<project>'] },
    );
    const isFull = values['full-rebuild'] === true;
    if (isFull && values.agents === true)
      throw new UsageError('--agents and --full-rebuild exclude each other');
    const interrupted = new AbortController();
    host.onSignal(() => interrupted.abort());
    const built = await withDaemon(
      async (client) =>
        await client.call(
          control.imagesBuild,
          {
            project: positionals[0],
            scope: isFull ? 'full' : values.agents === true ? 'agents' : 'project',
            dev: values.dev === true,
            sidecar: values.sidecar === true,
            buildDir: toAbsolute(values['build-dir'], host),
          },
          { onProgress: (line) => output.note(`· ${line}`), signal: interrupted.signal },
        ),
    );
    if (built.built.length === 0) output.line('Nothing to build: all images are up to date.');
    for (const tag of built.built) output.line(`Built ${tag}`);
    output.line(`Tasks run on ${built.task_image}`);
    for (const { name, version } of built.installed) output.line(`  ✓ ${name} ${version}`);
    for (const { name, reason } of built.skipped) output.line(`  ! ${name} skipped: ${reason}`);
    return 0;
  },
};

const generate: Command = {
  usage: 'image generate [<project>] [--build-dir <dir>]',
  summary:
    'Write the Dockerfiles and what they copy, and build nothing. The directory must be empty or absent.',
  run: async (args, { withDaemon, output, host, paths }) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { 'build-dir': { type: 'string' } },
      { names: [], optional: ['<project>'] },
    );
    const [project] = positionals;
    const buildDir =
      toAbsolute(values['build-dir'], host) ?? (await emptyBuildDirectory(paths, { project, uid: host.uid }));
    const { files } = await withDaemon(
      async (client) => await client.call(control.imagesGenerate, { project, buildDir }),
    );
    for (const file of files) output.line(file);
    return 0;
  },
};

const list: Command = {
  usage: 'image list [--json]',
  summary: 'List the images of terok-mcp, and which of them nothing needs any more.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { json: { type: 'boolean' } });
    const { images } = await withDaemon(async (client) => await client.call(control.imagesList, {}));
    if (values.json === true) output.json(images);
    else if (images.length === 0) output.line('No images yet. Build them: terok-mcp image build');
    else printImages(output, images);
    return 0;
  },
};

const cleanup: Command = {
  usage: 'image cleanup [--dry-run]',
  summary:
    'Remove images of terok-mcp that lost their tag, their project or their base. What the images in use were built from stays: the next build is as fast.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { 'dry-run': { type: 'boolean' } });
    const dryRun = values['dry-run'] === true;
    const { removed } = await withDaemon(
      async (client) => await client.call(control.imagesCleanup, { dryRun }),
    );
    if (removed.length === 0) output.line('Nothing to remove.');
    else {
      output.line(dryRun ? 'Would remove:' : 'Removed:');
      printImages(output, removed);
    }
    return 0;
  },
};

function printImages(output: Output, images: readonly ImageView[]): void {
  output.table(
    ['IMAGE', 'LAYER', 'PROJECT', 'STATE', 'MIB', 'CREATED'],
    images.map(({ id, tags, layer, project, state, sizeBytes, createdAt }) => [
      tags[0] ?? id.replace(/^sha256:/, '').slice(0, 12),
      layer,
      project ?? '-',
      state,
      String(Math.round(sizeBytes / MEBIBYTE)),
      createdAt,
    ]),
  );
}

function toAbsolute(directory: string | undefined, { cwd }: { readonly cwd: string }): string | undefined {
  if (directory === '') throw new UsageError('--build-dir takes a directory');
  return directory === undefined ? undefined : path.resolve(cwd, directory);
}

export const image: Readonly<Record<string, Command>> = { build, generate, list, cleanup };

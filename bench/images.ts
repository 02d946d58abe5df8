import type { ImageRequest } from '../src/runtime/images/contract.ts';
import { type Figure, toFigure } from '../test/support/figure.ts';
import { podmanEngine } from '../test/support/host.ts';
import { imageBuilder, imageRequest, paths, podman } from '../test/support/images.ts';

const ROUNDS = 9;
const BASE = `localhost/terok-bench-${process.pid}:1`;
const AGAIN = `localhost/terok-bench-${process.pid}:2`;
const quiet = (): void => undefined;

/**
 * Images that are up to date against one `podman image exists`, each time by a builder that remembers nothing;
 * a container of the image with all agents against one of the bare base image; and what builds cost, without cache
 * against with it, once, on a base name of our own so that nobody's images change.
 */
export async function run(): Promise<readonly Figure[]> {
  const request = imageRequest({ agents: 'all', base_image: BASE, family: 'deb' });
  const { base: present } = await imageBuilder().ensure(imageRequest(), quiet);
  await podman('tag', present, BASE, AGAIN);
  try {
    return [...(await builds(request)), await nothingChanged(request), await containerStart(request)];
  } finally {
    const names = (await podman('images', '--format={{.Repository}}:{{.Tag}}')).split('\n');
    for (const name of names.filter((each) => each.includes(`terok-bench-${process.pid}`)))
      await podman('rmi', '--force', name);
  }
}

async function builds(request: ImageRequest): Promise<readonly Figure[]> {
  const cold = await timed((progress) =>
    imageBuilder().build({ ...request, scope: 'full', dev: false, sidecar: false }, progress),
  );
  // Without their names they are not there, and every step of them is in the cache.
  await podman('untag', cold.l1Tag);
  const l1Ms = await milliseconds(() => imageBuilder().ensure(request, quiet));
  const again = { ...request, docker: { ...request.docker, base_image: AGAIN } };
  const l0 = await imageBuilder().ensureDev(again, quiet);
  await podman('untag', l0);
  const l0Ms = await milliseconds(() => imageBuilder().ensureDev(again, quiet));
  return [
    toFigure('L0 build without cache, against with it', { ours: [cold.l0Ms], baseline: [l0Ms] }),
    toFigure('L1 build (all agents) without cache, against with it', { ours: [cold.l1Ms], baseline: [l1Ms] }),
  ];
}

/** The two layers of one build, by what it says when it begins with each. */
async function timed(
  build: (progress: (line: string) => void) => Promise<{ readonly l0: string; readonly l1: string }>,
) {
  const begun: number[] = [];
  const { l0, l1 } = await build((line) => {
    if (line.startsWith('Building ')) begun.push(performance.now());
  });
  const [first = Number.NaN, second = Number.NaN] = begun;
  return { l0Tag: l0, l1Tag: l1, l0Ms: second - first, l1Ms: performance.now() - second };
}

async function nothingChanged(request: ImageRequest): Promise<Figure> {
  const ours: number[] = [];
  const baseline: number[] = [];
  const { l1 } = await imageBuilder().ensure(request, quiet);
  for (let round = 0; round < ROUNDS; round += 1) {
    baseline.push(await milliseconds(() => podman('image', 'exists', l1)));
    ours.push(await milliseconds(() => imageBuilder().ensure(request, quiet)));
  }
  return toFigure('images up to date, against podman image exists', { ours, baseline });
}

async function containerStart(request: ImageRequest): Promise<Figure> {
  const { l1, base } = await imageBuilder().ensure(request, quiet);
  const ours: number[] = [];
  const baseline: number[] = [];
  // The first container of an image pays for its ids being mapped.
  for (const image of [l1, base]) await start(image);
  for (let round = 0; round < ROUNDS; round += 1) {
    baseline.push(await milliseconds(() => start(base)));
    ours.push(await milliseconds(() => start(l1)));
  }
  return toFigure('container on all agents, against the bare base', { ours, baseline });
}

function start(image: string): Promise<string> {
  const mapping = podmanEngine(paths).idMapping(1000);
  const ids =
    mapping.kind === 'keep-id'
      ? ['--userns=keep-id:uid=1000,gid=1000']
      : ['uidmap', 'gidmap'].map((map) => `--${map}=0:${mapping.hostStart}:${mapping.size}`);
  const sandbox = ['--network=none', '--cap-drop=all', '--tmpfs=/sys:ro,size=4k'];
  return podman('run', '--rm', '--pull=never', '--user=1000:1000', ...ids, ...sandbox, '--', image, 'true');
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

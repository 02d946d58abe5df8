import type { Chain } from './layer-planner.ts';
import type { ContextFile, Layer } from './layers.ts';

/** A chain's Dockerfiles and what they copy, for a directory that serves as the context of all of them (pure). */
export function generatedFiles({ l0, l1, l2, dev, sidecar }: Chain): readonly ContextFile[] {
  const dockerfile = (name: string, layer: Layer | undefined): readonly ContextFile[] =>
    layer === undefined ? [] : [{ name, content: layer.dockerfile, isExecutable: false }];
  return [
    ...dockerfile('L0.Dockerfile', l0),
    ...dockerfile('L1.cli.Dockerfile', l1),
    ...dockerfile('L1.sidecar.Dockerfile', sidecar),
    ...dockerfile('L2.Dockerfile', l2),
    ...dockerfile('L2.dev.Dockerfile', dev),
    ...[l0, l1, sidecar].flatMap(({ files }) => files),
  ];
}

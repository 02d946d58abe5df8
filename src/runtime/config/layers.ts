import path from 'node:path';
import { copyPlain, deepMerge, isMapping } from '../core/deep-merge.ts';
import { InvalidInputError } from '../core/errors.ts';
import { checkValue } from '../core/schema-problems.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { showKey } from '../core/yaml-document.ts';
import { AgentLayer, type ConfigScope } from './contract.ts';

type Layer = Readonly<Record<string, unknown>>;

interface MergedLayers {
  readonly merged: Layer;
  /** By the absolute path of a sub-agent's file: where it was named. */
  readonly origins: ReadonlyMap<string, string>;
}

/** Lays the scopes over one another, the last on top. Throws InvalidInputError naming the source of a bad one. */
export function mergeLayers(scopes: readonly ConfigScope[]): MergedLayers {
  const origins = new Map<string, string>();
  const layers = scopes.map((scope) => withAbsoluteFiles(scope, origins));
  return { merged: layers.reduce<Layer>(deepMerge, {}), origins };
}

/** A list of sub-agents may come from several files, so that each path is settled before they are merged. */
function withAbsoluteFiles(scope: ConfigScope, origins: Map<string, string>): Layer {
  // zod would drop a key `__proto__` in silence.
  const { data: layer, problems } = checkValue(AgentLayer, copyPlain(scope.layer));
  if (layer === undefined) {
    const [first] = problems;
    throw new InvalidInputError(
      `${scope.source}: ${first === undefined ? 'cannot be used' : `${showKey(first.path)}: ${first.problem}`}`,
      { hint: 'See "terok-mcp config schema preset" for what may stand there.' },
    );
  }
  if (!Array.isArray(layer.subagents)) return layer;
  const subagents = layer.subagents.map((entry) => {
    if (!isMapping(entry) || typeof entry['file'] !== 'string') return entry;
    if (scope.directory === undefined) {
      throw new InvalidInputError(
        `${scope.source}: the sub-agent "${cleanLine(String(entry['name'] ?? entry['file']), 64)}" is a file of this host`,
        { hint: 'Files can be named in config.yml, project.yml and presets only.' },
      );
    }
    const file = path.resolve(scope.directory, entry['file']);
    origins.set(file, scope.source);
    return { ...entry, file };
  });
  return { ...layer, subagents };
}

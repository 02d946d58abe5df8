import type { AgentFile } from '../agents/contract.ts';
import { type ContextFile, contentHash, type Layer, layerTags, type Parent } from './layers.ts';

/** Programs every task has, whatever its agent: the init script and git's way to the gate. */
export const L0_FILES = ['terok-init', 'terok-git-credential', 'gitconfig'] as const;

/** Templates and context files as read from `resources/`. */
export interface LayerSources {
  readonly l0Template: string;
  readonly l1Template: string;
  readonly l0Files: readonly ContextFile[];
  readonly agentFiles: readonly ContextFile[];
}

/** Both layers on a base: what they are called, how they are built, and their content hashes. */
export function planLayers(sources: LayerSources, base: Parent): { readonly l0: Layer; readonly l1: Layer } {
  const tags = layerTags(base.tag);
  const l0 = layer(tags.l0, render(sources.l0Template, { base: base.tag }), sources.l0Files, base);
  const programs = sources.agentFiles.map((file) => file.name).join(' ');
  const l1Dockerfile = render(sources.l1Template, { parent: tags.l0, programs });
  const l1 = layer(tags.l1, l1Dockerfile, sources.agentFiles, { tag: l0.tag, content: l0.contentHash });
  return { l0, l1 };
}

/** Names of bundled programs of the whole roster, each once, sorted. */
export function bundledPrograms(agents: readonly AgentFile[]): readonly string[] {
  return [...new Set(agents.flatMap((agent) => agent.install.bundled))].sort();
}

/**
 * Fills `{{slots}}`. A slot without a value and a value without a slot are both mistakes of ours, so both
 * throw: a Dockerfile with a hole in it would still build something.
 */
export function render(template: string, slots: Readonly<Record<string, string>>): string {
  const used = new Set<string>();
  const rendered = template.replace(/\{\{([a-z]+)\}\}/g, (_, name: string) => {
    const value = slots[name];
    if (value === undefined) throw new Error(`the template names an unknown slot "${name}"`);
    if (/[\r\n]/.test(value)) throw new Error(`the value of slot "${name}" has a line break`);
    used.add(name);
    return value;
  });
  const unused = Object.keys(slots).filter((name) => !used.has(name));
  if (unused.length > 0) throw new Error(`the template has no slot "${unused.join('", "')}"`);
  return rendered;
}

function layer(tag: string, dockerfile: string, files: readonly ContextFile[], parent: Parent): Layer {
  return { tag, dockerfile, files, contentHash: contentHash({ dockerfile, files, parent }) };
}

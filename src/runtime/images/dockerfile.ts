import type { RosterEntry } from '../agents/contract.ts';
import type { AgentSelection } from './agent-selection.ts';
import type { PackageFamily } from './contract.ts';
import { AGENT_SOURCES, agentFiles } from './install-script.ts';
import {
  type ContextFile,
  contentHash,
  digest,
  type Layer,
  layerTags,
  type Parent,
  projectTags,
} from './layers.ts';

/** Programs every task has, whatever its agent: the init script and git's way to the gate. */
export const L0_FILES = [
  'terok-init',
  'terok-git-credential',
  'gitconfig',
  'profile.sh',
  'container-tmux.conf',
] as const;

export const TEMPLATES = [
  'l0.deb.Dockerfile',
  'l0.rpm.Dockerfile',
  'l0.common.Dockerfile',
  'l1.Dockerfile',
  'node.Dockerfile',
  'python.deb.Dockerfile',
  'python.rpm.Dockerfile',
  'l2.Dockerfile',
] as const;

/** Files of `resources/` that layers are made of. */
export interface LayerSources {
  readonly templates: Readonly<Record<(typeof TEMPLATES)[number], string>>;
  readonly l0Files: readonly ContextFile[];
  /** `install-agent.sh`. */
  readonly installer: ContextFile;
  /** By name. */
  readonly bundled: ReadonlyMap<string, ContextFile>;
  /** Versions of Node and npm, and npm's word for this machine's processor. */
  readonly toolchain: { readonly node: string; readonly npm: string; readonly architecture: string };
}

/** What the layers of one request are made of, before anything is known of what is there. */
export interface LayerInputs {
  readonly sources: LayerSources;
  readonly family: PackageFamily;
  readonly agents: AgentSelection;
  /** Names in the tag of the agents' image. */
  readonly selection: 'all' | readonly string[];
  readonly sidecarTools: AgentSelection;
  readonly project: string | undefined;
  readonly snippet: string | undefined;
}

export function l0Layer({ sources, family }: LayerInputs, base: Parent): Layer {
  const { templates } = sources;
  const dockerfile = render(
    templates[`l0.${family}.Dockerfile`],
    { base: base.tag },
    { common: templates['l0.common.Dockerfile'] },
  );
  return {
    ...complete('l0', layerTags(base.tag, 'all').l0, dockerfile, sources.l0Files, base),
    base: base.tag,
  };
}

/** The agents of a request on L0. */
export function l1Layer(inputs: LayerInputs, base: string, l0: Parent): Layer {
  const { l1 } = layerTags(base, inputs.selection);
  return { ...agentLayer('l1', l1, 'Layer 1: the agents.', inputs, inputs.agents, l0), base };
}

/** Tools that get a real credential, without agents. */
export function sidecarLayer(inputs: LayerInputs, base: string, l0: Parent): Layer {
  const { sidecar } = layerTags(base, 'all');
  const title = 'Tools that get a real credential, without agents.';
  return { ...agentLayer('sidecar', sidecar, title, inputs, inputs.sidecarTools, l0), base };
}

/** A project's own lines, on the agents' image or, for debugging by hand, on L0. Undefined when it has none. */
export function projectLayer(
  kind: 'l2' | 'dev',
  { sources, project, snippet }: LayerInputs,
  base: string,
  parent: Parent,
): Layer | undefined {
  if (project === undefined || snippet === undefined) return undefined;
  const title =
    kind === 'l2' ? "Layer 2: the project's own lines." : "The project's own lines without agents.";
  const dockerfile = render(sources.templates['l2.Dockerfile'], { title, parent: parent.tag }, { snippet });
  return { ...complete(kind, projectTags(project)[kind], dockerfile, [], parent), base, project };
}

function agentLayer(
  kind: 'l1' | 'sidecar',
  tag: string,
  title: string,
  { sources, family }: LayerInputs,
  agents: AgentSelection,
  l0: Parent,
): Omit<Layer, 'base'> {
  const { templates, toolchain } = sources;
  const steps = agents.entries.map((entry) => {
    const files = agentFiles(entry, family, sources.bundled);
    return { files, run: runStep(entry, family, digest([sources.installer, ...files]).slice(0, 16)) };
  });
  const needsNode = agents.entries.some(({ install }) => Object.keys(install.npm).length > 0);
  const needsPython = agents.entries.some(({ install }) => Object.keys(install.pip).length > 0);
  const files = [sources.installer, ...steps.flatMap((step) => step.files)].map((file) => ({
    ...file,
    name: `agents/${file.name}`,
  }));
  const dockerfile = render(
    templates['l1.Dockerfile'],
    { title, parent: l0.tag },
    {
      packages: needsPython ? templates[`python.${family}.Dockerfile`] : '',
      node: needsNode ? render(templates['node.Dockerfile'], toolchain) : '',
      agents: steps.map(({ run }) => run).join('\n'),
    },
  );
  return { ...complete(kind, tag, dockerfile, files, l0), agents, needsNode };
}

/** One step an agent, so that another version of one leaves those before it alone. */
function runStep(entry: RosterEntry, family: PackageFamily, hash: string): string {
  const { install } = entry;
  const packages = family === 'deb' ? install.apt : install.rpm;
  const wantsCache =
    packages.length > 0 || [install.npm, install.pip].some((record) => Object.keys(record).length > 0);
  const mounts = [
    `type=bind,source=agents,target=${AGENT_SOURCES}`,
    // Not /tmp: builders take the place of such a mount away with it.
    'type=tmpfs,target=/run/terok-scratch',
    ...(wantsCache ? ['type=cache,target=/run/terok-cache,sharing=locked'] : []),
  ];
  const words = ['sh', `${AGENT_SOURCES}/install-agent.sh`, entry.name, hash, ...install.requires];
  return `RUN ${mounts.map((mount) => `--mount=${mount}`).join(' \\\n    ')} \\\n    ${words.join(' ')}`;
}

function complete(
  kind: Layer['kind'],
  tag: string,
  dockerfile: string,
  files: readonly ContextFile[],
  parent: Parent,
): Omit<Layer, 'base'> {
  return {
    kind,
    tag,
    dockerfile,
    files,
    contentHash: contentHash({ dockerfile, files, parent }),
    project: undefined,
    agents: undefined,
    needsNode: false,
  };
}

/**
 * Fills `{{slots}}`, and `{{{blocks}}}` that stand on a line of their own, which goes when the block is empty. One
 * without a value and a value without a slot are both mistakes of ours, so both throw: a Dockerfile with a hole in
 * it would still build something.
 */
export function render(
  template: string,
  slots: Readonly<Record<string, string>>,
  blocks: Readonly<Record<string, string>> = {},
): string {
  const unused = new Set([...Object.keys(slots), ...Object.keys(blocks)]);
  const take = (values: Readonly<Record<string, string>>, name: string): string => {
    const value = values[name];
    if (value === undefined) throw new Error(`the template names an unknown slot "${name}"`);
    unused.delete(name);
    return value;
  };
  const rendered = template.replace(
    /^\{\{\{([a-z]+)\}\}\}\n|\{\{([a-z]+)\}\}/gm,
    (_, block: string | undefined, slot: string | undefined) => {
      if (block !== undefined) {
        const text = take(blocks, block).trimEnd();
        return text === '' ? '' : `${text}\n`;
      }
      const value = take(slots, slot ?? '');
      if (/[\r\n]/.test(value)) throw new Error(`the value of slot "${slot}" has a line break`);
      return value;
    },
  );
  if (unused.size > 0) throw new Error(`the template has no slot "${[...unused].join('", "')}"`);
  return rendered;
}

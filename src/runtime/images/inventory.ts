import { z } from 'zod';
import { cleanLine } from '../core/untrusted-text.ts';
import { LABEL } from '../engine/contract.ts';
import type { AgentSelection } from './agent-selection.ts';
import type { InstalledAgent, Inventory, SkippedAgent } from './contract.ts';

const MAX_REASON = 200;
const VERSION = /(?<![0-9.])[0-9]+(?:\.[0-9]+)+(?:[-+~][0-9A-Za-z.+~-]*[0-9A-Za-z])?/;
/** Where nothing names one: of a program that is a script of ours or a person's. */
const NO_VERSION = 'unversioned';

/** The program that looks, as arguments for a container of the image. */
export function inventoryCommand(script: string, { entries }: AgentSelection): readonly string[] {
  const questions = entries.flatMap((entry) => {
    const probe = entry.probe ?? ['bash', '-c', 'command -v -- "$0"', entry.binary];
    return [entry.name, String(probe.length), ...probe];
  });
  return ['bash', '-c', script, 'take-inventory', ...questions];
}

/** What came of it. An agent that the image is silent about counts as left out, and so does one that needs such. */
export function readInventory(output: string, { entries, skipped }: AgentSelection): Inventory {
  const answers = new Map(
    output.split('\n').flatMap((line) => {
      const [name = '', state = '', text = ''] = line.split(' ');
      return state === ''
        ? []
        : [[name, { state, text: Buffer.from(text, 'base64').toString('utf8') }] as const];
    }),
  );
  const installed: InstalledAgent[] = [];
  const leftOut: SkippedAgent[] = [...skipped];
  for (const entry of entries) {
    const { name, install } = entry;
    const answer = answers.get(name);
    const lacking = install.requires.find((required) => leftOut.some((other) => other.name === required));
    const reason =
      lacking === undefined
        ? whyNot(answer, entry.probe !== undefined)
        : `it needs ${lacking}, which is left out`;
    if (reason !== undefined) leftOut.push({ name, reason });
    else installed.push({ name, version: entry.probe === undefined ? NO_VERSION : versionIn(answer?.text) });
  }
  const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
    a.name < b.name ? -1 : 1;
  return { installed: installed.sort(byName), skipped: leftOut.sort(byName) };
}

function whyNot(
  answer: { readonly state: string; readonly text: string } | undefined,
  isProbed: boolean,
): string | undefined {
  if (answer === undefined) return 'it was not looked for';
  const last = answer.text.trim().split('\n').at(-1) ?? '';
  const text = cleanLine(last.replace(/^(?:ERROR|E|npm error)(?: [0-9]{3})?:?\s+/, ''), MAX_REASON);
  switch (answer.state) {
    case '0':
      return undefined;
    case 'left-out':
      return text === '' ? 'it could not be installed' : text;
    case '124':
    case '137':
      return 'it is installed and does not answer';
    default:
      return isProbed ? `it is installed and does not run: ${text}` : 'its program is not there';
  }
}

const versionIn = (text: string | undefined): string =>
  (VERSION.exec(text ?? '')?.[0] ?? NO_VERSION).slice(0, 64);

const InventoryLabel = z.object({
  installed: z.array(z.object({ name: z.string(), version: z.string() })),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
});

/** Labels that say what is in an image. */
export function inventoryLabels(inventory: Inventory): Readonly<Record<string, string>> {
  return {
    [LABEL.inventory]: JSON.stringify(inventory),
    ...Object.fromEntries(
      inventory.installed.map(({ name, version }) => [`${LABEL.agentVersion}${name}`, version]),
    ),
  };
}

/** Undefined where the labels of an image do not say. */
export function inventoryOf(labels: Readonly<Record<string, string>>): Inventory | undefined {
  try {
    return InventoryLabel.parse(JSON.parse(labels[LABEL.inventory] ?? ''));
  } catch {
    return undefined;
  }
}

/** Labels as one Dockerfile line: one step of a build, however many there are. */
export function labelLine(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${quote(key)}=${quote(value)}`);
  return `LABEL ${pairs.join(' ')}\n`;
}

/** Quoted as Dockerfiles do it: a backslash stands before what would end the word or name a variable. */
const quote = (text: string): string => `"${text.replace(/[\\"$]/g, '\\$&').replace(/[\r\n]/g, ' ')}"`;

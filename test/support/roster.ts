import { type RosterEntry, RosterFile } from '../../src/runtime/agents/contract.ts';

/** A roster entry of which a test says only what matters to it. */
export function rosterEntry(
  name: string,
  install: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): RosterEntry {
  return RosterFile.parse({
    kind: 'tool',
    name,
    title: name,
    description: `For tests: ${name}.`,
    binary: name,
    install,
    probe: [name, '--version'],
    ...more,
  });
}

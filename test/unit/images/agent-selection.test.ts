import { describe, expect, it } from 'vitest';
import type { RosterEntry } from '../../../src/runtime/agents/contract.ts';
import { selectAgents, selectSidecarTools } from '../../../src/runtime/images/agent-selection.ts';
import { rosterEntry } from '../../support/roster.ts';

const entries = [
  rosterEntry('alpha', { requires: ['zeta'] }),
  rosterEntry('beta', { apt: ['beta'] }),
  rosterEntry('gamma', { rpm: ['gamma'], requires: ['beta'] }),
  rosterEntry('secret', { shell: 'true' }, { sidecar: { env: { KEY: 'key' } } }),
  rosterEntry('zeta', { bundled: ['zeta'] }),
];
const roster = (list: readonly RosterEntry[] = entries) => ({
  entries: list,
  broken: [{ name: 'spoilt', problem: 'spoilt.yaml, line 3: no' }],
});
const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);

describe('agents for an image', () => {
  it('come after what they require, in an order of their own', () => {
    const { entries: chosen, skipped } = selectAgents(roster(), 'all', 'deb');
    expect(names(chosen)).toEqual(['zeta', 'alpha', 'beta']);
    expect(skipped).toEqual([
      { name: 'gamma', reason: 'there is no deb package of it' },
      { name: 'secret', reason: 'it gets a real credential, so it is only in the image of sidecar tools' },
    ]);
  });

  it('are left out, each by its name, with what they need', () => {
    const { entries: chosen, skipped } = selectAgents(roster(), ['gamma'], 'rpm');
    expect(chosen).toEqual([]);
    expect(skipped).toEqual([
      { name: 'beta', reason: 'there is no rpm package of it' },
      { name: 'gamma', reason: 'it needs beta, which is left out' },
    ]);
  });

  it('bring along what they require', () => {
    expect(names(selectAgents(roster(), ['alpha', 'alpha'], 'deb').entries)).toEqual(['zeta', 'alpha']);
  });

  it('that nobody knows are refused with the nearest names, and a broken one with what is wrong', () => {
    expect(() => selectAgents(roster(), ['alhpa'], 'deb')).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', hint: 'Did you mean alpha?' }),
    );
    expect(() => selectAgents(roster(), ['spoilt'], 'deb')).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        message: 'The agent "spoilt" cannot be used: spoilt.yaml, line 3: no',
      }),
    );
  });

  it('that need one nobody knows are left out', () => {
    const list = [rosterEntry('a', { requires: ['nobody'] })];
    expect(selectAgents(roster(list), 'all', 'deb').skipped).toEqual([
      { name: 'a', reason: 'it needs nobody, which is left out' },
    ]);
  });

  it('that require each other are refused', () => {
    const list = [rosterEntry('a', { requires: ['b'] }), rosterEntry('b', { requires: ['a'] })];
    expect(() => selectAgents(roster(list), 'all', 'deb')).toThrow('Agents require each other: a, b, a');
  });
});

it('tools with a real credential share one image, and it has nothing else', () => {
  const list = [...entries, rosterEntry('other', { apt: ['x'] }, { sidecar: { env: {} } })];
  expect(names(selectSidecarTools(roster(list), 'deb').entries)).toEqual(['other', 'secret']);
  expect(selectSidecarTools(roster(list), 'rpm').skipped).toEqual([
    { name: 'other', reason: 'there is no rpm package of it' },
  ]);
});

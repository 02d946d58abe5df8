import { describe, expect, it } from 'vitest';
import { deepMerge } from '../../../src/runtime/core/deep-merge.ts';

type Mapping = Readonly<Record<string, unknown>>;

const CASES: ReadonlyArray<readonly [what: string, base: Mapping, override: Mapping, result: Mapping]> = [
  ['keys of both stand side by side', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
  ['the override wins', { a: 1 }, { a: 2 }, { a: 2 }],
  ['false, 0 and "" are values', { a: 1, b: 1, c: 1 }, { a: false, b: 0, c: '' }, { a: false, b: 0, c: '' }],
  ['null deletes', { a: 1, b: 2 }, { a: null }, { b: 2 }],
  ['null deletes a mapping whole', { a: { b: 1 } }, { a: null }, {}],
  ['null over nothing is nothing', {}, { a: null }, {}],
  ['null deletes further in', { a: { b: 1, c: 2 } }, { a: { b: null } }, { a: { c: 2 } }],
  ['nulls in a mapping over nothing stay', {}, { a: { b: null } }, { a: { b: null } }],
  ['nulls in a mapping over a text stay', { a: 'x' }, { a: { b: null } }, { a: { b: null } }],
  ['undefined says nothing', { a: 1 }, { a: undefined, b: undefined }, { a: 1 }],
  ['the text keeps what is below', { a: 1 }, { a: '_inherit' }, { a: 1 }],
  ['the text keeps a list', { a: [1] }, { a: '_inherit' }, { a: [1] }],
  ['the text keeps a mapping', { a: { b: 1 } }, { a: '_inherit' }, { a: { b: 1 } }],
  ['the text over nothing is nothing', {}, { a: '_inherit' }, {}],
  ['the text keeps further in', { a: { b: 1 } }, { a: { b: '_inherit', c: 2 } }, { a: { b: 1, c: 2 } }],
  ['the text in a mapping over nothing stays', {}, { a: { b: '_inherit' } }, { a: { b: '_inherit' } }],
  [
    'mappings merge deeply',
    { a: { b: { c: 1 }, d: 1 } },
    { a: { b: { e: 2 } } },
    { a: { b: { c: 1, e: 2 }, d: 1 } },
  ],
  ['an empty mapping keeps', { a: { b: 1 } }, { a: {} }, { a: { b: 1 } }],
  [
    'the mark in a mapping is dropped',
    { a: { b: 1 } },
    { a: { _inherit: true, c: 2 } },
    { a: { b: 1, c: 2 } },
  ],
  ['the mark in a mapping over nothing stays', {}, { a: { _inherit: true } }, { a: { _inherit: true } }],
  [
    'the mark in a mapping over a list stays',
    { a: [1] },
    { a: { _inherit: true } },
    { a: { _inherit: true } },
  ],
  [
    'another value of the mark is a key',
    { a: { b: 1 } },
    { a: { _inherit: false } },
    { a: { b: 1, _inherit: false } },
  ],
  ['a list replaces a list', { a: [1, 2] }, { a: [3] }, { a: [3] }],
  ['an empty list clears', { a: [1, 2] }, { a: [] }, { a: [] }],
  ['a list takes up the one below in front', { a: [1, 2] }, { a: ['_inherit', 3] }, { a: [1, 2, 3] }],
  ['… in the middle', { a: [1, 2] }, { a: [0, '_inherit', 3] }, { a: [0, 1, 2, 3] }],
  ['… at the end', { a: [1] }, { a: [0, '_inherit'] }, { a: [0, 1] }],
  ['… twice', { a: [1] }, { a: ['_inherit', 2, '_inherit'] }, { a: [1, 2, 1] }],
  ['… and an empty one', { a: [] }, { a: ['_inherit', 2] }, { a: [2] }],
  ['a list over nothing stays as it is', {}, { a: ['_inherit', 1] }, { a: ['_inherit', 1] }],
  ['a list over a text stays as it is', { a: 'x' }, { a: ['_inherit', 1] }, { a: ['_inherit', 1] }],
  ['lists in lists are elements', { a: [[1]] }, { a: [['_inherit']] }, { a: [['_inherit']] }],
  [
    'a list further in takes up the one below',
    { a: { b: [1] } },
    { a: { b: ['_inherit', 2] } },
    { a: { b: [1, 2] } },
  ],
  ['a mapping replaces a text', { a: 'x' }, { a: { b: 1 } }, { a: { b: 1 } }],
  ['a text replaces a mapping', { a: { b: 1 } }, { a: 'x' }, { a: 'x' }],
  ['a mapping replaces a list', { a: [1] }, { a: { b: 1 } }, { a: { b: 1 } }],
  ['a list replaces a mapping', { a: { b: 1 } }, { a: [1] }, { a: [1] }],
  ['a value that only names an inherited property', {}, { toString: { a: 1 } }, { toString: { a: 1 } }],
  ['names in any script', { ключ: { a: 1 } }, { ключ: { b: 2 }, '💥': 3 }, { ключ: { a: 1, b: 2 }, '💥': 3 }],
];

describe('laying one mapping over another', () => {
  it.each(CASES)('%s', (_what, base, override, result) => {
    expect(deepMerge(base, override)).toEqual(result);
  });

  it('changes neither and shares nothing with them', () => {
    const base = { kept: { list: [{ a: 1 }] }, spliced: [{ b: 1 }], both: { x: { y: 1 } } };
    const override = { spliced: ['_inherit', { c: 1 }], both: { z: { w: [1] } }, own: [[1]] };
    const [baseBefore, overrideBefore] = [structuredClone(base), structuredClone(override)];
    const merged = deepMerge(base, override);
    const seen = new Set<unknown>();
    const collect = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      seen.add(value);
      Object.values(value).forEach(collect);
    };
    collect(base);
    collect(override);
    const shared: unknown[] = [];
    const compare = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      if (seen.has(value)) shared.push(value);
      Object.values(value).forEach(compare);
    };
    compare(merged);
    expect(shared).toEqual([]);
    expect([base, override]).toEqual([baseBefore, overrideBefore]);
  });

  it.each([
    '{"__proto__": {"polluted": 1}}',
    '{"constructor": {"prototype": {"polluted": 1}}}',
    '{"prototype": 1}',
    '{"a": {"b": [{"__proto__": {"polluted": 1}}]}}',
    '{"__proto__": null}',
    '{"a": {"__proto__": "_inherit"}}',
  ])('refuses %s on either side, and no object is the worse for it', (text) => {
    const attack: Mapping = JSON.parse(text);
    for (const attempt of [() => deepMerge({ a: {} }, attack), () => deepMerge(attack, {})]) {
      expect(attempt).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    }
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect('polluted' in {}).toBe(false);
  });
});

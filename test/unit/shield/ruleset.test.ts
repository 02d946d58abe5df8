import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { isNeverAllowed } from '../../../src/runtime/core/address-classes.ts';
import { EgressRule } from '../../../src/runtime/shield/contract.ts';
import { allowKey, parseListing } from '../../../src/runtime/shield/nft-listing.ts';
import { renderOpened, renderRuleset } from '../../../src/runtime/shield/ruleset.ts';

const rules: readonly EgressRule[] = [
  { address: '203.0.113.5', port: 443, protocol: 'tcp' },
  { address: '203.0.113.5', port: 443, protocol: 'tcp' },
  { address: '2001:db8::1', port: 53, protocol: 'udp' },
];

/** Loads the text into a network namespace of its own and lists it back. */
function load(...texts: readonly string[]) {
  const script = [
    'set -e',
    ...texts.map((_, index) => `printf '%s' "$${index + 1}" | nft -f -`),
    'nft -j list ruleset',
  ].join('\n');
  const result = spawnSync('unshare', ['--map-root-user', '--net', 'sh', '-c', script, 'sh', ...texts], {
    encoding: 'utf8',
    env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
  });
  if (result.status !== 0) throw new Error(result.stderr);
  return parseListing(result);
}

describe('the ruleset', () => {
  it('without rules', async () => {
    await expect(renderRuleset([])).toMatchFileSnapshot('../../golden/nft/nothing-open.nft');
  });

  it('with rules', async () => {
    await expect(renderRuleset(rules)).toMatchFileSnapshot('../../golden/nft/two-open.nft');
  });

  it('is what the kernel holds after loading it', () => {
    const listing = load(renderRuleset(rules));
    expect(listing.policy).toBe(load(renderRuleset([])).policy);
    expect(listing.allowed).toEqual([...new Set(rules.map(allowKey))].sort());
  });

  it('can have its opened destinations replaced without touching the rest', () => {
    const listing = load(
      renderRuleset(rules),
      renderOpened([{ address: '198.51.100.1', port: 22, protocol: 'tcp' }]),
    );
    expect(listing.allowed).toEqual(['198.51.100.1 tcp 22']);
    expect(listing.policy).toBe(load(renderRuleset([])).policy);
  });

  it.each([
    ['an extra rule', 'add rule inet terok output accept'],
    ['a rule put first', 'insert rule inet terok output accept'],
    ['another table', 'add table inet other'],
    ['a weaker policy', 'add chain inet terok output { policy accept; }'],
    ['a rule less', 'flush chain inet terok refuse'],
    ['a shorter list of what is never allowed', 'flush set inet terok never4'],
  ])('does not look the same with %s', (_, change) => {
    expect(load(renderRuleset([]), `${change}\n`).policy).not.toBe(load(renderRuleset([])).policy);
  });
});

describe('a rule', () => {
  it.each(['example.com', 'localhost', '10.0.0.1/8', '', '1.2.3', '::g', '10.0.0.1; accept'])(
    'refuses the name or nonsense %j',
    (address) => {
      expect(EgressRule.safeParse({ address, port: 443, protocol: 'tcp' }).success).toBe(false);
    },
  );

  it('spells an address as the kernel does', () => {
    expect(EgressRule.parse({ address: '2001:DB8:0:0::1', port: 1, protocol: 'tcp' }).address).toBe(
      '2001:db8::1',
    );
  });

  it.each([
    '0.1.2.3',
    '127.0.0.1',
    '169.254.169.254',
    '239.1.1.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:10.0.0.1',
    '::10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00::1',
    '2001:0:1::1',
    'fe80::1',
    'ff02::1',
    'no address',
  ])('%s may never be opened (N4)', (address) => {
    expect(isNeverAllowed(address)).toBe(true);
  });

  it.each(['203.0.113.9', '10.1.2.3', '2001:db8::1', 'fd00::1'])(
    '%s may be opened by name of its exact address',
    (address) => {
      expect(isNeverAllowed(address)).toBe(false);
    },
  );
});

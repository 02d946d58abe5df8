import { BlockList, isIP } from 'node:net';

/**
 * Addresses no rule may ever open: this host, link-local and cloud metadata, multicast, reserved, and IPv6
 * forms that embed an IPv4 address and would slip past IPv4 rules (RFC 6890, RFC 4291, RFC 6052, RFC 3056).
 */
export const NEVER_ALLOWED_V4 = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
] as const;
export const NEVER_ALLOWED_V6 = [
  '::/96',
  '::ffff:0.0.0.0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2001::/32',
  '2002::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
] as const;

// One list a family: BlockList compares an IPv4 address with IPv6 ranges too, as v4-mapped.
const neverAllowed = { ipv4: blockList(NEVER_ALLOWED_V4, 'ipv4'), ipv6: blockList(NEVER_ALLOWED_V6, 'ipv6') };

function blockList(ranges: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', prefix = ''] = range.split('/');
    list.addSubnet(network, Number(prefix), family);
  }
  return list;
}

/** Anything that is no address counts as never allowed. */
export function isNeverAllowed(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  const name = family === 4 ? 'ipv4' : 'ipv6';
  return neverAllowed[name].check(address, name);
}

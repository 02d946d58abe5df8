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

/** Ranges besides those that lie in no public network: private, shared, documentation, benchmarks (RFC 6890). */
const NOT_PUBLIC_V4 = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
] as const;
const NOT_PUBLIC_V6 = [
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
] as const;

// One list a family: BlockList compares an IPv4 address with IPv6 ranges too, as v4-mapped.
const neverAllowed = { ipv4: blockList(NEVER_ALLOWED_V4, 'ipv4'), ipv6: blockList(NEVER_ALLOWED_V6, 'ipv6') };

const notPublic = { ipv4: blockList(NOT_PUBLIC_V4, 'ipv4'), ipv6: blockList(NOT_PUBLIC_V6, 'ipv6') };

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

/** An address of the public internet. Anything else, and what is no address, is not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0 || isNeverAllowed(address)) return false;
  const name = family === 4 ? 'ipv4' : 'ipv6';
  return !notPublic[name].check(address, name);
}

/** Whether a host of a URL is an address, IPv6 in its brackets. */
export const isIpAddress = (host: string): boolean => isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0;

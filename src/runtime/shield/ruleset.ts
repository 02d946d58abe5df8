import { isIP } from 'node:net';
import { NEVER_ALLOWED_V4, NEVER_ALLOWED_V6 } from '../core/address-classes.ts';
import type { EgressRule } from './contract.ts';

export const TABLE = 'terok';

/**
 * A task's whole firewall as one nft transaction (pure): what is not opened by a rule is refused.
 *
 * Refusals are resets, not drops: a program that is refused at once goes on, one that waits hangs. The
 * `seen` sets count what was refused, de-duplicated and bounded by the kernel, without any log.
 */
export function renderRuleset(rules: readonly EgressRule[]): string {
  return `add table inet ${TABLE}
delete table inet ${TABLE}
table inet ${TABLE} {
  set never4 { type ipv4_addr; flags interval; elements = { ${NEVER_ALLOWED_V4.join(', ')} }; }
  set never6 { type ipv6_addr; flags interval; elements = { ${NEVER_ALLOWED_V6.join(', ')} }; }
  set allow4 { type ipv4_addr . inet_proto . inet_service;${elements(rules, 4)} }
  set allow6 { type ipv6_addr . inet_proto . inet_service;${elements(rules, 6)} }
  set seen4 { type ipv4_addr . inet_proto . inet_service; flags dynamic,timeout; size 4096; timeout 10m; counter; }
  set seen6 { type ipv6_addr . inet_proto . inet_service; flags dynamic,timeout; size 4096; timeout 10m; counter; }
  chain refuse {
    meta l4proto { tcp, udp } update @seen4 { ip daddr . meta l4proto . th dport }
    meta l4proto { tcp, udp } update @seen6 { ip6 daddr . meta l4proto . th dport }
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } ip6 hoplimit 255 accept
    ip daddr @never4 goto refuse
    ip6 daddr @never6 goto refuse
    ct state established,related accept
    ct state != new goto refuse
    ip daddr . meta l4proto . th dport @allow4 accept
    ip6 daddr . meta l4proto . th dport @allow6 accept
    goto refuse
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255 accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
}
`;
}

/** Makes the opened destinations of a loaded ruleset exactly these, as one transaction (pure). */
export function renderOpened(rules: readonly EgressRule[]): string {
  const add = rules.map(
    (rule) => `add element inet ${TABLE} allow${isIP(rule.address)} { ${element(rule)} }\n`,
  );
  return [`flush set inet ${TABLE} allow4\n`, `flush set inet ${TABLE} allow6\n`, ...add].join('');
}

function elements(rules: readonly EgressRule[], family: 4 | 6): string {
  const mine = rules.filter((rule) => isIP(rule.address) === family).map(element);
  return mine.length === 0 ? '' : ` elements = { ${[...new Set(mine)].sort().join(', ')} };`;
}

const element = (rule: EgressRule): string => `${rule.address} . ${rule.protocol} . ${rule.port}`;

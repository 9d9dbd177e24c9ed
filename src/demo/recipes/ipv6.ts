import { atomicFragment, EtherType, icmp6, ip6, ipv6, mac, Protocol, udp } from '../frames.ts';
import { CLOSED_PORT, frame, type Ground, PAYLOAD, PEER_PORT } from '../ground.ts';
import type { Recipe } from '../recipe.ts';

/** Everybody on the link, and somebody on it. */
const ends = { from: ip6('fe80::2'), to: ip6('ff02::1') };
const toAll = { to: mac('33:33:00:00:00:01'), type: EtherType.IPV6 };
const NEIGHBOUR_SOLICITATION = 135;

/** RFC 4861, section 4.3: who has the address fe80::99? Four bytes are reserved before it. */
function solicitation(more: { code?: number; options?: Uint8Array } = {}): Buffer {
  const body = Buffer.concat([Buffer.alloc(4), ip6('fe80::99'), more.options ?? new Uint8Array()]);
  return icmp6(ends, { type: NEIGHBOUR_SOLICITATION, code: more.code ?? 0 }, body);
}

/**
 * IPv6 on our interface, without an address of its own: what it would tell others about one, such as the groups that it
 * has joined (RFC 3810), is dropped where it comes as IPv6 is being switched off again. It hears what is for everybody.
 */
function withIpv6(ground: Ground, body: () => void): void {
  const IN6_ADDR_GEN_MODE_NONE = '1'; // include/uapi/linux/if_link.h
  const on = {
    'ipv6/conf/DEVICE/addr_gen_mode': IN6_ADDR_GEN_MODE_NONE,
    'ipv6/conf/DEVICE/router_solicitations': '0',
    'ipv6/conf/DEVICE/disable_ipv6': '0',
  };
  ground.set(on, body);
  ground.tap.drain();
}

function neighbourRecipe(
  reason: string,
  length: number,
  description: string,
  message: Uint8Array,
  header: { hopLimit?: number; nextHeader?: number } = {},
): Recipe {
  const wrong = frame(ipv6({ ...ends, nextHeader: Protocol.ICMPV6, ...header }, message), toAll);
  return {
    reasons: [reason],
    length,
    description,
    needs: 'IPv6',
    provoke: (ground, count) => withIpv6(ground, () => ground.inject(wrong, count)),
  };
}

export const ipv6Recipes: readonly Recipe[] = [
  {
    reasons: ['IPV6DISABLED'],
    length: 68,
    description: 'an IPv6 packet for an interface with disable_ipv6=1',
    needs: 'IPv6',
    provoke(ground, count) {
      const ports = { sourcePort: PEER_PORT, destinationPort: CLOSED_PORT };
      const packet = ipv6({ ...ends, nextHeader: Protocol.UDP }, udp(ends, ports, PAYLOAD));
      ground.set({ 'ipv6/conf/DEVICE/disable_ipv6': '1' }, () => ground.inject(frame(packet, toAll), count));
    },
  },
  neighbourRecipe(
    'IPV6_NDISC_HOP_LIMIT',
    24,
    'a neighbour solicitation with a hop limit of 64: it has been through a router',
    solicitation(),
    { hopLimit: 64 },
  ),
  neighbourRecipe(
    'IPV6_NDISC_BAD_CODE',
    24,
    'a neighbour solicitation with code 1; only 0 has a meaning',
    solicitation({ code: 1 }),
  ),
  neighbourRecipe(
    'IPV6_NDISC_BAD_OPTIONS',
    32,
    'a neighbour solicitation with an option of length 0',
    solicitation({ options: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }),
  ),
  neighbourRecipe(
    'IPV6_NDISC_NS_OTHERHOST',
    24,
    'a neighbour solicitation for an address that is not ours',
    solicitation(),
  ),
  neighbourRecipe(
    'IPV6_NDISC_FRAG',
    16,
    'a neighbour solicitation in a fragment (RFC 6980)',
    atomicFragment(Protocol.ICMPV6, solicitation()),
    { nextHeader: Protocol.FRAGMENT },
  ),
];

import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { EtherType, icmp, ip4, ipv4, Protocol, tcp } from '../frames.ts';
import {
  broadcast,
  CLOSED_PORT,
  datagram,
  frame,
  type Ground,
  kernel,
  PAYLOAD,
  PEER_PORT,
  peer,
  stranger,
  unnoticed,
} from '../ground.ts';
import type { Recipe } from '../recipe.ts';

/** A recipe that is one frame, and perhaps knobs to turn for it. */
function oneFrame(
  reasons: readonly string[],
  length: number,
  description: string,
  wrong: Uint8Array,
  settings: Readonly<Record<string, string>> = {},
): Recipe {
  return {
    reasons,
    length,
    description,
    provoke: (ground, count) => ground.set(settings, () => ground.inject(wrong, count)),
  };
}

const ends = { from: stranger.ip, to: kernel.ip };
const elsewhere = ip4('203.0.113.1');

/** Fragments: the parts of a message that vanishes without a word once it is whole. */
const message = unnoticed(Buffer.alloc(12));
function fragment(id: number, part: 'first' | 'last'): Buffer {
  const header = { ...ends, protocol: Protocol.ICMP, id };
  return part === 'first'
    ? frame(ipv4({ ...header, moreFragments: true }, message.subarray(0, 8)))
    : frame(ipv4({ ...header, fragmentOffset: 8 }, message.subarray(8)));
}

/** Which reassemblies have timed out in this namespace, by the kernel's own count (RFC 4293, ipReasmTimeout). */
function reassemblyTimeouts(): number {
  const [names = '', values = ''] = readFileSync('/proc/thread-self/net/snmp', 'latin1').split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('ReasmTimeout')]);
}

export const ipRecipes: readonly Recipe[] = [
  oneFrame(
    ['OTHERHOST'],
    48,
    'a UDP datagram in a frame for another hardware address',
    frame(datagram(), { to: stranger.mac }),
  ),
  oneFrame(
    ['UNHANDLED_PROTO', 'PTYPE_ABSENT'],
    20,
    'a frame with EtherType 0x88b5 (experimental), which no protocol handles',
    frame(PAYLOAD, { type: EtherType.EXPERIMENTAL }),
  ),
  oneFrame(['IP_CSUM'], 48, 'an IPv4 packet whose header checksum is wrong', frame(datagram({ checksum: 'wrong' }))),
  oneFrame(
    ['IP_INHDR'],
    48,
    'an IPv4 header that claims to be 16 bytes long; 20 is the least',
    frame(datagram({ headerWords: 4 })),
  ),
  oneFrame(
    ['PKT_TOO_SMALL'],
    48,
    'an IPv4 packet that claims to be longer than its frame',
    frame(datagram({ totalLength: 100 })),
  ),
  oneFrame(
    ['IP_NOPROTO'],
    20,
    'an IPv4 packet of protocol 253 (experimental), which nobody handles',
    frame(ipv4({ ...ends, protocol: Protocol.EXPERIMENTAL }, PAYLOAD)),
  ),
  oneFrame(['NO_SOCKET'], 28, 'a UDP datagram to a port where no socket listens', frame(datagram())),
  oneFrame(['UDP_CSUM'], 28, 'a UDP datagram whose checksum is wrong', frame(datagram({}, { checksum: 'wrong' }))),
  oneFrame(
    ['TCP_CSUM'],
    20,
    'a TCP SYN whose checksum is wrong',
    frame(
      ipv4(
        { ...ends, protocol: Protocol.TCP },
        tcp(ends, { sourcePort: PEER_PORT, destinationPort: CLOSED_PORT, flags: ['SYN'], checksum: 'wrong' }),
      ),
    ),
  ),
  oneFrame(
    ['ICMP_CSUM'],
    28,
    'an ICMP echo request whose checksum is wrong',
    frame(ipv4({ ...ends, protocol: Protocol.ICMP }, icmp({ type: 8, checksum: 'wrong' }, Buffer.alloc(24)))),
  ),
  oneFrame(
    ['INVALID_PROTO'],
    20,
    'an ICMP echo request to the broadcast address, which is not answered',
    frame(ipv4({ from: peer.ip, to: broadcast.ip, protocol: Protocol.ICMP }, icmp({ type: 8 }, Buffer.alloc(24))), {
      to: broadcast.mac,
    }),
  ),
  oneFrame(
    ['UNICAST_IN_L2_MULTICAST'],
    48,
    'a packet for us alone in a frame for everybody, with drop_unicast_in_l2_multicast=1',
    frame(datagram(), { to: broadcast.mac }),
    { 'ipv4/conf/DEVICE/drop_unicast_in_l2_multicast': '1' },
  ),
  oneFrame(
    ['IP_RPFILTER'],
    48,
    'a packet from an address to which no route leads back, with rp_filter=1',
    frame(datagram()),
    { 'ipv4/conf/DEVICE/rp_filter': '1' },
  ),
  oneFrame(
    ['IP_INADDRERRORS'],
    48,
    'a packet for another network, while forwarding is off',
    frame(datagram({ to: elsewhere })),
  ),
  oneFrame(
    ['IP_INNOROUTES'],
    48,
    'a packet to forward to a network to which there is no route',
    frame(datagram({ to: elsewhere })),
    { 'ipv4/ip_forward': '1' },
  ),
  oneFrame(['IP_LOCALNET'], 48, 'a packet for 127.0.0.1 from the network', frame(datagram({ to: ip4('127.0.0.1') }))),
  oneFrame(
    ['IP_LOCAL_SOURCE'],
    48,
    'a packet from the network that claims to come from our own address',
    frame(datagram({ from: kernel.ip })),
  ),
  oneFrame(
    ['IP_INVALID_SOURCE'],
    48,
    'a packet whose source is the broadcast address 255.255.255.255',
    frame(datagram({ from: ip4('255.255.255.255') })),
  ),
  oneFrame(
    ['IP_INVALID_DEST'],
    48,
    'a packet for 0.0.0.0, which is the address of nobody',
    frame(datagram({ to: ip4('0.0.0.0') })),
  ),
  {
    reasons: ['DUP_FRAG'],
    length: 8,
    description: 'the first fragment of a packet again and again',
    provoke(ground, count) {
      ground.send(fragment(1, 'first'));
      ground.inject(fragment(1, 'first'), count);
      ground.send(fragment(1, 'last'));
    },
  },
  {
    reasons: ['FRAG_TOO_FAR'],
    length: 8,
    description: 'fragments of two packets in turn, with ipfrag_max_dist=1: each has waited too long for the next',
    provoke(ground, count) {
      ground.set({ 'ipv4/ipfrag_max_dist': '1' }, () => {
        // The first two wait; each one after throws out the one before it of the same packet.
        for (let sent = 0; sent < count + 2; sent++) ground.send(fragment(1 + (sent % 2), 'first'));
      });
      ground.set({ 'ipv4/ipfrag_max_dist': '64' }, () => {
        for (const id of [1, 2]) ground.send(fragment(id, 'last'));
      });
    },
  },
  {
    reasons: ['FRAG_REASM_TIMEOUT'],
    length: 8,
    description: 'first fragments whose rest never comes, with ipfrag_time=1: dropped a second later',
    portion: 1000,
    async provoke(ground, count) {
      const before = reassemblyTimeouts();
      ground.set({ 'ipv4/ipfrag_time': '1' }, () => {
        for (let id = 1; id <= count; id++) ground.send(fragment(id, 'first'));
      });
      while (reassemblyTimeouts() < before + count) await setTimeout(50);
    },
  },
];

/** A datagram for the peer to be forwarded, or for a neighbour whom nobody knows. */
const silent = ip4('192.0.2.3');

function forwarding(ground: Ground, settings: Readonly<Record<string, string>>, body: () => void): void {
  ground.set({ 'ipv4/ip_forward': '1', ...settings }, body);
}

export const forwardRecipes: readonly Recipe[] = [
  {
    reasons: ['PKT_TOO_BIG'],
    length: 1548,
    description: 'a packet to forward that is longer than the next link allows and must not be fragmented',
    provoke(ground, count) {
      const big = datagram({ to: peer.ip, dontFragment: true }, {}, Buffer.alloc(1520));
      forwarding(ground, {}, () => ground.send(frame(big), count));
    },
  },
  {
    reasons: ['NEIGH_FAILED'],
    length: 48,
    description: 'a packet for a neighbour whose hardware address cannot be found out',
    provoke(ground, count) {
      const unasked = { 'ipv4/neigh/DEVICE/mcast_solicit': '0', 'ipv4/neigh/DEVICE/app_solicit': '0' };
      forwarding(ground, unasked, () => ground.send(frame(datagram({ to: silent })), count));
    },
  },
  {
    reasons: ['NEIGH_QUEUEFULL'],
    length: 48,
    description: 'packets for a neighbour who has not answered yet, where only one may wait',
    provoke(ground, count) {
      forwarding(ground, { 'ipv4/neigh/DEVICE/unres_qlen_bytes': '1' }, () => {
        ground.send(frame(datagram({ to: silent })), count + 1);
        // The one that waits is sent off once the neighbour is known.
        ground.interfaces.neighbour(ground.tap.name, silent, stranger.mac);
        ground.tap.drain();
        ground.interfaces.forgetNeighbour(ground.tap.name, silent);
      });
    },
  },
];

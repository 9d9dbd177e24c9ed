import { datagram, frame, type Ground, peer } from '../ground.ts';
import { attribute, type Message, NLM_F_CREATE, request } from '../netlink.ts';
import type { Recipe } from '../recipe.ts';

const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;

// include/uapi/linux/netfilter/nf_tables.h, nfnetlink.h
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_DELTABLE = 2;
const NFT_MSG_NEWCHAIN = 3;
const NFPROTO_IPV4 = 2;
const TABLE = 'skbdrop';

/**
 * A batch of nftables messages: all of them take effect, or none. Linux 5.10 and 6.1 free it like a packet that was
 * dropped, by kfree_skb() in nfnetlink_rcv_batch(): it has no device and 20 bytes, and is none of the drops provoked.
 */
function nftables(...messages: readonly { readonly type: number; readonly attributes: readonly Uint8Array[] }[]): void {
  const family = (protocol: number, resource: number): Buffer => Buffer.from([protocol, 0, resource >> 8, resource]);
  const edge = (type: number) => ({ type, silent: true, body: [family(0, NFNL_SUBSYS_NFTABLES)] });
  request(NETLINK_NETFILTER, [
    edge(NFNL_MSG_BATCH_BEGIN),
    ...messages.map(({ type, attributes }) => ({
      type: (NFNL_SUBSYS_NFTABLES << 8) | type,
      flags: NLM_F_CREATE,
      body: [family(NFPROTO_IPV4, 0), ...attributes],
    })),
    edge(NFNL_MSG_BATCH_END),
  ]);
}

/** `nft add chain ip skbdrop input { type filter hook input priority 0; policy drop; }` for the length of `body`. */
function withInputDropped(body: () => void): void {
  const [NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE] = [
    1, 1, 3, 4, 5, 7,
  ];
  const [NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY, NF_INET_LOCAL_IN, NF_DROP, NESTED] = [1, 2, 1, 0, 0x8000];
  const table = attribute(NFTA_TABLE_NAME, TABLE);
  const hook = Buffer.concat([attribute(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN), attribute(NFTA_HOOK_PRIORITY, 0)]);
  nftables(
    { type: NFT_MSG_NEWTABLE, attributes: [table] },
    {
      type: NFT_MSG_NEWCHAIN,
      attributes: [
        attribute(NFTA_CHAIN_TABLE, TABLE),
        attribute(NFTA_CHAIN_NAME, 'input'),
        attribute(NFTA_CHAIN_HOOK | NESTED, hook),
        attribute(NFTA_CHAIN_POLICY, NF_DROP),
        attribute(NFTA_CHAIN_TYPE, 'filter'),
      ],
    },
  );
  try {
    body();
  } finally {
    nftables({ type: NFT_MSG_DELTABLE, attributes: [table] });
  }
}

// include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h
const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TC_H_ROOT = 0xffff_ffff;
const TC_H_CLSACT = 0xffff_fff1;
const TC_H_MIN_INGRESS = 0xffff_fff2;
const TC_H_MIN_EGRESS = 0xffff_fff3;

/** struct tcmsg. */
function traffic(ground: Ground, handle: number, parent: number, info = 0): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeInt32LE(ground.ifindex, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(parent, 12);
  bytes.writeUInt32LE(info, 16);
  return bytes;
}

/** `tc qdisc add dev demo0 …` for the length of `body`. */
function withQdisc(ground: Ground, kind: string, parent: number, body: () => void): void {
  const handle = parent === TC_H_CLSACT ? 0xffff_0000 : 0x0001_0000;
  const discipline = (type: number, flags: number): Message => ({
    type,
    flags,
    body: [traffic(ground, handle, parent), attribute(TCA_KIND, kind)],
  });
  request(NETLINK_ROUTE, [discipline(RTM_NEWQDISC, NLM_F_CREATE)]);
  try {
    body();
  } finally {
    request(NETLINK_ROUTE, [discipline(RTM_DELQDISC, 0)]);
  }
}

/** `tc filter add dev demo0 ingress|egress bpf da bytecode '1,6 0 0 2'`: return TC_ACT_SHOT. */
function shootAll(ground: Ground, direction: number): void {
  const [TCA_BPF_OPS_LEN, TCA_BPF_OPS, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT, TC_ACT_SHOT] = [4, 5, 8, 1, 2];
  const [ETH_P_ALL, PRIORITY, NESTED] = [0x0003, 1, 0x8000];
  const flags = Buffer.from(Uint32Array.of(TCA_BPF_FLAG_ACT_DIRECT).buffer);
  const options = Buffer.concat([
    attribute(TCA_BPF_OPS_LEN, Uint8Array.of(1, 0)),
    attribute(TCA_BPF_OPS, Uint8Array.of(0x06, 0, 0, 0, TC_ACT_SHOT, 0, 0, 0)),
    attribute(TCA_BPF_FLAGS, flags),
  ]);
  const protocol = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8);
  const info = ((PRIORITY << 16) | protocol) >>> 0;
  const body = [
    traffic(ground, 0, direction, info),
    attribute(TCA_KIND, 'bpf'),
    attribute(TCA_OPTIONS | NESTED, options),
  ];
  request(NETLINK_ROUTE, [{ type: RTM_NEWTFILTER, flags: NLM_F_CREATE, body }]);
}

const inward = frame(datagram());
const onward = frame(datagram({ to: peer.ip }));

export const filterRecipes: readonly Recipe[] = [
  {
    reasons: ['NETFILTER_DROP'],
    length: 48,
    description: 'a UDP datagram to an nftables chain with the policy drop',
    needs: 'nftables (CONFIG_NF_TABLES)',
    provoke: (ground, count) => withInputDropped(() => ground.inject(inward, count)),
  },
  {
    reasons: ['TC_INGRESS'],
    length: 48,
    description: 'a frame that a traffic control filter drops as it comes in',
    needs: 'traffic control with BPF (CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF)',
    provoke: (ground, count) =>
      withQdisc(ground, 'clsact', TC_H_CLSACT, () => {
        shootAll(ground, TC_H_MIN_INGRESS);
        ground.inject(inward, count);
      }),
  },
  {
    reasons: ['TC_EGRESS'],
    length: 62,
    description: 'a frame that a traffic control filter drops on its way out',
    needs: 'traffic control with BPF (CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF)',
    provoke: (ground, count) =>
      withQdisc(ground, 'clsact', TC_H_CLSACT, () => {
        shootAll(ground, TC_H_MIN_EGRESS);
        ground.set({ 'ipv4/ip_forward': '1' }, () => ground.send(onward, count));
      }),
  },
  {
    reasons: ['QDISC_DROP'],
    length: 62,
    description: 'a packet that leaves by an interface whose queueing discipline is a black hole',
    needs: 'traffic control (CONFIG_NET_SCHED)',
    provoke: (ground, count) =>
      withQdisc(ground, 'blackhole', TC_H_ROOT, () =>
        ground.set({ 'ipv4/ip_forward': '1' }, () => ground.send(onward, count)),
      ),
  },
];

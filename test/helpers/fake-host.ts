import { Btf } from '../../btf/index.ts';
import type { Host } from '../../src/kernel/host.ts';
import { ReasonTable } from '../../src/kernel/reasons.ts';
import { Symbolizer } from '../../src/kernel/symbols.ts';
import { parseFormat, type TracepointFormat } from '../../src/kernel/tracefs.ts';
import { BtfBuilder } from '../btf/builder.ts';
import { fixture } from './files.ts';

/** Offsets in bytes, those of Linux 6.18.44 on x86-64. */
export const offsets = {
  skb: { dev: 16, len: 112, skb_iif: 144, protocol: 176, size: 232 },
  device: { ifindex: 224, nd_net: 264, name: 280, size: 320 },
  net: { ns: 152, inum: 24, size: 256 },
} as const;

export interface KernelOptions {
  /** Parameters of the tracepoint. */
  readonly parameters?: readonly string[];
  readonly reasons?: readonly (readonly [name: string, value: number])[];
  /** enum skb_drop_reason_subsys. */
  readonly subsystems?: readonly (readonly [name: string, value: number])[];
  /** Further enums, by name. */
  readonly enums?: Readonly<Record<string, readonly (readonly [name: string, value: number])[]>>;
  readonly guardsReentry?: boolean;
  /** The memory of maps counts as locked, as before Linux 5.11. */
  readonly locksMaps?: boolean;
  /** Leaves out the function that names the tracepoint's arguments. */
  readonly stub?: boolean;
  /** Leaves `struct sk_buff` and all others out. */
  readonly structs?: boolean;
}

export const someReasons = [
  ['SKB_NOT_DROPPED_YET', 0],
  ['SKB_CONSUMED', 1],
  ['SKB_DROP_REASON_NOT_SPECIFIED', 2],
  ['SKB_DROP_REASON_NO_SOCKET', 3],
  ['SKB_DROP_REASON_SOCKET_CLOSE', 4],
  ['SKB_DROP_REASON_SOCKET_FILTER', 5],
  ['SKB_DROP_REASON_TCP_CSUM', 10],
  ['SKB_DROP_REASON_UDP_CSUM', 11],
  ['SKB_DROP_REASON_NETFILTER_DROP', 12],
  ['SKB_DROP_REASON_MAX', 13],
  ['SKB_DROP_REASON_SUBSYS_MASK', 0xffff0000],
] as const;

/** The BTF of a kernel: what skbdrop looks at, and nothing else. */
export function kernelBlob(options: KernelOptions = {}): { blob: Uint8Array; builder: BtfBuilder } {
  const { parameters = ['skb', 'location', 'reason', 'rx_sk'], reasons = someReasons, structs = true } = options;
  const b = new BtfBuilder();
  const int = b.int('int', 4, 1);
  const u32 = b.int('unsigned int', 4);
  const u16 = b.int('short unsigned int', 2);
  const ulong = b.int('long unsigned int', 8);
  const char = b.int('char', 1);
  if (structs) {
    const common = b.struct('ns_common', 32, [{ name: 'inum', type: u32, at: offsets.net.inum * 8 }]);
    const net = b.struct('net', offsets.net.size, [{ name: 'ns', type: common, at: offsets.net.ns * 8 }]);
    const possible = b.typedef('possible_net_t', b.struct('', 8, [{ name: 'net', type: b.ptr(net), at: 0 }]));
    const name = b.array(char, ulong, 16);
    const device = b.struct('net_device', offsets.device.size, [
      { name: 'ifindex', type: int, at: offsets.device.ifindex * 8 },
      { name: 'nd_net', type: possible, at: offsets.device.nd_net * 8 },
      { name: 'name', type: name, at: offsets.device.name * 8 },
    ]);
    const dev = b.ptr(device);
    const inner = b.struct('', 8, [{ name: 'dev', type: dev, at: 0 }]);
    const either = b.union('', 8, [
      { name: '', type: inner, at: 0 },
      { name: 'dev_scratch', type: ulong, at: 0 },
    ]);
    b.struct('sk_buff', offsets.skb.size, [
      { name: '', type: either, at: offsets.skb.dev * 8 },
      { name: 'len', type: u32, at: offsets.skb.len * 8 },
      { name: 'skb_iif', type: int, at: offsets.skb.skb_iif * 8 },
      { name: 'protocol', type: b.typedef('__be16', u16), at: offsets.skb.protocol * 8 },
    ]);
  }
  const skb = b.fwd('sk_buff');
  const types: Readonly<Record<string, number>> = { skb: b.ptr(skb), location: b.ptr(0), reason: u32, rx_sk: b.ptr(0) };
  const proto = b.proto(0, [['__data', b.ptr(0)], ...parameters.map((name) => [name, types[name]!] as const)]);
  if (options.stub !== false) b.func('__bpf_trace_kfree_skb', proto);
  b.typedef('btf_trace_kfree_skb', b.ptr(proto));
  if (options.guardsReentry !== false) b.func('bpf_prog_inc_misses_counter', b.proto(0, []));
  if (options.locksMaps) b.struct('bpf_map_memory', 16, []);
  if (reasons.length > 0) b.enum('skb_drop_reason', reasons);
  if (options.subsystems !== undefined) b.enum('skb_drop_reason_subsys', options.subsystems);
  for (const [name, values] of Object.entries(options.enums ?? {})) b.enum(name, values);
  return { blob: b.build(), builder: b };
}

export function kernelBtf(options: KernelOptions = {}): Btf {
  return Btf.parse(kernelBlob(options).blob);
}

/** A host that is the same everywhere. */
export function fakeHost(options: KernelOptions & { format?: string; btf?: boolean } = {}): Host {
  const btf = options.btf === false ? undefined : kernelBtf(options);
  const tracepoint = (): TracepointFormat => parseFormat(fixture(`format/${options.format ?? '6.18'}.format`), 2310);
  return {
    release: '6.18.44',
    btf,
    reasons: btf === undefined ? ReasonTable.fromFormat(tracepoint()) : ReasonTable.fromBtf(btf, () => []),
    symbols: new Symbolizer('/dev/null'),
    tracepoint,
    guardsReentry: options.guardsReentry ?? true,
  };
}

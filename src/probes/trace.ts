import {
  alu64,
  type Code,
  call,
  comment,
  fp,
  jump,
  label,
  mapFd,
  mov,
  r0,
  r1,
  r2,
  r3,
  r4,
  r8,
  store,
} from '../../asm/index.ts';
import type { MapSpec } from '../bpf/map.ts';
import type { Program, ProgramSpec } from '../bpf/program.ts';
import { ringSize } from '../bpf/ringbuf.ts';
import { Account, type AccountOptions, type Books, drop } from './account.ts';
import type { DropContext } from './context.ts';

// enum bpf_func_id; the ring buffer requires Linux 5.8.
const BPF_KTIME_GET_NS = 5;
const BPF_RINGBUF_OUTPUT = 130;

/** IFNAMSIZ, include/uapi/linux/if.h. */
const NAME_SIZE = 16;

/** A record as it travels through the ring: offsets in bytes, everything little-endian but `protocol`. */
const record = {
  time: 0, // u64, CLOCK_MONOTONIC in ns
  location: 8, // u64, return address
  reason: 16, // u32; 0 where the kernel gives none
  len: 20, // u32
  skbIif: 24, // u32
  ifindex: 28, // u32
  netns: 32, // u32, inode
  protocol: 36, // u16, network order; two bytes of padding behind it
  device: 40, // char[16]
  size: 56,
} as const;

/** Where the record is put together on the stack: fp + AT. */
const AT = -record.size;

/** What must be readable for the device to be told. */
const devicePaths = ['sk_buff.dev', 'net_device.name', 'net_device.ifindex', 'net_device.nd_net.net', 'net.ns.inum'];

/** A drop as the kernel recorded it, but for its time. */
export interface DropRecord {
  readonly location: bigint;
  /** undefined on kernels that give none. */
  readonly reason: number | undefined;
  /** skb->len: bytes, from whichever header the packet had been parsed to. */
  readonly len: number | undefined;
  /** EtherType, `0x0800`; undefined where the packet has none (0). */
  readonly protocol: number | undefined;
  readonly device: Device | undefined;
  /** The index of the interface it came in by, in its namespace; 0 for packets that were made here. */
  readonly skbIif: number;
}

export interface Device {
  readonly name: string;
  readonly ifindex: number;
  /** The inode of its network namespace. */
  readonly netns: number;
}

/** `trace`: a record for each drop that passes, through a BPF ring buffer. */
export class TraceProbe {
  readonly spec: ProgramSpec;
  readonly ring: MapSpec;
  /** Which columns this kernel lets us read; the others are absent from every drop. */
  readonly readable: {
    readonly reason: boolean;
    readonly len: boolean;
    readonly protocol: boolean;
    readonly device: boolean;
  };
  readonly #account: Account;

  /** @param ringBytes size of the ring buffer, rounded up to what the kernel accepts */
  constructor(options: AccountOptions, ringBytes: number) {
    const { context } = options;
    const account = new Account(options, ['ring_full']);
    this.#account = account;
    this.readable = {
      reason: context.hasReason,
      len: context.canRead('sk_buff.len'),
      protocol: context.canRead('sk_buff.protocol'),
      device: context.canRead('sk_buff.skb_iif') && devicePaths.every((path) => context.canRead(path)),
    };
    this.ring = { name: 'ring', type: 'RINGBUF', keySize: 0, valueSize: 0, maxEntries: ringSize(ringBytes) };
    this.spec = {
      name: 'trace',
      ...context.program,
      maps: [...account.maps, this.ring],
      code: account.program(['skb', 'location'], [this.#fill(context), this.#send(account)]),
    };
  }

  /** Writes the record to the stack. */
  #fill(context: DropContext): Code {
    const { skb, location } = drop;
    const { reason, len, protocol, device } = this.readable;
    const absent = (what: string, at: number): Code => comment(`${what} is not known`, store.u32(fp, at, 0));
    return [
      reason ? store.u32(fp, AT + record.reason, drop.reason) : absent('the reason', AT + record.reason),
      store.u64(fp, AT + record.location, location),
      comment('r0 = CLOCK_MONOTONIC', call(BPF_KTIME_GET_NS, 'bpf_ktime_get_ns')),
      store.u64(fp, AT + record.time, r0),
      len
        ? [context.field(r1, skb, 'sk_buff.len'), store.u32(fp, AT + record.len, r1)]
        : absent('the length', AT + record.len),
      comment('protocol, and the padding behind it', store.u32(fp, AT + record.protocol, 0)),
      protocol ? [context.field(r1, skb, 'sk_buff.protocol'), store.u16(fp, AT + record.protocol, r1)] : [],
      device
        ? [context.field(r1, skb, 'sk_buff.skb_iif'), store.u32(fp, AT + record.skbIif, r1)]
        : absent('skb_iif', AT + record.skbIif),
      device ? this.#fillDevice(context) : this.#noDevice(),
    ];
  }

  /**
   * skb->dev shares its memory with other uses of the packet, so what it points at may be anything: everything is
   * copied, and decodeDevice() decides whether it can be a device.
   */
  #fillDevice(context: DropContext): Code {
    // The location is on the stack by now, so its register is free and survives reading.
    const device = r8;
    return [
      context.field(device, drop.skb, 'sk_buff.dev'),
      jump.ne(device, 0, 'has_device'),
      this.#noDevice(),
      jump.always('send'),
      label('has_device'),
      context.field(r1, device, 'net_device.ifindex'),
      store.u32(fp, AT + record.ifindex, r1),
      context.copyField(AT + record.device, device, 'net_device.name'),
      context.field(device, device, 'net_device.nd_net.net'),
      context.field(r1, device, 'net.ns.inum'),
      store.u32(fp, AT + record.netns, r1),
      label('send'),
    ];
  }

  #noDevice(): Code {
    return comment('no device', [
      store.u32(fp, AT + record.ifindex, 0),
      store.u32(fp, AT + record.netns, 0),
      store.u64(fp, AT + record.device, 0),
      store.u64(fp, AT + record.device + 8, 0),
    ]);
  }

  #send(account: Account): Code {
    return [
      mapFd(r1, { name: this.ring.name }),
      mov(r2, fp),
      alu64.add(r2, AT),
      mov(r3, record.size),
      comment('flags: the kernel wakes the reader if it has caught up', mov(r4, 0)),
      comment('copies the record, or fails if there is no room', call(BPF_RINGBUF_OUTPUT, 'bpf_ringbuf_output')),
      jump.eq(r0, 0, 'out'),
      account.lost('ring_full'),
    ];
  }

  /** When the drop at `offset` happened: CLOCK_MONOTONIC, in microseconds with a fraction. */
  time(data: DataView, offset: number): number {
    // As a number it is exact to the nanosecond for 104 days of uptime, and to the microsecond for 285 years.
    const low = data.getUint32(offset + record.time, true);
    const high = data.getUint32(offset + record.time + 4, true);
    return (high * 2 ** 32 + low) / 1000;
  }

  /** Everything else about the drop at `offset`, which is the same where `sameDrop` says so. */
  decode(data: DataView, offset: number): DropRecord {
    const u32 = (at: number): number => data.getUint32(offset + at, true);
    const { reason, len, protocol, device } = this.readable;
    return {
      location: data.getBigUint64(offset + record.location, true),
      reason: reason ? u32(record.reason) : undefined,
      len: len ? u32(record.len) : undefined,
      // Zero is no EtherType: a packet of a family that has none, or one that is still being built.
      protocol: (protocol && data.getUint16(offset + record.protocol, false)) || undefined,
      device: device ? decodeDevice(data, offset) : undefined,
      skbIif: u32(record.skbIif),
    };
  }

  readBooks(program: Program): Books {
    return this.#account.read(program);
  }
}

/** Bytes of a record, and where the part begins that is compared when records are: all but the time. */
export const RECORD_SIZE: number = record.size;
export const RECORD_FACTS: number = record.location;

/**
 * Namespace inodes come from one counter that starts here (v6.12 include/linux/proc_ns.h, PROC_DYNAMIC_FIRST; the
 * first namespaces of 6.18 have numbers just below).
 */
const FIRST_NETNS_INODE = 0xefff_fff0;

/**
 * The device, if that is what skb->dev pointed at: it has a positive index, a printable name and a namespace with a
 * possible inode. In packets that sit in a socket's queue the same memory holds other things, and an invented
 * interface is worse than none.
 */
function decodeDevice(data: DataView, offset: number): Device | undefined {
  const ifindex = data.getInt32(offset + record.ifindex, true);
  const netns = data.getUint32(offset + record.netns, true);
  if (ifindex <= 0 || netns < FIRST_NETNS_INODE) return undefined;
  const name = deviceName(data, offset + record.device);
  return name === undefined ? undefined : { name, ifindex, netns };
}

/** As the kernel allows names: dev_valid_name() (v6.12 net/core/dev.c), NUL-terminated. */
function deviceName(data: DataView, start: number): string | undefined {
  let name = '';
  for (let i = 0; i < NAME_SIZE; i++) {
    const byte = data.getUint8(start + i);
    if (byte === 0) return name === '' ? undefined : name;
    if (byte <= 0x20 || byte === 0x2f || byte === 0x3a || byte >= 0x7f) return undefined;
    name += String.fromCharCode(byte);
  }
  return undefined;
}

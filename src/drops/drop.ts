import type { Host } from '../kernel/host.ts';
import { formatPlace } from '../kernel/symbols.ts';
import type { Device, DropRecord } from '../probes/trace.ts';
import { wallClockOffset } from '../sys/clock.ts';

/** One dropped packet. What the kernel did not tell is absent. */
export interface Drop {
  /** Nanoseconds since 1970, UTC. */
  readonly time: bigint;
  /** The kernel's name, `SKB_DROP_REASON_NO_SOCKET`; `reason#131` for a number without one. */
  readonly reason: string;
  /** The number behind it on this kernel; other kernels number otherwise. */
  readonly reasonNumber: number;
  /** The function that gave the packet up, `tcp_v4_rcv+0x9d`; its address where symbols are hidden. */
  readonly location: string;
  /** skb->len in bytes: counted from the header that the packet had been parsed to, so it depends on the reason. */
  readonly len?: number;
  /** EtherType, 0x0800 for IPv4. */
  readonly protocol?: number;
  /** Where the packet was: its name, its index, and its network namespace's inode. */
  readonly device?: Device;
  /** The index of the interface it came in by, in its own namespace, for packets that came from outside. */
  readonly iif?: number;
}

/** How long a difference between two clocks is relied on, in nanoseconds of the first: somebody may set the other. */
const OFFSET_LIFETIME = 1_000_000_000n;

/** Makes drops of records: gives numbers their names and times their date. */
export class DropReader {
  readonly #host: Host;
  #offset = 0n;
  #offsetGoodUntil = 0n;

  constructor(host: Host) {
    this.#host = host;
  }

  read(record: DropRecord): Drop {
    const { len, protocol, device, skbIif } = record;
    const { reasons, symbols } = this.#host;
    if (record.time >= this.#offsetGoodUntil) {
      this.#offset = wallClockOffset();
      this.#offsetGoodUntil = record.time + OFFSET_LIFETIME;
    }
    return {
      time: record.time + this.#offset,
      reason: reasons.name(record.reason),
      reasonNumber: record.reason,
      location: formatPlace(symbols.findReturn(record.location), record.location),
      ...(len === undefined ? {} : { len }),
      ...(protocol === undefined ? {} : { protocol }),
      ...(device === undefined ? {} : { device }),
      ...(skbIif === 0 ? {} : { iif: skbIif }),
    };
  }
}

import type { Host } from '../kernel/host.ts';
import { formatPlace } from '../kernel/symbols.ts';
import { type Device, RECORD_FACTS, RECORD_SIZE, type TraceProbe } from '../probes/trace.ts';
import { wallClockOffset } from '../sys/clock.ts';

/** What is known of a dropped packet. What the kernel did not tell is absent. */
export interface DropFacts {
  /**
   * The kernel's name, `SKB_DROP_REASON_NO_SOCKET`; `reason#131` for a number without one; undefined on kernels that
   * give no reason.
   */
  readonly reason: string | undefined;
  /** The number behind it on this kernel; other kernels number otherwise. */
  readonly reasonNumber: number | undefined;
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

/** One dropped packet. */
export interface Drop extends DropFacts {
  /** Microseconds since 1970, UTC: `new Date(time / 1000)`. */
  readonly time: number;
}

/** Something made of a drop's facts, with the drop's time. */
export interface Timed<T> {
  readonly time: number;
  readonly what: T;
}

/** Differences between two measurements that mean nothing, in microseconds. */
const OFFSET_NOISE = 50;

/** For how many microseconds a difference between two clocks is relied on: somebody may set one of them. */
const OFFSET_LIFETIME = 1_000_000;

/** Different drops that are remembered; then it starts afresh. */
const MEMORY = 4096;

/**
 * Makes drops of records: gives numbers their names and times their date.
 *
 * Under a flood most records are the same as one before, but for their time. So what `present` makes of a record's
 * facts is kept, and found again by the record's bytes.
 */
export class DropReader<T> {
  readonly #host: Host;
  readonly #probe: TraceProbe;
  readonly #present: (facts: DropFacts) => T;
  readonly #known = new Map<number, Known<T>>();
  #offset = 0;
  #offsetGoodUntil = 0;

  constructor(host: Host, probe: TraceProbe, present: (facts: DropFacts) => T) {
    this.#host = host;
    this.#probe = probe;
    this.#present = present;
  }

  /** @throws RangeError where it is not a record of ours */
  read(data: DataView, offset: number, length: number): Timed<T> {
    if (length !== RECORD_SIZE) throw new RangeError(`a record of ${length} bytes, not ${RECORD_SIZE}`);
    const time = this.#probe.time(data, offset);
    if (time >= this.#offsetGoodUntil) {
      const offset = Number(wallClockOffset()) / 1000;
      // A difference this small is how long the measurement took, and lines would jump back and forth by it.
      if (Math.abs(offset - this.#offset) > OFFSET_NOISE) this.#offset = offset;
      this.#offsetGoodUntil = time + OFFSET_LIFETIME;
    }
    return { time: Math.floor(time + this.#offset), what: this.#recall(data, offset + RECORD_FACTS) };
  }

  #recall(data: DataView, facts: number): T {
    const hash = hashWords(data, facts);
    const known = this.#known.get(hash);
    if (known !== undefined && sameWords(known.words, data, facts)) return known.what;
    const what = this.#present(this.#facts(data, facts - RECORD_FACTS));
    if (this.#known.size >= MEMORY) this.#known.clear();
    this.#known.set(hash, { words: copyWords(data, facts), what });
    return what;
  }

  #facts(data: DataView, offset: number): DropFacts {
    const { reason, location, len, protocol, device, skbIif } = this.#probe.decode(data, offset);
    const { reasons, symbols } = this.#host;
    return {
      reason: reason === undefined ? undefined : reasons.name(reason),
      reasonNumber: reason,
      // Only who asks for the function has the kernel's symbols read, which takes as long as a small flood.
      get location(): string {
        return formatPlace(symbols.findReturn(location), location);
      },
      ...(len === undefined ? {} : { len }),
      ...(protocol === undefined ? {} : { protocol }),
      ...(device === undefined ? {} : { device }),
      ...(skbIif === 0 ? {} : { iif: skbIif }),
    };
  }
}

interface Known<T> {
  readonly words: Uint32Array;
  readonly what: T;
}

const WORDS = (RECORD_SIZE - RECORD_FACTS) / 4;

/** FNV-1a by the word: cheap, and two records that collide only displace each other. */
function hashWords(data: DataView, start: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < WORDS; i++) hash = Math.imul(hash ^ data.getUint32(start + 4 * i, true), 0x01000193);
  return hash;
}

function sameWords(words: Uint32Array, data: DataView, start: number): boolean {
  for (let i = 0; i < WORDS; i++) if (words[i] !== data.getUint32(start + 4 * i, true)) return false;
  return true;
}

function copyWords(data: DataView, start: number): Uint32Array {
  return Uint32Array.from({ length: WORDS }, (_, i) => data.getUint32(start + 4 * i, true));
}

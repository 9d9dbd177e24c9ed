import {
  alu64,
  atomic64,
  type Code,
  call,
  comment,
  exit,
  fp,
  jump,
  label,
  load,
  mapFd,
  mov,
  type Register,
  r0,
  r1,
  r2,
  r3,
  r6,
  r7,
  r8,
  r9,
  store,
} from '../../asm/index.ts';
import { type BpfMap, type MapSpec, sumCounters, u32Key } from '../bpf/map.ts';
import type { Program } from '../bpf/program.ts';
import type { DropContext } from './context.ts';
import { type ReasonFilter, rejectUnless } from './reason-filter.ts';

/**
 * The books that every program keeps, one set per CPU, in one value of one per-CPU array:
 *
 *     0  seen       drops that reached the program
 *     8  filtered   … that the filter left out
 *    16  surplus    … that came after the limit (-n) was reached
 *    24  lost       for each way to lose a drop, how many of each reason (CORE_REASONS + 1 words a way; one word
 *                   on kernels that give no reason)
 *     …  counters   the program's own, behind the books so that one lookup serves both
 *
 * What passed is seen - filtered - surplus, and has to be what was reported plus what was lost.
 */
const SEEN = 0;
const FILTERED = 8;
const SURPLUS = 16;
const LOST = 24;

/**
 * Reasons below this are counted by index. The core's are small integers (130 of them in 6.18); subsystem reasons
 * start at 0x10000 and go to a hash.
 */
export const CORE_REASONS = 256;

/** A reason's index in a table of the core's; all others share the last. */
const TABLE_WORDS = CORE_REASONS + 1;

/** Ways to lose a drop that passed. */
export const lossWays = ['ring_full', 'map_full', 'stack_collision', 'stack_unreadable'] as const;
export type LossWay = (typeof lossWays)[number];

/**
 * Registers that hold the drop from the prologue on; r6-r9 survive calls. r6 is the program's context, or the skb
 * in programs that ask for it.
 */
export const drop: Readonly<Record<'context' | 'skb' | 'reason' | 'location' | 'books', Register>> = {
  context: r6,
  skb: r6,
  reason: r7,
  location: r8,
  books: r9,
};

// enum bpf_func_id; bpf_map_push_elem() requires Linux 4.20.
const BPF_MAP_LOOKUP_ELEM = 1;
const BPF_MAP_PUSH_ELEM = 87;

export interface AccountOptions {
  readonly context: DropContext;
  readonly filter: ReasonFilter;
  /** Stop after so many drops that pass; undefined: never. */
  readonly limit: number | undefined;
  /** Whether per-CPU counters can be added to with plain instructions. See Host.guardsReentry. */
  readonly guardsReentry: boolean;
  /** false before Linux 5.12: the kernel's atomic instructions do not say what stood there before. */
  readonly fetchesAtomically?: boolean;
}

/** The frame that all programs share: prologue, filter, limit, books, epilogue. */
export class Account {
  readonly #options: AccountOptions;
  readonly #ways: readonly LossWay[];
  readonly #counters: number;

  /**
   * @param ways in which this program can lose a drop
   * @param counters how many 64-bit counters of its own the program wants behind the books
   */
  constructor(options: AccountOptions, ways: readonly LossWay[], counters = 0) {
    this.#options = options;
    this.#ways = ways;
    this.#counters = counters;
  }

  get maps(): readonly MapSpec[] {
    const books = {
      name: 'books',
      type: 'PERCPU_ARRAY',
      keySize: 4,
      valueSize: this.countersAt + 8 * this.#counters,
      maxEntries: 1,
    } as const;
    const { limit } = this.#options;
    return limit === undefined ? [books] : [books, this.#fetches ? drawnNumber : roomFor(limit)];
  }

  get #fetches(): boolean {
    return this.#options.fetchesAtomically ?? true;
  }

  /** Words a way to lose a drop takes in the books. */
  get #tableWords(): number {
    return this.#options.context.hasReason ? TABLE_WORDS : 1;
  }

  /** Byte offset of the program's own counters in the books. */
  get countersAt(): number {
    return LOST + 8 * this.#tableWords * this.#ways.length;
  }

  /**
   * A whole program: `body` runs for each drop that passes, and falls through (or jumps to 'out') when it is done.
   * `books` is in its register, `reason` where the kernel gives one, and what the body says that it `needs`.
   */
  program(needs: readonly ('skb' | 'location')[], body: Code): Code {
    const { context, filter, limit } = this.#options;
    return [
      comment('r6 = ctx', mov(drop.context, r1)),
      context.hasReason ? context.argument(drop.reason, drop.context, 'reason') : [],
      needs.includes('location') ? context.argument(drop.location, drop.context, 'location') : [],
      needs.includes('skb') ? context.argument(drop.skb, drop.context, 'skb') : [],
      comment('key 0 on the stack', store.u32(fp, -4, 0)),
      lookup('books', -4),
      comment('no books, no count: cannot happen, but the verifier wants to see it', jump.eq(r0, 0, 'out')),
      comment('r9 = the books of this CPU', mov(drop.books, r0)),
      comment('seen', this.bump(drop.books, SEEN)),
      rejectUnless(filter, drop.reason, 'rejected'),
      limit === undefined ? [] : this.#countDown(limit),
      body,
      label('out'),
      mov(r0, this.#options.context.returns),
      exit(),
      filter.kind === 'all' ? [] : this.#leave('rejected', FILTERED),
      limit === undefined ? [] : this.#leave('surplus', SURPLUS),
    ];
  }

  #leave(name: string, counter: number): Code {
    return [
      label(name),
      comment(`count it as ${name}`, this.bump(drop.books, counter)),
      mov(r0, this.#options.context.returns),
      exit(),
    ];
  }

  #countDown(limit: number): Code {
    return this.#fetches ? this.#drawNumber(limit) : this.#takeRoom();
  }

  /** The counter that all CPUs share: who draws a number below the limit may pass. */
  #drawNumber(limit: number): Code {
    return [
      lookup('limit', -4),
      jump.eq(r0, 0, 'out'),
      mov(r1, 1),
      comment('r1 = how many passed before this one', atomic64.fetchAdd(r0, 0, r1)),
      jump.ge(r1, limit, 'surplus'),
    ];
  }

  /**
   * The queue that all CPUs share and nobody empties: who finds room may pass. One byte of the stack goes in, which
   * one does not matter.
   */
  #takeRoom(): Code {
    return [
      mapFd(r1, { name: 'limit' }),
      mov(r2, fp),
      alu64.add(r2, -4),
      mov(r3, 0),
      comment('fails once as many have passed as the queue has room for', call(BPF_MAP_PUSH_ELEM, 'bpf_map_push_elem')),
      jump.ne(r0, 0, 'surplus'),
    ];
  }

  /** *(u64 *)(base + offset) += 1. Uses r0; `base` is not r0. */
  bump(base: Register, offset: number): Code {
    return this.#options.guardsReentry
      ? [load.u64(r0, base, offset), alu64.add(r0, 1), store.u64(base, offset, r0)]
      : [mov(r0, 1), atomic64.add(base, offset, r0)];
  }

  /** Counts this drop as lost in one way, by its reason where it has one. Uses r0-r2. */
  lost(way: LossWay): Code {
    const index = this.#ways.indexOf(way);
    if (index < 0) throw new RangeError(`this program does not count drops lost by ${way}`);
    const table = LOST + 8 * this.#tableWords * index;
    if (!this.#options.context.hasReason) return comment(`lost: ${way}`, this.bump(drop.books, table));
    const counted = `lost_${way}`;
    return comment(`lost: ${way}, by reason`, [
      mov(r1, drop.reason),
      jump.lt(r1, CORE_REASONS, counted),
      mov(r1, CORE_REASONS),
      label(counted),
      alu64.lsh(r1, 3),
      mov(r2, drop.books),
      alu64.add(r2, r1),
      this.bump(r2, table),
    ]);
  }

  read(program: Program): Books {
    return readBooks(program.map('books'), this.#ways, this.#tableWords, this.#counters, this.countersAt);
  }
}

/** A number that is drawn, and goes up by one each time. */
const drawnNumber: MapSpec = { name: 'limit', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 1 };

/** A queue takes exactly as many values as it has room for, whoever comes first. Requires Linux 4.20. */
function roomFor(limit: number): MapSpec {
  return { name: 'limit', type: 'QUEUE', keySize: 0, valueSize: 1, maxEntries: limit };
}

/** r0 = the address of the map's value for the key at fp + `keyAt`, or 0. Uses r1-r5. */
export function lookup(map: string, keyAt: number): Code {
  return comment(`r0 = &${map}[key at fp${keyAt}], or 0`, [
    mapFd(r1, { name: map }),
    mov(r2, fp),
    alu64.add(r2, keyAt),
    call(BPF_MAP_LOOKUP_ELEM, 'bpf_map_lookup_elem'),
  ]);
}

/** The books of all CPUs, added up. */
export interface Books {
  readonly seen: number;
  readonly filtered: number;
  readonly surplus: number;
  /**
   * By way and reason; the reason is undefined for those of subsystems, which share a counter, and for all on kernels
   * that give none.
   */
  readonly lost: readonly { readonly way: LossWay; readonly reason: number | undefined; readonly count: number }[];
  /** The program's own counters. */
  readonly counters: Float64Array;
}

function readBooks(
  map: BpfMap,
  ways: readonly LossWay[],
  tableWords: number,
  counters: number,
  countersAt: number,
): Books {
  const value = map.lookup(u32Key(0));
  if (value === undefined) throw new RangeError('an array without its first element');
  const words = sumCounters(value, map.valueStride, countersAt / 8 + counters);
  const lost = ways.flatMap((way, index) => {
    const start = LOST / 8 + tableWords * index;
    return Array.from(words.subarray(start, start + tableWords), (count, reason) => ({
      way,
      // The last word is for those without a number of their own; where reasons are not given it is the only one.
      reason: reason < tableWords - 1 ? reason : undefined,
      count,
    })).filter(({ count }) => count > 0);
  });
  return {
    seen: words[SEEN / 8]!,
    filtered: words[FILTERED / 8]!,
    surplus: words[SURPLUS / 8]!,
    lost,
    counters: words.subarray(countersAt / 8, countersAt / 8 + counters),
  };
}

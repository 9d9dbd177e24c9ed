import { readFileSync } from 'node:fs';
import { type Code, call, comment, fp, jump, label, mapFd, mov, r0, r1, r2, r3, store } from '../../asm/index.ts';
import { type MapSpec, sumCounters, u32Key } from '../bpf/map.ts';
import type { Program, ProgramSpec } from '../bpf/program.ts';
import { errno } from '../sys/syscall.ts';
import { Account, type AccountOptions, type Books, drop } from './account.ts';
import { tally } from './tally.ts';

/** As deep as the kernel unwinds (sysctl kernel.perf_event_max_stack, 127 unless changed); the rest is cut off. */
function maxFrames(): number {
  try {
    return Number(readFileSync('/proc/sys/kernel/perf_event_max_stack', 'latin1'));
  } catch {
    return 127;
  }
}

/** Different stacks that find room. The kernel reserves a kilobyte for each. */
export const MAX_STACKS = 8192;

const BPF_GET_STACKID = 27; // enum bpf_func_id; requires Linux 4.6

const stackMap: Omit<MapSpec, 'valueSize'> = {
  name: 'stacks',
  type: 'STACK_TRACE',
  keySize: 4,
  maxEntries: MAX_STACKS,
};

/** The key: u32 reason (0 where the kernel gives none), s32 stack id, u64 location. */
const KEY_SIZE = 16;
const countMap: MapSpec = {
  name: 'counts',
  type: 'PERCPU_HASH',
  keySize: KEY_SIZE,
  valueSize: 8,
  maxEntries: MAX_STACKS,
};

export interface StackCount {
  /** undefined on kernels that give none. */
  readonly reason: number | undefined;
  /** Where the packet was given up: one of the frames. */
  readonly location: bigint;
  /** Return addresses, the innermost first, as the kernel collected them. */
  readonly frames: readonly bigint[];
  readonly count: number;
}

/** `stacks`: how often each kernel stack dropped a packet, counted in the kernel. */
export class StackProbe {
  readonly spec: ProgramSpec;
  readonly #account: Account;
  readonly #hasReason: boolean;

  constructor(options: AccountOptions) {
    const account = new Account(options, ['map_full', 'stack_collision', 'stack_unreadable']);
    this.#account = account;
    this.#hasReason = options.context.hasReason;
    this.spec = {
      name: 'stacks',
      ...options.context.program,
      maps: [...account.maps, { ...stackMap, valueSize: 8 * maxFrames() }, countMap],
      code: account.program(['location'], countStack(account, this.#hasReason)),
    };
  }

  readBooks(program: Program): Books {
    return this.#account.read(program);
  }

  read(program: Program): { readonly books: Books; readonly stacks: readonly StackCount[] } {
    const books = this.readBooks(program);
    const counts = program.map(countMap.name);
    const stacks: StackCount[] = [];
    for (const [key, value] of counts.entries()) {
      const count = sumCounters(value, counts.valueStride, 1)[0]!;
      if (count === 0) continue;
      const reason = this.#hasReason ? key.readUInt32LE(0) : undefined;
      const frames = this.#framesOf(program, key.readUInt32LE(4));
      stacks.push({ reason, location: key.readBigUInt64LE(8), frames, count });
    }
    return { books, stacks };
  }

  /**
   * Read anew each time: while user space copies a stack out, its place is empty, and another stack may take it
   * (v6.12 kernel/bpf/stackmap.c, bpf_stackmap_copy()). After the probe is off, what is read is final.
   */
  #framesOf(program: Program, id: number): readonly bigint[] {
    const value = program.map(stackMap.name).lookup(u32Key(id));
    const frames: bigint[] = [];
    for (let at = 0; value !== undefined && at < value.length; at += 8) {
      const frame = value.readBigUInt64LE(at);
      if (frame === 0n) break;
      frames.push(frame);
    }
    return frames;
  }
}

/**
 * The stack's id is its hash, cut to the size of the map, so two stacks may want the same place. The second to come
 * is refused (EEXIST) and tries again without its innermost frame, which is the tracepoint's own and gives it
 * another hash; only when that is taken too is the drop lost.
 */
function countStack(account: Account, hasReason: boolean): Code {
  const key = -KEY_SIZE;
  const getStack = (skip: number): Code => [
    mov(r1, drop.context),
    mapFd(r2, { name: stackMap.name }),
    mov(r3, skip),
    call(BPF_GET_STACKID, 'bpf_get_stackid'),
  ];
  return [
    getStack(0),
    jump.sge(r0, 0, 'have_stack'),
    jump.ne(r0, -errno.EEXIST, 'no_stack'),
    getStack(1),
    jump.sge(r0, 0, 'have_stack'),
    jump.ne(r0, -errno.EEXIST, 'no_stack'),
    account.lost('stack_collision'),
    jump.always('out'),
    label('no_stack'),
    account.lost('stack_unreadable'),
    jump.always('out'),
    label('have_stack'),
    comment('the key: reason, stack, location', [
      store.u32(fp, key, hasReason ? drop.reason : 0),
      store.u32(fp, key + 4, r0),
      store.u64(fp, key + 8, drop.location),
    ]),
    tally(account, { map: countMap.name, keyAt: key, words: 1, zerosAt: -24, full: 'map_full' }),
    comment('one more', [mov(r1, r0), account.bump(r1, 0)]),
  ];
}

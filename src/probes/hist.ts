import {
  alu64,
  type Code,
  comment,
  fp,
  jump,
  label,
  load,
  mov,
  type Register,
  r0,
  r1,
  r2,
  r3,
  store,
} from '../../asm/index.ts';
import { type MapSpec, sumCounters, u32Key } from '../bpf/map.ts';
import type { Program, ProgramSpec } from '../bpf/program.ts';
import { NoReasonsError } from '../kernel/reasons.ts';
import { NotSupportedError, SkbdropError } from '../sys/errors.ts';
import { Account, type AccountOptions, type Books, CORE_REASONS, drop, lookup } from './account.ts';
import type { DropContext } from './context.ts';
import { tally } from './tally.ts';

/** A length has 32 bits: bucket 0 is for 0, bucket n for 2^(n-1) to 2^n - 1. */
export const BUCKETS = 33;

const byReason: MapSpec = {
  name: 'by_reason',
  type: 'PERCPU_ARRAY',
  keySize: 4,
  valueSize: 8 * BUCKETS,
  maxEntries: CORE_REASONS,
};

const bySubsystem: MapSpec = {
  name: 'by_subsystem',
  type: 'PERCPU_HASH',
  keySize: 4,
  valueSize: 8 * BUCKETS,
  maxEntries: 512,
};

/** Buckets of one histogram. `reason` is undefined where the histogram is not split. */
export interface BucketCounts {
  readonly reason: number | undefined;
  /** BUCKETS numbers. */
  readonly counts: Float64Array;
}

/** `hist`: skb->len counted in powers of two, in one histogram or in one for each reason. */
export class HistProbe {
  readonly spec: ProgramSpec;
  readonly #account: Account;
  readonly #split: boolean;

  /**
   * @throws NotSupportedError where nothing says at which offset the length stands; NoReasonsError where it is to be
   *         split and the kernel gives no reasons; SkbdropError `permission` under lockdown
   */
  constructor(options: AccountOptions, split: boolean) {
    const { context } = options;
    if (split && !context.hasReason) {
      throw new NoReasonsError(
        'so lengths cannot be told apart by reason',
        'Without --by there is one histogram for all drops',
      );
    }
    if (!context.canRead('sk_buff.len')) throw unreadable(context);
    const account = new Account(options, split ? ['map_full'] : [], split ? 0 : BUCKETS);
    this.#account = account;
    this.#split = split;
    this.spec = {
      name: 'hist',
      ...context.program,
      maps: [...account.maps, ...(split ? [byReason, bySubsystem] : [])],
      code: account.program(
        ['skb'],
        [
          context.field(r1, drop.skb, 'sk_buff.len'),
          log2Bucket(r1, r2),
          split ? countByReason(account) : countAll(account),
        ],
      ),
    };
  }

  readBooks(program: Program): Books {
    return this.#account.read(program);
  }

  read(program: Program): { readonly books: Books; readonly histograms: readonly BucketCounts[] } {
    const books = this.readBooks(program);
    if (!this.#split) return { books, histograms: [{ reason: undefined, counts: books.counters }] };
    const histograms: BucketCounts[] = [];
    const add = (reason: number, value: Buffer, stride: number): void => {
      const counts = sumCounters(value, stride, BUCKETS);
      if (counts.some((count) => count > 0)) histograms.push({ reason, counts });
    };
    const array = program.map(byReason.name);
    for (let reason = 0; reason < CORE_REASONS; reason++) {
      const value = array.lookup(u32Key(reason));
      if (value !== undefined) add(reason, value, array.valueStride);
    }
    const hash = program.map(bySubsystem.name);
    for (const [key, value] of hash.entries()) add(key.readUInt32LE(0), value, hash.valueStride);
    return { books, histograms };
  }
}

function unreadable({ mayRead }: DropContext): SkbdropError {
  if (!mayRead) {
    return new SkbdropError(
      'permission',
      'cannot read the lengths of packets: the kernel is locked down (confidentiality)',
      {
        hint: 'Under lockdown=confidentiality --attach tp_btf reads them, where the kernel has BTF; top counts without',
      },
    );
  }
  return new NotSupportedError('BTF, which says where the length stands in struct sk_buff', {
    hint: 'Kernels built with CONFIG_DEBUG_INFO_BTF have it; give the BTF of this very kernel with --btf FILE',
  });
}

/** bucket = 0 for a length of 0, else 1 + floor(log2 length), by halving the bits that are left. Changes `length`. */
function log2Bucket(length: Register, bucket: Register): Code {
  const halve = (bits: number): Code => [
    jump.lt(length, 2 ** bits, `below_2_${bits}`),
    alu64.rsh(length, bits),
    alu64.add(bucket, bits),
    label(`below_2_${bits}`),
  ];
  return comment(`r${bucket.index} = the power of two`, [
    mov(bucket, 0),
    halve(16),
    halve(8),
    halve(4),
    halve(2),
    halve(1),
    comment('what is left is 0 for a length of 0, else 1', alu64.add(bucket, length)),
  ]);
}

function countAll(account: Account): Code {
  return [
    comment('for the verifier, who lost count: at most 32', jump.ge(r2, BUCKETS, 'out')),
    comment('r2 = &books.counters[bucket]', [alu64.lsh(r2, 3), alu64.add(r2, drop.books)]),
    account.bump(r2, account.countersAt),
  ];
}

function countByReason(account: Account): Code {
  const key = -4;
  const bucket = -16;
  return [
    comment('the bucket, past the calls', store.u64(fp, bucket, r2)),
    comment('the key: the reason', store.u32(fp, key, drop.reason)),
    jump.ge(drop.reason, CORE_REASONS, 'subsystem'),
    lookup(byReason.name, key),
    jump.eq(r0, 0, 'out'),
    jump.always('have_buckets'),
    label('subsystem'),
    tally(account, { map: bySubsystem.name, keyAt: key, words: BUCKETS, zerosAt: -16 - 8 * BUCKETS, full: 'map_full' }),
    label('have_buckets'),
    comment('r1 = the bucket', [mov(r3, r0), load.u64(r1, fp, bucket)]),
    jump.ge(r1, BUCKETS, 'out'),
    comment('r3 = &buckets[r1]', [alu64.lsh(r1, 3), alu64.add(r3, r1)]),
    account.bump(r3, 0),
  ];
}

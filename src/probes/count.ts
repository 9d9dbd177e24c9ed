import { alu64, type Code, comment, fp, jump, label, mov, r0, r1, r2, store } from '../../asm/index.ts';
import { type MapSpec, sumCounters } from '../bpf/map.ts';
import type { Program, ProgramSpec } from '../bpf/program.ts';
import { Account, type AccountOptions, type Books, CORE_REASONS, drop } from './account.ts';
import { tally } from './tally.ts';

/** Reasons of subsystems that find room: all that mac80211, openvswitch and the qdiscs have, several times over. */
const SUBSYSTEM_REASONS = 1024;

const bySubsystem: MapSpec = {
  name: 'by_subsystem',
  type: 'PERCPU_HASH',
  keySize: 4,
  valueSize: 8,
  maxEntries: SUBSYSTEM_REASONS,
};

/** `top`: one counter a reason. The core's reasons are indices into the books; subsystems' are keys of a hash. */
export class CountProbe {
  readonly spec: ProgramSpec;
  readonly #account: Account;

  constructor(options: AccountOptions) {
    const account = new Account(options, ['map_full'], CORE_REASONS);
    this.#account = account;
    this.spec = {
      name: 'count',
      ...options.context.program,
      maps: [...account.maps, bySubsystem],
      code: account.program([], countReason(account)),
    };
  }

  readBooks(program: Program): Books {
    return this.#account.read(program);
  }

  /** How many drops of each reason passed, since the probe was loaded. */
  read(program: Program): { readonly books: Books; readonly counts: ReadonlyMap<number, number> } {
    const books = this.readBooks(program);
    const counts = new Map<number, number>();
    books.counters.forEach((count, reason) => {
      if (count > 0) counts.set(reason, count);
    });
    const hash = program.map(bySubsystem.name);
    for (const [key, value] of hash.entries()) {
      const count = sumCounters(value, hash.valueStride, 1)[0]!;
      if (count > 0) counts.set(key.readUInt32LE(0), count);
    }
    return { books, counts };
  }
}

function countReason(account: Account): Code {
  return [
    jump.ge(drop.reason, CORE_REASONS, 'subsystem'),
    comment('r2 = &books.counters[reason]', [
      mov(r1, drop.reason),
      alu64.lsh(r1, 3),
      mov(r2, drop.books),
      alu64.add(r2, r1),
    ]),
    account.bump(r2, account.countersAt),
    jump.always('out'),
    label('subsystem'),
    comment('the key: the reason', store.u32(fp, -4, drop.reason)),
    tally(account, { map: bySubsystem.name, keyAt: -4, words: 1, zerosAt: -16, full: 'map_full' }),
    comment('one more', [mov(r1, r0), account.bump(r1, 0)]),
  ];
}

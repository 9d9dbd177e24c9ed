import { comment, fp, mov, r0, r1, store } from '../../asm/index.ts';
import { type MapSpec, sumCounters } from '../bpf/map.ts';
import type { Program, ProgramSpec } from '../bpf/program.ts';
import { Account, type AccountOptions, type Books, drop } from './account.ts';
import { tally } from './tally.ts';

/** Different places that find room. A whole kernel has fewer calls that give a packet up. */
const MAX_PLACES = 4096;

const byLocation: MapSpec = {
  name: 'by_location',
  type: 'PERCPU_HASH',
  keySize: 8,
  valueSize: 8,
  maxEntries: MAX_PLACES,
};

/** `top` on kernels that give no reason: one counter for each place in the kernel's code that gives packets up. */
export class PlaceProbe {
  readonly spec: ProgramSpec;
  readonly #account: Account;

  constructor(options: AccountOptions) {
    const account = new Account(options, ['map_full']);
    this.#account = account;
    this.spec = {
      name: 'places',
      ...options.context.program,
      maps: [...account.maps, byLocation],
      code: account.program(
        ['location'],
        [
          comment('the key: the location', store.u64(fp, -8, drop.location)),
          tally(account, { map: byLocation.name, keyAt: -8, words: 1, zerosAt: -16, full: 'map_full' }),
          comment('one more', [mov(r1, r0), account.bump(r1, 0)]),
        ],
      ),
    };
  }

  readBooks(program: Program): Books {
    return this.#account.read(program);
  }

  /** How many drops passed at each return address, since the probe was loaded. */
  read(program: Program): ReadonlyMap<bigint, number> {
    const map = program.map(byLocation.name);
    const counts = new Map<bigint, number>();
    for (const [key, value] of map.entries()) {
      const count = sumCounters(value, map.valueStride, 1)[0]!;
      if (count > 0) counts.set(key.readBigUInt64LE(0), count);
    }
    return counts;
  }
}

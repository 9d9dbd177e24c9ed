import { NAME_WORD } from './format.ts';
import { encodeName, hashOf, type Strings } from './strings.ts';
import type { TypeTable } from './table.ts';

/**
 * Name → types of one type section: a chained hash table in two typed arrays, no string per type.
 *
 * Chains hold `index + 1`, so that 0 ends them, in ascending order.
 */
export class NameIndex {
  readonly #table: TypeTable;
  readonly #strings: Strings;
  readonly #mask: number;
  readonly #heads: Uint32Array;
  readonly #next: Uint32Array;

  constructor(table: TypeTable, strings: Strings) {
    const { words, at, count } = table;
    const buckets = 2 ** Math.ceil(Math.log2(count + 1));
    const mask = buckets - 1;
    const heads = new Uint32Array(buckets);
    const next = new Uint32Array(count);
    for (let index = count - 1; index >= 0; index--) {
      const name = words[at[index]! + NAME_WORD]!;
      if (name === 0) continue;
      const bucket = mix(strings.hashAt(name)) & mask;
      next[index] = heads[bucket]!;
      heads[bucket] = index + 1;
    }
    this.#table = table;
    this.#strings = strings;
    this.#mask = mask;
    this.#heads = heads;
    this.#next = next;
  }

  /** Indexes of the types of that name, ascending, whose kind number `wanted` accepts. */
  *find(name: string, wanted: (kind: number) => boolean): Generator<number> {
    const bytes = encodeName(name);
    if (bytes === undefined) return;
    const { words, at, kinds } = this.#table;
    for (let link = this.#heads[mix(hashOf(bytes)) & this.#mask]!; link !== 0; link = this.#next[link - 1]!) {
      const index = link - 1;
      if (wanted(kinds[index]!) && this.#strings.equals(words[at[index]! + NAME_WORD]!, bytes)) yield index;
    }
  }
}

/** Spreads what differs in the high bits of a hash into the low ones. */
const mix = (hash: number): number => hash ^ (hash >>> 15);

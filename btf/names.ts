import { encodeName, type Strings } from './strings.ts';
import type { TypeTable } from './table.ts';

/** One entry for each kind number: 1 where that kind is wanted. */
export type KindSet = Uint8Array;

/**
 * The index of the next type of that name and of a wanted kind, at or after index `from`; -1 where there is none.
 *
 * There is no table to look in. In a fresh process, going through a kernel's types takes 0.02 to 2 ms a name,
 * hashing them all 14 ms, and decoding the strings for the engine's own search 3 ms.
 */
export function search(table: TypeTable, strings: Strings, name: string, wanted: KindSet, from: number): number {
  const encoded = encodeName(name);
  return encoded === undefined ? -1 : scan(table, strings, encoded, wanted, from);
}

function scan(table: TypeTable, strings: Strings, name: Uint8Array, wanted: KindSet, from: number): number {
  const { kinds, names, count } = table;
  const { bytes, first } = strings;
  const initial = name[0];
  const length = name.length;
  for (let index = from; index < count; index++) {
    if (wanted[kinds[index]!] === 0) continue;
    const offset = names[index]!;
    // Two bytes turn away nearly every name of the own section; those of the base are few.
    const start = offset - first;
    if (start >= 0 && (bytes[start] !== initial || bytes[start + length] !== 0)) continue;
    if (strings.equals(offset, name)) return index;
  }
  return -1;
}

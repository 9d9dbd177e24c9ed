import { BtfError } from './errors.ts';
import {
  INFO_WORD,
  infoKind,
  KIND_LENGTHS,
  KIND_LIMIT,
  KNOWN_KINDS,
  LAYOUT_ENTRY_LENGTH,
  TYPE_WORDS,
} from './format.ts';
import type { Header } from './header.ts';

/**
 * Where each type is and what it is called: the one pass over the type section.
 *
 * `index` below is a type's place in this section, counted from 0; its id is `firstId + index`.
 */
export interface TypeTable {
  /** The type section in the byte order of this machine. */
  readonly words: Uint32Array;
  /** Byte offset in the blob of `words[0]`. */
  readonly start: number;
  readonly count: number;
  /** Index → word at which the type begins. */
  readonly at: Uint32Array;
  /** Index → `BTF_KIND_*`. */
  readonly kinds: Uint8Array;
  /** Index → `name_off`, not looked at yet. */
  readonly names: Uint32Array;
}

/** Finds the beginning of every type, and checks that its kind is known and all its words are there. */
export function indexTypes(blob: Uint8Array, header: Header, firstId: number): TypeTable {
  const words = sectionWords(blob, header);
  const { start } = header.types;
  const { once, each } = kindLengths(blob, header);
  const most = Math.floor(words.length / TYPE_WORDS);
  const at = new Uint32Array(most);
  const kinds = new Uint8Array(most);
  const names = new Uint32Array(most);
  const { count, end } = scan(words, once, each, at, kinds, names);

  const id = firstId + count;
  const rest = words.length - end;
  if (rest >= TYPE_WORDS && once[infoKind(words[end + INFO_WORD]!)] === UNKNOWN_LENGTH) {
    const kind = infoKind(words[end + INFO_WORD]!);
    throw new BtfError(`type ${id}/info`, start + (end + INFO_WORD) * 4, `kind ${kind} is unknown`);
  }
  if (rest > 0) throw new BtfError(`type ${id}`, start + end * 4, 'the type section ends in it');
  const used = { at: at.subarray(0, count), kinds: kinds.subarray(0, count), names: names.subarray(0, count) };
  return { words, start, count, ...used };
}

/**
 * The pass itself, as far as types are whole and of known kinds: how many there are, and the word after them.
 *
 * It is all that opening a kernel's BTF costs, and most of that passes before the JIT has compiled it; so the loop
 * is on its own, does nothing that can wait, and spells out {@link infoKind} and its like instead of calling them.
 */
function scan(
  words: Uint32Array,
  once: Uint8Array,
  each: Uint8Array,
  at: Uint32Array,
  kinds: Uint8Array,
  names: Uint32Array,
): { count: number; end: number } {
  const last = words.length - TYPE_WORDS;
  let count = 0;
  let word = 0;
  while (word <= last) {
    const info = words[word + 1]!;
    const kind = (info >>> 24) & 0x7f;
    const length = once[kind]!;
    const next = word + 3 + length + each[kind]! * (info & 0xff_ffff);
    if (next > words.length || length === UNKNOWN_LENGTH) break;
    at[count] = word;
    kinds[count] = kind;
    names[count] = words[word]!;
    count++;
    word = next;
  }
  return { count, end: word };
}

const UNKNOWN_LENGTH = 0xff;

/** Kind → words after `struct btf_type`: the known ones, then what the blob's layout section says of others. */
function kindLengths(blob: Uint8Array, header: Header): { once: Uint8Array; each: Uint8Array } {
  const once = new Uint8Array(KIND_LIMIT).fill(UNKNOWN_LENGTH);
  const each = new Uint8Array(KIND_LIMIT);
  const { start, end } = header.layout;
  for (let kind = KNOWN_KINDS; kind < KIND_LIMIT; kind++) {
    const entry = start + kind * LAYOUT_ENTRY_LENGTH;
    if (entry + LAYOUT_ENTRY_LENGTH > end) break;
    const onceBytes = blob[entry]!;
    const eachBytes = blob[entry + 1]!;
    if (onceBytes % 4 !== 0 || eachBytes % 4 !== 0) {
      throw new BtfError(`layout/kind ${kind}`, entry, 'a length is not a multiple of 4');
    }
    once[kind] = onceBytes / 4;
    each[kind] = eachBytes / 4;
  }
  for (let kind = 1; kind < KNOWN_KINDS; kind++) {
    once[kind] = KIND_LENGTHS[kind]!.once;
    each[kind] = KIND_LENGTHS[kind]!.each;
  }
  return { once, each };
}

const HOST_IS_LITTLE = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The types as words: the blob's own memory where order and alignment allow, else a copy. */
function sectionWords(blob: Uint8Array, header: Header): Uint32Array {
  const { start, end } = header.types;
  if ((end - start) % 4 !== 0) {
    throw new BtfError('header/type_len', 12, `${end - start} is not a multiple of 4`);
  }
  const length = (end - start) / 4;
  if ((header.endian === 'little') !== HOST_IS_LITTLE) return swappedWords(blob, start, length);
  if ((blob.byteOffset + start) % 4 === 0) return new Uint32Array(blob.buffer, blob.byteOffset + start, length);
  // Not blob.slice(): of a Node Buffer that is a view, not a copy.
  return new Uint32Array(Uint8Array.prototype.slice.call(blob, start, end).buffer);
}

function swappedWords(blob: Uint8Array, start: number, length: number): Uint32Array {
  const view = new DataView(blob.buffer, blob.byteOffset + start, length * 4);
  const words = new Uint32Array(length);
  for (let i = 0; i < length; i++) words[i] = view.getUint32(i * 4, !HOST_IS_LITTLE);
  return words;
}

import { BtfError } from './errors.ts';
import {
  INFO_WORD,
  infoKind,
  infoVlen,
  KIND_LENGTHS,
  KIND_LIMIT,
  KNOWN_KINDS,
  LAYOUT_ENTRY_LENGTH,
  NAME_WORD,
  TYPE_WORDS,
} from './format.ts';
import type { Header } from './header.ts';
import type { Strings } from './strings.ts';

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
}

/** Finds the beginning of every type, and checks that each has a name, a known length and all its words. */
export function indexTypes(blob: Uint8Array, header: Header, strings: Strings, firstId: number): TypeTable {
  const words = sectionWords(blob, header);
  const { start } = header.types;
  const end = words.length;
  const { once, each } = kindLengths(blob, header);
  const most = Math.floor(end / TYPE_WORDS);
  const at = new Uint32Array(most);
  const kinds = new Uint8Array(most);

  let count = 0;
  let word = 0;
  while (word < end) {
    const id = firstId + count;
    if (end - word < TYPE_WORDS) throw new BtfError(`type ${id}`, start + word * 4, 'the type section ends in it');
    const name = words[word + NAME_WORD]!;
    if (name !== 0 && !strings.startsAt(name)) {
      throw new BtfError(`type ${id}/name`, start + word * 4, `no string starts at offset ${name}`);
    }
    const info = words[word + INFO_WORD]!;
    const kind = infoKind(info);
    if (once[kind] === UNKNOWN_LENGTH) {
      throw new BtfError(`type ${id}/info`, start + (word + INFO_WORD) * 4, `kind ${kind} is unknown`);
    }
    const next = word + TYPE_WORDS + once[kind]! + each[kind]! * infoVlen(info);
    if (next > end) throw new BtfError(`type ${id}`, start + word * 4, 'the type section ends in it');
    at[count] = word;
    kinds[count] = kind;
    count++;
    word = next;
  }
  return { words, start, count, at: at.slice(0, count), kinds: kinds.slice(0, count) };
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

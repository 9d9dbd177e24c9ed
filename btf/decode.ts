import { BtfError } from './errors.ts';
import {
  INFO_WORD,
  INT_BOOL,
  INT_CHAR,
  INT_SIGNED,
  infoKindFlag,
  infoVlen,
  intBits,
  intEncoding,
  intOffset,
  KIND_NAMES,
  LINKAGES,
  memberBitOffset,
  memberBitSize,
  NAME_WORD,
  SIZE_OR_TYPE_WORD,
  TYPE_WORDS,
} from './format.ts';
import type { Strings } from './strings.ts';
import type { TypeTable } from './table.ts';
import type { BtfType, Enumerator, Kind, Linkage, Member, Param, SectionVar } from './types.ts';

/** What a type is decoded from. */
export interface Source {
  readonly table: TypeTable;
  readonly strings: Strings;
  readonly firstId: number;
  /** One past the last id: what a reference may name ends here. */
  readonly endId: number;
}

export const kindName = (code: number): Kind => KIND_NAMES[code] ?? 'unknown';

/** `type 1234 (struct sk_buff)`, the beginning of the path of every error about a type. */
function typePath(source: Source, index: number): string {
  const { table, strings, firstId } = source;
  const offset = table.words[table.at[index]! + NAME_WORD]!;
  const name = strings.startsAt(offset) ? strings.text(offset) : undefined;
  return `type ${firstId + index} (${kindName(table.kinds[index]!)}${name ? ` ${name}` : ''})`;
}

/** The error for a fault in word `word` of a type, counted from the type's first. */
export function typeError(source: Source, index: number, word: number, part: string, problem: string): BtfError {
  const { start, at } = source.table;
  return new BtfError(`${typePath(source, index)}${part}`, start + (at[index]! + word) * 4, problem);
}

/**
 * A type's name; empty where it has none.
 *
 * @throws BtfError
 */
export function nameOf(source: Source, index: number): string {
  return nameAt(source, index, NAME_WORD, '/name');
}

/** The name whose offset is in word `word` of a type. */
function nameAt(source: Source, index: number, word: number, part: string): string {
  const { table, strings } = source;
  const offset = table.words[table.at[index]! + word]!;
  if (offset === 0) return '';
  if (!strings.startsAt(offset)) throw typeError(source, index, word, part, `no string starts at offset ${offset}`);
  const text = strings.text(offset);
  if (text !== undefined) return text;
  throw typeError(source, index, word, part, `the string at offset ${offset} is not printable UTF-8`);
}

/**
 * One type, whole.
 *
 * Checked here is what a type says of itself: its name and its parts' names are text, the ids in it exist, its parts
 * lie within it. Whether a type it refers to suits it is for whoever follows the reference.
 *
 * @throws BtfError
 */
export function decodeType(source: Source, index: number): BtfType {
  return new Decoder(source, index).type();
}

class Decoder {
  readonly #source: Source;
  readonly #index: number;
  readonly #words: Uint32Array;
  readonly #at: number;

  constructor(source: Source, index: number) {
    this.#source = source;
    this.#index = index;
    this.#words = source.table.words;
    this.#at = source.table.at[index]!;
  }

  type(): BtfType {
    const code = this.#source.table.kinds[this.#index]!;
    const kind = kindName(code);
    const id = this.#source.firstId + this.#index;
    const name = this.#name(NAME_WORD, '/name');

    switch (kind) {
      case 'int':
        return { kind, id, name, ...this.#int() };
      case 'float':
        return { kind, id, name, size: this.#sizeAmong(2, 4, 8, 12, 16) };
      case 'ptr':
        this.#expectNoVlen();
        return { kind, id, name, type: this.#ref(SIZE_OR_TYPE_WORD, '/type') };
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
        this.#expectNoVlen();
        return { kind, id, name, type: this.#ref(SIZE_OR_TYPE_WORD, '/type') };
      case 'type_tag':
        this.#expectNoVlen();
        return { kind, id, name, type: this.#ref(SIZE_OR_TYPE_WORD, '/type'), attribute: this.#kindFlag() };
      case 'array':
        return {
          kind,
          id,
          name,
          type: this.#ref(TYPE_WORDS, '/type'),
          indexType: this.#ref(TYPE_WORDS + 1, '/index_type'),
          count: this.#word(TYPE_WORDS + 2),
        };
      case 'struct':
      case 'union':
        return { kind, id, name, size: this.#word(SIZE_OR_TYPE_WORD), members: this.#members(kind) };
      case 'enum':
        return {
          kind,
          id,
          name,
          size: this.#sizeAmong(1, 2, 4, 8),
          signed: this.#kindFlag(),
          values: this.#values32(),
        };
      case 'enum64':
        return {
          kind,
          id,
          name,
          size: this.#sizeAmong(1, 2, 4, 8),
          signed: this.#kindFlag(),
          values: this.#values64(),
        };
      case 'fwd':
        this.#expectNoVlen();
        return { kind, id, name, of: this.#kindFlag() ? 'union' : 'struct' };
      case 'func':
        return {
          kind,
          id,
          name,
          type: this.#ref(SIZE_OR_TYPE_WORD, '/type'),
          linkage: this.#linkage(this.#vlen(), INFO_WORD),
        };
      case 'func_proto':
        return { kind, id, name, returns: this.#ref(SIZE_OR_TYPE_WORD, '/return'), ...this.#params() };
      case 'var':
        this.#expectNoVlen();
        return {
          kind,
          id,
          name,
          type: this.#ref(SIZE_OR_TYPE_WORD, '/type'),
          linkage: this.#linkage(this.#word(TYPE_WORDS), TYPE_WORDS),
        };
      case 'datasec':
        return { kind, id, name, size: this.#word(SIZE_OR_TYPE_WORD), vars: this.#vars() };
      case 'decl_tag':
        this.#expectNoVlen();
        return {
          kind,
          id,
          name,
          type: this.#ref(SIZE_OR_TYPE_WORD, '/type'),
          component: this.#component(),
          attribute: this.#kindFlag(),
        };
      case 'unknown':
      case 'void': // no type section holds kind 0
        return { kind: 'unknown', id, name, code };
      default:
        return kind satisfies never;
    }
  }

  #int(): { size: number; signed: boolean; char: boolean; bool: boolean; bits: number; bitOffset: number } {
    this.#expectNoVlen();
    const size = this.#sizeAmong(1, 2, 4, 8, 16);
    const word = this.#word(TYPE_WORDS);
    const encoding = intEncoding(word);
    const bits = intBits(word);
    const bitOffset = intOffset(word);
    if (encoding > (INT_SIGNED | INT_CHAR | INT_BOOL)) {
      throw this.#error(TYPE_WORDS, '/encoding', `0x${encoding.toString(16)} is unknown`);
    }
    if (bitOffset + bits > size * 8) {
      throw this.#error(TYPE_WORDS, '/bits', `${bits} bits at bit ${bitOffset} do not fit ${size} bytes`);
    }
    const signed = (encoding & INT_SIGNED) !== 0;
    return { size, signed, char: (encoding & INT_CHAR) !== 0, bool: (encoding & INT_BOOL) !== 0, bits, bitOffset };
  }

  #members(kind: 'struct' | 'union'): readonly Member[] {
    const flagged = this.#kindFlag();
    const sizeBits = this.#word(SIZE_OR_TYPE_WORD) * 8;
    return this.#elements(3, 'member', (word, part) => {
      const name = this.#name(word, `${part}/name`);
      const type = this.#ref(word + 1, `${part}/type`);
      const offset = this.#word(word + 2);
      const bitOffset = flagged ? memberBitOffset(offset) : offset;
      const bitSize = flagged ? memberBitSize(offset) : 0;
      if (bitOffset + bitSize > sizeBits) {
        throw this.#error(
          word + 2,
          `${part}/offset`,
          `bit ${bitOffset + bitSize} is past the ${kind}'s ${sizeBits} bits`,
        );
      }
      return bitSize === 0 ? { name, type, bitOffset } : { name, type, bitOffset, bitSize };
    });
  }

  #values32(): readonly Enumerator<number>[] {
    const signed = this.#kindFlag();
    return this.#elements(2, 'value', (word, part) => {
      const value = this.#word(word + 1);
      return { name: this.#name(word, `${part}/name`), value: signed ? value | 0 : value };
    });
  }

  #values64(): readonly Enumerator<bigint>[] {
    const signed = this.#kindFlag();
    return this.#elements(3, 'value', (word, part) => {
      const value = BigInt(this.#word(word + 1)) | (BigInt(this.#word(word + 2)) << 32n);
      return { name: this.#name(word, `${part}/name`), value: signed ? BigInt.asIntN(64, value) : value };
    });
  }

  /** A last parameter with neither name nor type stands for `...`. */
  #params(): { params: readonly Param[]; variadic: boolean } {
    const params = this.#elements(2, 'param', (word, part) => ({
      name: this.#name(word, `${part}/name`),
      type: this.#ref(word + 1, `${part}/type`),
    }));
    const last = params.at(-1);
    const variadic = last !== undefined && last.type === 0 && last.name === '';
    if (variadic) params.pop();
    const none = params.findIndex((param) => param.type === 0);
    if (none >= 0) throw this.#error(TYPE_WORDS + none * 2 + 1, `/param ${none}/type`, 'a parameter cannot be void');
    return { params, variadic };
  }

  #vars(): readonly SectionVar[] {
    const sectionSize = this.#word(SIZE_OR_TYPE_WORD);
    return this.#elements(3, 'var', (word, part) => {
      const type = this.#ref(word, `${part}/type`);
      const offset = this.#word(word + 1);
      const size = this.#word(word + 2);
      // A compiler leaves the section's size 0; whoever links or loads the object fills it in.
      if (sectionSize !== 0 && offset + size > sectionSize) {
        throw this.#error(word + 1, `${part}/offset`, `byte ${offset + size} is past the section's ${sectionSize}`);
      }
      return { type, offset, size };
    });
  }

  /** The vlen elements after the type, `words` words each. */
  #elements<T>(words: number, what: string, read: (word: number, part: string) => T): T[] {
    const elements: T[] = [];
    for (let i = 0, vlen = this.#vlen(); i < vlen; i++) elements.push(read(TYPE_WORDS + i * words, `/${what} ${i}`));
    return elements;
  }

  #component(): number {
    const component = this.#word(TYPE_WORDS) | 0;
    if (component < -1) throw this.#error(TYPE_WORDS, '/component_idx', `${component} is below -1`);
    return component;
  }

  #linkage(value: number, word: number): Linkage {
    const linkage = LINKAGES[value];
    if (linkage === undefined) throw this.#error(word, '/linkage', `${value} is unknown`);
    return linkage;
  }

  #sizeAmong(...sizes: number[]): number {
    const size = this.#word(SIZE_OR_TYPE_WORD);
    if (!sizes.includes(size))
      throw this.#error(SIZE_OR_TYPE_WORD, '/size', `${size} is not one of ${sizes.join(', ')}`);
    return size;
  }

  #expectNoVlen(): void {
    if (this.#vlen() !== 0) throw this.#error(INFO_WORD, '/vlen', `${this.#vlen()} is not 0`);
  }

  #name(word: number, part: string): string {
    return nameAt(this.#source, this.#index, word, part);
  }

  #ref(word: number, part: string): number {
    const id = this.#word(word);
    if (id >= this.#source.endId) throw this.#error(word, part, `there is no type ${id}`);
    return id;
  }

  #vlen(): number {
    return infoVlen(this.#word(INFO_WORD));
  }

  #kindFlag(): boolean {
    return infoKindFlag(this.#word(INFO_WORD));
  }

  #word(word: number): number {
    return this.#words[this.#at + word]!;
  }

  #error(word: number, part: string, problem: string): BtfError {
    return typeError(this.#source, this.#index, word, part, problem);
  }
}

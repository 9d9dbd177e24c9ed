import { decodeType, kindName, nameOf, type Source, typeError } from './decode.ts';
import { BtfError, BtfNotFoundError } from './errors.ts';
import { KIND_LIMIT, KIND_NAMES, KNOWN_KINDS, MAX_DEPTH, SIZE_OR_TYPE_WORD } from './format.ts';
import { readHeader } from './header.ts';
import { Alignments, type Field, fieldAt, lookUpField, sizeOf } from './layout.ts';
import { type KindSet, search } from './names.ts';
import { nearest } from './nearest.ts';
import { spellType } from './print.ts';
import { Strings } from './strings.ts';
import { indexTypes } from './table.ts';
import type {
  BtfType,
  CompositeType,
  Enum64Type,
  Enumerator,
  EnumType,
  FuncProtoType,
  Kind,
  Param,
  VoidType,
} from './types.ts';

const VOID: VoidType = { kind: 'void', id: 0, name: '' };

/** Kinds that can be asked for their size by name, in the order in which a name is looked up. */
const SIZED: readonly (readonly Kind[])[] = [
  ['struct', 'union'],
  ['typedef', 'int', 'float', 'enum', 'enum64'],
];

/**
 * The types of one BTF blob: a kernel's, a module's on top of its kernel's, or an object file's.
 *
 * Opening makes one pass to find where each type begins; everything else is decoded when it is asked for. The blob
 * is not copied where that can be helped, so it must not be changed afterwards.
 *
 * Damage is reported where it is met, as a {@link BtfError}; no input makes a call hang or run away.
 *
 * ```ts
 * const btf = Btf.parse(readFileSync('/sys/kernel/btf/vmlinux'));
 * btf.offsetof('sk_buff.len');                    // 112
 * btf.find('btf_trace_kfree_skb', 'typedef');     // 93471
 * ```
 */
export class Btf {
  /** What a split BTF continues. */
  readonly base: Btf | undefined;
  readonly endian: 'little' | 'big';
  /** Id of the first own type: 1, or for a split BTF the first id its base does not use. Id 0 is void. */
  readonly firstId: number;
  /** How many own types there are: ids `firstId` to `firstId + count - 1`. */
  readonly count: number;

  readonly #source: Source;
  readonly #types: Map<number, BtfType> = new Map();
  readonly #alignments: Alignments = new Alignments();
  #pointerSize: 4 | 8 | undefined;

  private constructor(blob: Uint8Array, base: Btf | undefined) {
    const header = readHeader(blob);
    if (base !== undefined && base.endian !== header.endian) {
      throw new BtfError('header/magic', 0, `${header.endian}-endian, on a ${base.endian}-endian base`);
    }
    const strings = new Strings(blob, header.strings, base === undefined ? undefined : base.#source.strings);
    const firstId = base === undefined ? 1 : base.#source.endId;
    const table = indexTypes(blob, header, firstId);
    this.base = base;
    this.endian = header.endian;
    this.firstId = firstId;
    this.count = table.count;
    this.#source = { table, strings, firstId, endId: firstId + table.count };
  }

  /**
   * Opens a blob, such as the content of `/sys/kernel/btf/vmlinux` or of an ELF file's `.BTF` section.
   *
   * @param base what a split BTF, such as `/sys/kernel/btf/<module>`, builds on: the very blob it was made for
   * @throws BtfError
   */
  static parse(bytes: Uint8Array, base?: Btf): Btf {
    return new Btf(bytes, base);
  }

  /** Bytes of a pointer, told by the size of `long` as libbpf does it; 8 where there is no `long`. */
  get pointerSize(): 4 | 8 {
    this.#pointerSize ??= this.#guessPointerSize();
    return this.#pointerSize;
  }

  /**
   * The type with that id.
   *
   * @throws BtfNotFoundError where there is none
   * @throws BtfError
   */
  type(id: number): BtfType {
    if (id === 0) return VOID;
    if (id < this.firstId && this.base !== undefined) return this.base.type(id);
    const known = this.#types.get(id);
    if (known !== undefined) return known;
    const type = decodeType(this.#source, this.#index(id));
    this.#types.set(id, type);
    return type;
  }

  /** The kind of the type with that id, without decoding it. */
  kind(id: number): Kind {
    if (id === 0) return 'void';
    if (id < this.firstId && this.base !== undefined) return this.base.kind(id);
    return kindName(this.#source.table.kinds[this.#index(id)]!);
  }

  /** The lowest id of a type of that name, among the own types first and then in the base. */
  find(name: string, kind?: Kind | readonly Kind[]): number | undefined {
    return this.#findOwn(name, setOf(kind), this.firstId) ?? this.base?.find(name, kind);
  }

  /** Every type of that name: own ones in ascending order, then those of the base. */
  findAll(name: string, kind?: Kind | readonly Kind[]): number[] {
    return [...this.named(name, kind)];
  }

  /** As {@link findAll}, searching on only as far as it is asked to. */
  *named(name: string, kind?: Kind | readonly Kind[]): Generator<number> {
    const wanted = setOf(kind);
    let id = this.#findOwn(name, wanted, this.firstId);
    while (id !== undefined) {
      yield id;
      id = this.#findOwn(name, wanted, id + 1);
    }
    if (this.base !== undefined) yield* this.base.named(name, kind);
  }

  /** The own types, in the order of their ids. */
  *types(kind?: Kind | readonly Kind[]): Generator<BtfType> {
    const wanted = setOf(kind);
    const { kinds } = this.#source.table;
    for (let index = 0; index < this.count; index++) {
      // Going through everything must not fill the cache with everything.
      if (wanted[kinds[index]!] === 1) yield this.#types.get(this.firstId + index) ?? decodeType(this.#source, index);
    }
  }

  /** Names and ids of the own types that have a name. */
  *names(kind?: Kind | readonly Kind[]): Generator<[name: string, id: number]> {
    const wanted = setOf(kind);
    const { table } = this.#source;
    for (let index = 0; index < this.count; index++) {
      if (wanted[table.kinds[index]!] === 0) continue;
      const name = nameOf(this.#source, index);
      if (name !== '') yield [name, this.firstId + index];
    }
  }

  /**
   * What a type is underneath: typedef, const, volatile, restrict and type_tag taken off.
   *
   * @throws BtfError, also where the chain goes in a circle
   */
  resolve(id: number): BtfType {
    let type = this.type(id);
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      switch (type.kind) {
        case 'typedef':
        case 'const':
        case 'volatile':
        case 'restrict':
        case 'type_tag':
          type = this.type(type.type);
          break;
        default:
          return type;
      }
    }
    throw this.error(id, '/type', `it leads through more than ${MAX_DEPTH} types`);
  }

  /**
   * Size in bytes of a type, given by id or by name. A name is that of a struct or union first, else of a typedef,
   * int, float or enum; `struct net` and `enum foo` say which is meant.
   *
   * @throws BtfNotFoundError where there is no such type, or it has no size
   * @throws BtfError
   */
  sizeof(type: string | number): number {
    const id = this.#sized(type);
    const size = sizeOf(this, id);
    if (size === undefined) throw new BtfNotFoundError(String(type), `${this.typeName(id)} has no size`);
    return size;
  }

  /**
   * Alignment in bytes of a type, as far as its layout shows: 1 for a packed struct, and not what `aligned()` asked
   * for, which BTF does not record. Otherwise as {@link sizeof}.
   */
  alignof(type: string | number): number {
    const id = this.#sized(type);
    const align = this.#alignments.of(this, id);
    if (align === undefined) throw new BtfNotFoundError(String(type), `${this.typeName(id)} has no size`);
    return align;
  }

  /** Whether a struct or union is packed, as far as its layout shows. */
  isPacked(type: CompositeType): boolean {
    return this.#alignments.ofMembers(this, type).packed;
  }

  /**
   * The field a path leads to, such as `sk_buff.len`, `net.ns.inum` or `task_struct.comm[0]`.
   *
   * The path begins with the name of a struct, union or typedef of one. A name is looked for among the members and,
   * as C does it, in anonymous structs and unions among them. A path does not follow pointers: what they point to is
   * another object.
   *
   * @throws BtfNotFoundError where a struct or member of that name does not exist, or the path is none
   * @throws BtfError
   */
  field(path: string): Field {
    const found = lookUpField(this, path);
    if ('offset' in found) return found;
    throw new BtfNotFoundError(path, found.missing, found.nearest());
  }

  /** As {@link field}, and undefined where that throws BtfNotFoundError. */
  tryField(path: string): Field | undefined {
    const found = lookUpField(this, path);
    return 'offset' in found ? found : undefined;
  }

  /** As {@link field}, starting in the struct or union with that id: `btf.fieldOf(id, 'ns.inum')`. */
  fieldOf(id: number, path: string): Field {
    const found = fieldAt(this, id, path);
    if ('offset' in found) return found;
    throw new BtfNotFoundError(path, found.missing, found.nearest());
  }

  /**
   * Byte offset of a field in its struct.
   *
   * @throws BtfNotFoundError as {@link field}, and for a bit-field that begins within a byte
   * @throws BtfError
   */
  offsetof(path: string): number {
    const { offset, bitOffset } = this.field(path);
    if (bitOffset === undefined) return offset;
    if (bitOffset % 8 === 0) return bitOffset / 8;
    throw new BtfNotFoundError(path, `it is a bit-field at bit ${bitOffset}, which is no byte offset`);
  }

  /**
   * The enumerators of an enum, given by name or id: numbers, or bigints for a 64-bit enum.
   *
   * @throws BtfNotFoundError where there is no such enum
   * @throws BtfError
   */
  enumValues(enumeration: string | number): readonly Enumerator[] {
    const found = this.#enum(enumeration);
    if (found !== undefined) return found.values;
    const near = typeof enumeration === 'string' ? this.nearestNames(enumeration, ['enum', 'enum64']) : [];
    throw new BtfNotFoundError(String(enumeration), 'there is no such enum', near);
  }

  /** The value of an enumerator; undefined where the enum or the enumerator does not exist. */
  enumValue(enumeration: string | number, name: string): number | bigint | undefined {
    const values: readonly Enumerator[] = this.#enum(enumeration)?.values ?? [];
    return values.find((value) => value.name === name)?.value;
  }

  /** The first enumerator with that value; undefined where the enum or the value does not exist. */
  enumName(enumeration: string | number, value: number | bigint): string | undefined {
    const values: readonly Enumerator[] = this.#enum(enumeration)?.values ?? [];
    // Not ===: an enum64 holds bigints, and 1n == 1.
    return values.find((one) => BigInt(one.value) === BigInt(value))?.name;
  }

  /** A function's prototype, with the names of its parameters; undefined where there is no such function. */
  func(name: string): { id: number; params: readonly Param[]; returns: number; variadic: boolean } | undefined {
    const id = this.find(name, 'func');
    if (id === undefined) return undefined;
    const { params, returns, variadic } = this.#prototypeOf(id);
    return { id, params, returns, variadic };
  }

  /** How C spells the type: `struct sk_buff *`, `int (*)(void *)`. Anonymous ones are `struct {...}`. */
  typeName(id: number): string {
    return spellType(this, id);
  }

  /** Existing names spelt much like this one, the best first; for error messages. */
  nearestNames(name: string, kind?: Kind | readonly Kind[]): readonly string[] {
    const own = [...this.names(kind)].map(([candidate]) => candidate);
    const inherited = this.base?.nearestNames(name, kind) ?? [];
    return nearest(name, [...own, ...inherited]);
  }

  /**
   * The error for a fault that shows only when a type's references are followed; for the modules of this folder.
   *
   * @param part what of the type, such as `/member 3/type`
   * @param word where that is, in words from the beginning of the type
   */
  error(id: number, part: string, problem: string, word: number = SIZE_OR_TYPE_WORD): BtfError {
    if (id === 0) return new BtfError(`type 0 (void)${part}`, 0, problem);
    if (id < this.firstId && this.base !== undefined) return this.base.error(id, part, problem, word);
    return typeError(this.#source, this.#index(id), word, part, problem);
  }

  /** Index of an own type. */
  #index(id: number): number {
    const index = id - this.firstId;
    if (Number.isInteger(index) && index >= 0 && index < this.count) return index;
    throw new BtfNotFoundError(`type ${id}`, `the ids end at ${this.#source.endId - 1}`);
  }

  /** The first own type of that name at or after id `from`. */
  #findOwn(name: string, wanted: KindSet, from: number): number | undefined {
    const { table, strings } = this.#source;
    const index = search(table, strings, name, wanted, from - this.firstId);
    if (index < 0) return undefined;
    nameOf(this.#source, index); // throws where the bytes that match are the end of a longer name
    return this.firstId + index;
  }

  #sized(type: string | number): number {
    if (typeof type === 'number') return type;
    const [, keyword, name] = /^(?:(struct|union|enum)\s+)?(.*)$/su.exec(type)!;
    const orders = keyword === undefined ? SIZED : [keyword === 'enum' ? ENUMS : [keyword as Kind]];
    for (const kinds of orders) {
      const id = this.find(name!, kinds);
      if (id !== undefined) return id;
    }
    throw new BtfNotFoundError(type, 'there is no such type', this.nearestNames(name!, orders.flat()));
  }

  #enum(enumeration: string | number): EnumType | Enum64Type | undefined {
    const id = typeof enumeration === 'number' ? enumeration : this.find(enumeration.replace(/^enum\s+/u, ''), ENUMS);
    if (id === undefined) return undefined;
    const type = this.resolve(id);
    return type.kind === 'enum' || type.kind === 'enum64' ? type : undefined;
  }

  #prototypeOf(func: number): FuncProtoType {
    const type = this.type(func);
    const prototype = type.kind === 'func' ? this.type(type.type) : type;
    if (prototype.kind !== 'func_proto')
      throw this.error(
        func,
        '/type',
        `type ${type.kind === 'func' ? type.type : func} (${prototype.kind}) is no prototype`,
      );
    return prototype;
  }

  #guessPointerSize(): 4 | 8 {
    if (this.base !== undefined) return this.base.pointerSize;
    for (const type of this.types('int')) {
      if (type.kind === 'int' && LONGS.has(type.name) && (type.size === 4 || type.size === 8)) return type.size;
    }
    return 8;
  }
}

const ENUMS: readonly Kind[] = ['enum', 'enum64'];

/** The names compilers give to `long` and `unsigned long`. */
const LONGS: ReadonlySet<string> = new Set([
  'long',
  'long int',
  'int long',
  'unsigned long',
  'long unsigned',
  'unsigned long int',
  'unsigned int long',
  'long unsigned int',
  'long int unsigned',
  'int unsigned long',
  'int long unsigned',
]);

const EVERY_KIND: KindSet = new Uint8Array(KIND_LIMIT).fill(1);

function setOf(kind: Kind | readonly Kind[] | undefined): KindSet {
  if (kind === undefined) return EVERY_KIND;
  const set = new Uint8Array(KIND_LIMIT);
  for (const one of typeof kind === 'string' ? [kind] : kind) {
    if (one === 'unknown') set.fill(1, KNOWN_KINDS);
    else set[KIND_NAMES.indexOf(one)] = 1;
  }
  return set;
}

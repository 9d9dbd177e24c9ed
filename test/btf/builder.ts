/**
 * Builds BTF blobs by hand, so that a test can say exactly what is in one, sound or not.
 *
 * Nothing is shared with btf/: kinds are numbers from include/uapi/linux/btf.h, and words are written one by one.
 */
export interface BuildOptions {
  readonly endian?: 'little' | 'big';
  /** What a split BTF continues: how many ids (void not counted) and string bytes its base has. */
  readonly base?: { readonly count: number; readonly strings: number };
  /** Bytes put between the known header fields and the first section. */
  readonly extraHeader?: Uint8Array;
  /** A layout section: `[info_sz, elem_sz]` for each kind from 0 on. Makes the header 32 bytes long. */
  readonly layout?: readonly (readonly [number, number])[];
}

/** A name by its text, or by an offset of one's choice. */
export type Name = string | { readonly offset: number };

export interface MemberSpec {
  readonly name: Name;
  readonly type: number;
  /** Bits from the start. */
  readonly at: number;
  /** Only in a struct built with kind_flag. */
  readonly bits?: number;
}

export class BtfBuilder {
  readonly #options: BuildOptions;
  readonly #words: number[] = [];
  readonly #strings: Map<string, number> = new Map();
  readonly #text: number[] = [];
  #count = 0;

  constructor(options: BuildOptions = {}) {
    this.#options = options;
    if (options.base === undefined) this.#text.push(0);
  }

  /** For a split BTF built on this one. */
  get asBase(): { count: number; strings: number } {
    const { count = 0, strings = 0 } = this.#options.base ?? {};
    return { count: count + this.#count, strings: strings + this.#text.length };
  }

  /** Id of the type added last. */
  get last(): number {
    return (this.#options.base?.count ?? 0) + this.#count;
  }

  /** Offset of a string, added once. */
  string(name: Name): number {
    if (typeof name === 'object') return name.offset;
    if (name === '') return 0;
    const known = this.#strings.get(name);
    if (known !== undefined) return known;
    const offset = (this.#options.base?.strings ?? 0) + this.#text.length;
    this.#text.push(...new TextEncoder().encode(name), 0);
    this.#strings.set(name, offset);
    return offset;
  }

  /** A type word by word; returns its id. */
  raw(kind: number, name: Name, sizeOrType: number, vlen = 0, flag = false, extra: readonly number[] = []): number {
    this.#words.push(this.string(name), ((flag ? 0x8000_0000 : 0) | (kind << 24) | vlen) >>> 0, sizeOrType);
    for (const word of extra) this.#words.push(word);
    this.#count++;
    return this.last;
  }

  int(name: Name, size: number, encoding = 0, bits: number = size * 8, offset = 0): number {
    return this.raw(1, name, size, 0, false, [(encoding << 24) | (offset << 16) | bits]);
  }
  ptr(type: number): number {
    return this.raw(2, '', type);
  }
  array(type: number, index: number, count: number): number {
    return this.raw(3, '', 0, 0, false, [type, index, count]);
  }
  struct(name: Name, size: number, members: readonly MemberSpec[], flag = false, kind = 4): number {
    const words = members.flatMap((m) => [this.string(m.name), m.type, flag ? ((m.bits ?? 0) << 24) | m.at : m.at]);
    return this.raw(kind, name, size, members.length, flag, words);
  }
  union(name: Name, size: number, members: readonly MemberSpec[], flag = false): number {
    return this.struct(name, size, members, flag, 5);
  }
  enum(name: Name, values: readonly (readonly [Name, number])[], signed = false, size = 4): number {
    return this.raw(
      6,
      name,
      size,
      values.length,
      signed,
      values.flatMap(([n, v]) => [this.string(n), v]),
    );
  }
  fwd(name: Name, union = false): number {
    return this.raw(7, name, 0, 0, union);
  }
  typedef(name: Name, type: number): number {
    return this.raw(8, name, type);
  }
  volatile(type: number): number {
    return this.raw(9, '', type);
  }
  const(type: number): number {
    return this.raw(10, '', type);
  }
  restrict(type: number): number {
    return this.raw(11, '', type);
  }
  func(name: Name, proto: number, linkage = 1): number {
    return this.raw(12, name, proto, linkage);
  }
  proto(returns: number, params: readonly (readonly [Name, number])[]): number {
    return this.raw(
      13,
      '',
      returns,
      params.length,
      false,
      params.flatMap(([n, t]) => [this.string(n), t]),
    );
  }
  var(name: Name, type: number, linkage = 1): number {
    return this.raw(14, name, type, 0, false, [linkage]);
  }
  datasec(name: Name, size: number, vars: readonly (readonly [number, number, number])[]): number {
    return this.raw(15, name, size, vars.length, false, vars.flat());
  }
  float(name: Name, size: number): number {
    return this.raw(16, name, size);
  }
  declTag(name: Name, type: number, component = -1, attribute = false): number {
    return this.raw(17, name, type, 0, attribute, [component]);
  }
  typeTag(name: Name, type: number, attribute = false): number {
    return this.raw(18, name, type, 0, attribute);
  }
  enum64(name: Name, values: readonly (readonly [Name, bigint])[], signed = false): number {
    const words = values.flatMap(([n, v]) => [
      this.string(n),
      Number(BigInt.asUintN(32, v)),
      Number(BigInt.asUintN(32, v >> 32n)),
    ]);
    return this.raw(19, name, 8, values.length, signed, words);
  }

  /** The blob: header, types, strings, layout. */
  build(): Uint8Array {
    const { endian = 'little', extraHeader = new Uint8Array(), layout } = this.#options;
    const little = endian === 'little';
    const layoutBytes = (layout ?? []).flatMap(([once, each]) => [once, each, 0, 0]);
    const header = (layout === undefined ? 24 : 32) + extraHeader.length;
    const types = this.#words.length * 4;
    // The layout section is read in words, so it comes before the strings, whose length is odd.
    const blob = new Uint8Array(header + types + layoutBytes.length + this.#text.length);
    const view = new DataView(blob.buffer);
    view.setUint16(0, 0xeb9f, little);
    view.setUint8(2, 1);
    const fields = [header, 0, types, types + layoutBytes.length, this.#text.length];
    if (layout !== undefined) fields.push(types, layoutBytes.length);
    for (const [i, field] of fields.entries()) view.setUint32(4 + i * 4, field, little);
    blob.set(extraHeader, header - extraHeader.length);
    for (const [i, word] of this.#words.entries()) view.setUint32(header + i * 4, word >>> 0, little);
    blob.set(layoutBytes, header + types);
    blob.set(this.#text, header + types + layoutBytes.length);
    return blob;
  }
}

/** A blob with one of every kind and their usual relations, about 1 KB: what the damage tests damage. */
export function sample(options: BuildOptions = {}): Uint8Array {
  const b = new BtfBuilder(options);
  const int = b.int('int', 4, 1);
  const ulong = b.int('long unsigned int', 8);
  const char = b.int('char', 1);
  const u8 = b.typedef('u8', b.int('unsigned char', 1));
  const chars = b.array(char, ulong, 16);
  const device = b.fwd('net_device');
  const inner = b.struct('', 16, [
    { name: 'next', type: b.ptr(b.last + 2), at: 0 },
    { name: 'dev', type: b.ptr(device), at: 64 },
  ]);
  const either = b.union('', 16, [
    { name: '', type: inner, at: 0 },
    { name: 'list', type: b.array(ulong, ulong, 2), at: 0 },
  ]);
  const reason = b.enum('reason', [
    ['NONE', 0],
    ['SOCKET', 2],
    ['MASK', 0xffff0000],
  ]);
  const flags = b.enum64('flags', [
    ['LOW', 1n],
    ['HIGH', 1n << 63n],
  ]);
  const level = b.enum(
    'level',
    [
      ['BELOW', -1],
      ['ABOVE', 1],
    ],
    true,
  );
  b.struct(
    'buff',
    72,
    [
      { name: '', type: either, at: 0 },
      { name: 'len', type: b.const(int), at: 128 },
      { name: 'kind', type: u8, at: 160, bits: 3 },
      { name: 'cloned', type: u8, at: 163, bits: 1 },
      { name: 'reason', type: reason, at: 192 },
      { name: 'name', type: chars, at: 224 },
      { name: 'flags', type: flags, at: 384 },
      { name: 'level', type: level, at: 448 },
      { name: 'ratio', type: b.float('float', 4), at: 480 },
      { name: 'tail', type: b.volatile(ulong), at: 512 },
    ],
    true,
  );
  const buff = b.last;
  const proto = b.proto(int, [
    ['skb', b.ptr(b.typeTag('rcu', buff))],
    ['text', b.restrict(b.ptr(b.const(char)))],
    ['', 0],
  ]);
  const func = b.func('drop', proto);
  b.declTag('bpf_fastcall', func, -1, true);
  b.declTag('user', buff, 1);
  b.datasec('.data', 8, [[b.var('jiffies', ulong), 0, 8]]);
  b.typedef('handler_t', b.ptr(proto));
  return b.build();
}

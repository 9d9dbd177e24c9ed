import { describe, expect, it } from 'vitest';
import { Btf, BtfNotFoundError } from '../../btf/index.ts';
import { BtfBuilder } from './builder.ts';

/** Structs with each way a field can be reached; `long` has `bytes` bytes. */
function structs(bytes: 4 | 8, endian: 'little' | 'big' = 'little'): Btf {
  const b = new BtfBuilder({ endian });
  const int = b.int('int', 4, 1);
  b.int('long int', bytes, 1);
  const u8 = b.typedef('u8', b.int('unsigned char', 1));
  const u16 = b.int('short unsigned int', 2);
  const u64 = b.int('long long unsigned int', 8);
  const ptr = b.ptr(0);
  const state = b.enum('state', [['A', -1]], true);
  const pair = b.struct('pair', 8, [
    { name: 'first', type: int, at: 0 },
    { name: 'second', type: int, at: 32 },
  ]);
  // As struct_group(headers, …) makes it: the same fields in an anonymous struct and in a named one.
  const group = [
    { name: 'network', type: u16, at: 0 },
    { name: 'mac', type: u16, at: 16 },
  ];
  const anonymous = b.struct('', 4, group);
  const headers = b.union('', 4, [
    { name: '', type: anonymous, at: 0 },
    { name: 'headers', type: b.struct('', 4, group), at: 0 },
  ]);
  const deep = b.struct('', 16, [
    { name: 'before', type: u64, at: 0 },
    { name: '', type: b.const(headers), at: 64 },
    { name: 'named', type: pair, at: 96 - 32 },
  ]);
  b.struct(
    'all',
    96,
    [
      { name: 'len', type: int, at: 0 },
      { name: 'next', type: ptr, at: 64 },
      { name: '', type: deep, at: 128 },
      { name: 'pairs', type: b.array(pair, int, 3), at: 256 },
      { name: 'type', type: u8, at: 448, bits: 3 },
      { name: 'flag', type: u8, at: 451, bits: 1 },
      { name: 'wide', type: int, at: 456, bits: 20 },
      { name: 'state', type: state, at: 480 },
      { name: 'grid', type: b.array(b.array(u16, int, 4), int, 2), at: 512 },
      { name: 'bits', type: b.int('old bit-field', 4, 1, 5, 3), at: 640 },
      { name: 'rest', type: b.array(pair, int, 0), at: 768 },
    ],
    true,
  );
  b.typedef('all_t', b.last);
  b.struct('opaque', 8, [{ name: 'to', type: b.ptr(b.fwd('hidden')), at: 0 }]);
  b.struct('packed', 5, [
    { name: 'a', type: u8, at: 0 },
    { name: 'b', type: int, at: 8 },
  ]);
  b.struct('bits', 5, [{ name: 'a', type: u64, at: 4, bits: 34 }], true);
  b.struct('mixed', 16, [
    { name: 'a', type: int, at: 0 },
    { name: 'b', type: u64, at: 64 },
  ]);
  return Btf.parse(b.build());
}

const btf = structs(8);

describe('fields', () => {
  it.each([
    ['all.len', { offset: 0, size: 4, signed: true }],
    ['struct all.len', { offset: 0, size: 4 }],
    ['all_t.len', { offset: 0, size: 4 }],
    ['all.next', { offset: 8, size: 8 }],
    ['all.before', { offset: 16, size: 8, signed: false }],
    ['all.network', { offset: 24, size: 2 }],
    ['all.mac', { offset: 26, size: 2 }],
    ['all.headers', { offset: 24, size: 4 }],
    ['all.headers.mac', { offset: 26, size: 2 }],
    ['all.named.second', { offset: 28, size: 4 }],
    ['all.pairs', { offset: 32, size: 24 }],
    ['all.pairs[2]', { offset: 48, size: 8 }],
    ['all.pairs[2].second', { offset: 52, size: 4 }],
    ['all.type', { offset: 56, size: 1, bitOffset: 448, bitSize: 3, signed: false }],
    ['all.flag', { offset: 56, size: 1, bitOffset: 451, bitSize: 1 }],
    ['all.wide', { offset: 56, size: 4, bitOffset: 456, bitSize: 20, signed: true }],
    ['all.state', { offset: 60, size: 4, signed: true }],
    ['all.grid[1][3]', { offset: 78, size: 2 }],
    ['all.bits', { offset: 80, size: 1, bitOffset: 643, bitSize: 5 }],
    ['all.rest', { offset: 96, size: 0 }],
    ['all.rest[3].first', { offset: 120, size: 4 }],
    ['packed.b', { offset: 1, size: 4 }],
    ['bits.a', { offset: 0, size: 5, bitOffset: 4, bitSize: 34 }],
  ])('%s', (path, place) => {
    const field = btf.field(path);
    expect(field).toMatchObject({ path, ...place });
    expect(btf.tryField(path)).toEqual(field);
    const container = btf.type(field.container);
    expect(['all', 'packed', 'bits']).toContain(container.name);
    if (!('bitOffset' in place)) {
      expect(btf.offsetof(path)).toBe(place.offset);
      expect(field).not.toHaveProperty('bitOffset');
      expect(field).not.toHaveProperty('bitSize');
    }
  });

  it('carry the type as declared', () => {
    expect(btf.typeName(btf.field('all.type').type)).toBe('u8');
    expect(btf.typeName(btf.field('all.pairs[1]').type)).toBe('struct pair');
    expect(btf.field('all.next')).not.toHaveProperty('signed');
  });

  it('are where they are in both byte orders', () => {
    for (const path of ['all.mac', 'all.wide', 'all.pairs[1].second']) {
      expect(structs(8, 'big').field(path)).toEqual(btf.field(path));
    }
  });

  it.each([
    ['all.lem', 'all has no member lem; did you mean len?'],
    ['all.headers.nothing', 'all.headers has no member nothing'],
    ['all.first', 'all has no member first'],
    ['al.len', 'there is no struct or union al; did you mean all'],
    ['union all.len', 'there is no struct or union all'],
    ['int.len', 'there is no struct or union int'],
    ['u8.len', 'u8 is of kind int (unsigned char); it has no member len'],
    ['all.next.len', 'all.next is of kind ptr (void *), and what it points to is another object; it has no member len'],
    ['all.len[0]', 'all.len is of kind int (int), not an array'],
    ['all.pairs[3]', 'all.pairs has 3 elements only'],
    ['all.rest[99999999999]', 'would lie past 4 GiB'],
    ['all', 'it is no path such as sk_buff.len'],
    ['', 'it is no path'],
    ['all.', 'it is no path'],
    ['all..len', 'it is no path'],
    ['all.pairs[-1]', 'it is no path'],
    ['all.pairs[1', 'it is no path'],
  ])('%s does not exist', (path, problem) => {
    expect(() => btf.field(path)).toThrow(BtfNotFoundError);
    expect(() => btf.field(path)).toThrow(problem);
    expect(btf.tryField(path)).toBeUndefined();
  });

  it('have no byte offset within a byte', () => {
    expect(btf.offsetof('all.type')).toBe(56);
    expect(() => btf.offsetof('all.flag')).toThrow('it is a bit-field at bit 451');
  });

  it('are taken from whichever type of that name has them', () => {
    const b = new BtfBuilder();
    const int = b.int('int', 4);
    b.struct('s', 4, [{ name: 'a', type: int, at: 0 }]);
    b.struct('s', 8, [{ name: 'b', type: int, at: 32 }]);
    const twice = Btf.parse(b.build());
    expect(twice.field('s.b')).toMatchObject({ offset: 4, container: 3 });
    expect(twice.fieldOf(2, 'a')).toMatchObject({ offset: 0, container: 2 });
    expect(() => twice.fieldOf(2, 'b')).toThrow(BtfNotFoundError);
  });
});

describe('sizes and alignments', () => {
  it.each([
    ['all', 96, 8],
    ['struct all', 96, 8],
    ['all_t', 96, 8],
    ['int', 4, 4],
    ['u8', 1, 1],
    ['enum state', 4, 4],
    ['packed', 5, 1],
    ['mixed', 16, 8],
  ])('%s has %i bytes, aligned to %i', (name, size, align) => {
    expect([btf.sizeof(name), btf.alignof(name)]).toEqual([size, align]);
  });

  it('a pointer is as large as a long', () => {
    const narrow = structs(4);
    expect([narrow.pointerSize, btf.pointerSize]).toEqual([4, 8]);
    expect(narrow.field('all.next').size).toBe(4);
    // On 32-bit x86 a long long in a struct is aligned to 4.
    expect([narrow.alignof('mixed'), btf.alignof('mixed')]).toEqual([4, 8]);
  });

  it('a size that is no multiple of its alignment is that of a packed struct', () => {
    const b = new BtfBuilder();
    const char = b.int('char', 1);
    b.struct('s', 5, [
      { name: 'a', type: b.int('int', 4), at: 0 },
      { name: 'b', type: char, at: 32 },
    ]);
    expect(Btf.parse(b.build()).alignof('s')).toBe(1);
  });

  it('what has no size says so', () => {
    expect(() => btf.sizeof('hidden')).toThrow('there is no such type');
    expect(() => btf.sizeof(btf.find('hidden')!)).toThrow('struct hidden has no size');
    expect(() => btf.alignof(0)).toThrow('void has no size');
    expect(() => btf.sizeof('union all')).toThrow('there is no such type');
  });
});

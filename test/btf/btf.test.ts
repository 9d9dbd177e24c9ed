import { describe, expect, it } from 'vitest';
import { Btf, BtfError, BtfNotFoundError, type BtfType } from '../../btf/index.ts';
import { BtfBuilder, sample } from './builder.ts';

type WithoutId<T> = T extends BtfType ? Omit<T, 'id'> : never;

const build = (fill: (b: BtfBuilder) => void, options = {}): Btf => {
  const b = new BtfBuilder(options);
  fill(b);
  return Btf.parse(b.build());
};

describe('each kind', () => {
  const rows: [what: string, fill: (b: BtfBuilder) => number, type: WithoutId<BtfType>][] = [
    [
      'int',
      (b) => b.int('int', 4, 1),
      { kind: 'int', name: 'int', size: 4, signed: true, char: false, bool: false, bits: 32, bitOffset: 0 },
    ],
    [
      'int, in part',
      (b) => b.int('f', 4, 0, 3, 5),
      { kind: 'int', name: 'f', size: 4, signed: false, char: false, bool: false, bits: 3, bitOffset: 5 },
    ],
    [
      'char',
      (b) => b.int('char', 1, 2),
      { kind: 'int', name: 'char', size: 1, signed: false, char: true, bool: false, bits: 8, bitOffset: 0 },
    ],
    [
      '_Bool',
      (b) => b.int('_Bool', 1, 4),
      { kind: 'int', name: '_Bool', size: 1, signed: false, char: false, bool: true, bits: 8, bitOffset: 0 },
    ],
    [
      'int of 128 bits',
      (b) => b.int('u128', 16),
      { kind: 'int', name: 'u128', size: 16, signed: false, char: false, bool: false, bits: 128, bitOffset: 0 },
    ],
    ['ptr', (b) => b.ptr(0), { kind: 'ptr', name: '', type: 0 }],
    ['array', (b) => b.array(1, 1, 7), { kind: 'array', name: '', type: 1, indexType: 1, count: 7 }],
    [
      'struct',
      (b) =>
        b.struct('s', 8, [
          { name: 'a', type: 1, at: 0 },
          { name: '', type: 1, at: 32 },
        ]),
      {
        kind: 'struct',
        name: 's',
        size: 8,
        members: [
          { name: 'a', type: 1, bitOffset: 0 },
          { name: '', type: 1, bitOffset: 32 },
        ],
      },
    ],
    [
      'struct with kind_flag',
      (b) =>
        b.struct(
          's',
          8,
          [
            { name: 'a', type: 1, at: 0, bits: 3 },
            { name: 'b', type: 1, at: 32 },
          ],
          true,
        ),
      {
        kind: 'struct',
        name: 's',
        size: 8,
        members: [
          { name: 'a', type: 1, bitOffset: 0, bitSize: 3 },
          { name: 'b', type: 1, bitOffset: 32 },
        ],
      },
    ],
    [
      'struct too large for the offsets of kind_flag',
      (b) => b.struct('s', 0x400000, [{ name: 'a', type: 1, at: 0x1ffffe0 }]),
      { kind: 'struct', name: 's', size: 0x400000, members: [{ name: 'a', type: 1, bitOffset: 0x1ffffe0 }] },
    ],
    ['empty struct', (b) => b.struct('s', 0, []), { kind: 'struct', name: 's', size: 0, members: [] }],
    [
      'union',
      (b) => b.union('u', 4, [{ name: 'a', type: 1, at: 0 }]),
      { kind: 'union', name: 'u', size: 4, members: [{ name: 'a', type: 1, bitOffset: 0 }] },
    ],
    [
      'enum',
      (b) =>
        b.enum('e', [
          ['A', 0],
          ['B', 0xffff0000],
        ]),
      {
        kind: 'enum',
        name: 'e',
        size: 4,
        signed: false,
        values: [
          { name: 'A', value: 0 },
          { name: 'B', value: 0xffff0000 },
        ],
      },
    ],
    [
      'signed enum',
      (b) => b.enum('e', [['A', -1]], true),
      { kind: 'enum', name: 'e', size: 4, signed: true, values: [{ name: 'A', value: -1 }] },
    ],
    [
      'enum of one byte',
      (b) => b.enum('e', [['A', 1]], false, 1),
      { kind: 'enum', name: 'e', size: 1, signed: false, values: [{ name: 'A', value: 1 }] },
    ],
    [
      'enum64',
      (b) =>
        b.enum64('e', [
          ['A', 1n << 63n],
          ['B', 2n],
        ]),
      {
        kind: 'enum64',
        name: 'e',
        size: 8,
        signed: false,
        values: [
          { name: 'A', value: 1n << 63n },
          { name: 'B', value: 2n },
        ],
      },
    ],
    [
      'signed enum64',
      (b) => b.enum64('e', [['A', -2n]], true),
      { kind: 'enum64', name: 'e', size: 8, signed: true, values: [{ name: 'A', value: -2n }] },
    ],
    ['fwd', (b) => b.fwd('f'), { kind: 'fwd', name: 'f', of: 'struct' }],
    ['fwd of a union', (b) => b.fwd('f', true), { kind: 'fwd', name: 'f', of: 'union' }],
    ['typedef', (b) => b.typedef('t', 1), { kind: 'typedef', name: 't', type: 1 }],
    ['volatile', (b) => b.volatile(1), { kind: 'volatile', name: '', type: 1 }],
    ['const', (b) => b.const(0), { kind: 'const', name: '', type: 0 }],
    ['restrict', (b) => b.restrict(1), { kind: 'restrict', name: '', type: 1 }],
    ['func', (b) => b.func('f', 1, 2), { kind: 'func', name: 'f', type: 1, linkage: 'extern' }],
    [
      'func_proto',
      (b) =>
        b.proto(1, [
          ['a', 1],
          ['', 1],
        ]),
      {
        kind: 'func_proto',
        name: '',
        returns: 1,
        params: [
          { name: 'a', type: 1 },
          { name: '', type: 1 },
        ],
        variadic: false,
      },
    ],
    [
      'variadic func_proto',
      (b) =>
        b.proto(0, [
          ['a', 1],
          ['', 0],
        ]),
      { kind: 'func_proto', name: '', returns: 0, params: [{ name: 'a', type: 1 }], variadic: true },
    ],
    ['var', (b) => b.var('v', 1, 0), { kind: 'var', name: 'v', type: 1, linkage: 'static' }],
    [
      'datasec',
      (b) => b.datasec('.bss', 12, [[1, 8, 4]]),
      { kind: 'datasec', name: '.bss', size: 12, vars: [{ type: 1, offset: 8, size: 4 }] },
    ],
    [
      'datasec of an object not yet linked',
      (b) => b.datasec('maps', 0, [[1, 0, 4]]),
      { kind: 'datasec', name: 'maps', size: 0, vars: [{ type: 1, offset: 0, size: 4 }] },
    ],
    ['float', (b) => b.float('double', 8), { kind: 'float', name: 'double', size: 8 }],
    ['decl_tag', (b) => b.declTag('d', 1, 2), { kind: 'decl_tag', name: 'd', type: 1, component: 2, attribute: false }],
    [
      'decl_tag as attribute',
      (b) => b.declTag('d', 1, -1, true),
      { kind: 'decl_tag', name: 'd', type: 1, component: -1, attribute: true },
    ],
    ['type_tag', (b) => b.typeTag('rcu', 1), { kind: 'type_tag', name: 'rcu', type: 1, attribute: false }],
    [
      'type_tag as attribute',
      (b) => b.typeTag('address_space(1)', 1, true),
      { kind: 'type_tag', name: 'address_space(1)', type: 1, attribute: true },
    ],
  ];

  for (const endian of ['little', 'big'] as const) {
    it.each(rows)(`${endian}-endian: %s`, (_, fill, type) => {
      const btf = build(
        (b) => {
          b.int('first', 4);
          fill(b);
        },
        { endian },
      );
      expect(btf.endian).toBe(endian);
      expect(btf.count).toBe(2);
      expect(btf.type(2)).toEqual({ ...type, id: 2 });
      expect(btf.kind(2)).toBe(type.kind);
    });
  }

  it('id 0 is void', () => {
    expect(build((b) => b.int('int', 4)).type(0)).toEqual({ kind: 'void', id: 0, name: '' });
  });

  it('a vlen above 65535 counts', () => {
    const btf = build((b) =>
      b.enum(
        'many',
        Array.from({ length: 70_000 }, (_, i): [string, number] => [`V${i}`, i]),
      ),
    );
    expect(btf.enumValues('many').length).toBe(70_000);
    expect(btf.enumValue('many', 'V69999')).toBe(69_999);
  });
});

describe('the blob', () => {
  it('may lie anywhere in memory, and in a Buffer', () => {
    const blob = sample();
    const plain = [...Btf.parse(blob).types()];
    for (const shift of [1, 2, 3, 4]) {
      const memory = new Uint8Array(blob.length + 8);
      memory.set(blob, shift);
      expect([...Btf.parse(memory.subarray(shift, shift + blob.length)).types()]).toEqual(plain);
      const buffer = Buffer.from(memory.buffer, shift, blob.length);
      expect([...Btf.parse(buffer).types()]).toEqual(plain);
    }
  });

  it('says the same in both byte orders', () => {
    const [little, big] = [Btf.parse(sample()), Btf.parse(sample({ endian: 'big' }))];
    expect([...big.types()]).toEqual([...little.types()]);
  });

  it('may have a header longer than the known one', () => {
    const btf = Btf.parse(sample({ extraHeader: Uint8Array.of(...Array<number>(8).fill(0), 1, 2, 3, 4, 5, 6, 7, 8) }));
    expect([...btf.types()]).toEqual([...Btf.parse(sample()).types()]);
  });

  it('may hold kinds that only its layout section tells the length of', () => {
    const layout = Array.from({ length: 23 }, (): [number, number] => [0, 0]);
    layout[21] = [8, 0];
    layout[22] = [4, 12];
    const fill = (b: BtfBuilder): void => {
      b.int('int', 4);
      b.raw(20, 'plain', 0);
      b.raw(21, 'once', 0, 0, false, [7, 7]);
      b.raw(22, 'each', 0, 2, false, [1, 2, 3, 4, 5, 6, 7]);
      b.typedef('after', 1);
    };
    const btf = build(fill, { layout });
    expect(btf.type(3)).toEqual({ kind: 'unknown', id: 3, name: 'once', code: 21 });
    expect(btf.type(5)).toEqual({ kind: 'typedef', id: 5, name: 'after', type: 1 });
    expect(btf.find('each', 'unknown')).toBe(4);
    expect(() => btf.sizeof(4)).toThrow(BtfNotFoundError);
    expect(() => build(fill)).toThrow('type 2/info: kind 20 is unknown');
  });

  it('may be empty', () => {
    const btf = build(() => {});
    expect(btf.count).toBe(0);
    expect([...btf.types()]).toEqual([]);
    expect(btf.find('int')).toBeUndefined();
  });
});

describe('look-ups by name', () => {
  const btf = build((b) => {
    b.int('x', 4);
    b.fwd('twice');
    b.struct('twice', 4, [{ name: 'a', type: 1, at: 0 }]);
    b.typedef('twice', 3);
    b.struct('twice', 8, [{ name: 'b', type: 1, at: 32 }]);
    b.func('x', b.proto(0, []));
    b.enum('', [['E', 1]]);
    b.typedef('größe', 1);
  });

  it('find the lowest id, of the kinds asked for', () => {
    expect(btf.find('twice')).toBe(2);
    expect(btf.find('twice', 'struct')).toBe(3);
    expect(btf.find('twice', ['typedef', 'union'])).toBe(4);
    expect(btf.findAll('twice')).toEqual([2, 3, 4, 5]);
    expect(btf.findAll('twice', ['struct'])).toEqual([3, 5]);
    expect(btf.find('größe')).toBe(8 + 1);
    expect([...btf.names(['typedef', 'enum'])]).toEqual([
      ['twice', 4],
      ['größe', 9],
    ]);
    expect([...btf.types('func_proto')].map((type) => type.id)).toEqual([6]);
  });

  it.each(['', 'twic', 'wice', 'twice2', 'E', '\0twice', 'twice\0größe', 'a'])('do not find %j', (name) => {
    expect(btf.find(name)).toBeUndefined();
    expect(btf.findAll(name)).toEqual([]);
  });

  it('find a name whether or not equal strings were merged', () => {
    const twice = build((b) => {
      b.int('copy', 4);
      // Two strings to the builder: "x" and a second "copy".
      const copy = { offset: b.string('x\0copy') + 2 };
      b.raw(8, copy, 1);
    });
    expect(twice.findAll('copy')).toEqual([1, 2]);
  });

  it('do not find the end of a longer name', () => {
    const tail = build((b) => b.raw(8, { offset: b.string('longer') + 4 }, b.int('int', 4)));
    expect(() => tail.find('er')).toThrow(new BtfError('type 2 (typedef)/name', 40, 'no string starts at offset 5'));
    expect(tail.find('longer')).toBeUndefined();
  });

  it('suggest the nearest names, the best first', () => {
    const near = build((b) => {
      for (const name of ['abcdxy', 'abcdex', 'abcdefgh', 'zzzzzz']) b.fwd(name);
    });
    expect(near.nearestNames('abcdef')).toEqual(['abcdex', 'abcdefgh', 'abcdxy']);
  });

  it('tell missing things from damage', () => {
    expect(() => btf.enumValues('nothing')).toThrow(BtfNotFoundError);
    expect(() => btf.sizeof('twicee')).toThrow(/there is no such type; did you mean twice\?/);
    expect(() => btf.type(99)).toThrow(BtfNotFoundError);
    expect(() => btf.type(-1)).toThrow(BtfNotFoundError);
    expect(() => btf.type(1.5)).toThrow(BtfNotFoundError);
    expect(btf.func('nothing')).toBeUndefined();
    expect(btf.enumValue('nothing', 'E')).toBeUndefined();
    expect(btf.enumName('nothing', 1)).toBeUndefined();
  });
});

describe('enums and functions', () => {
  const btf = Btf.parse(sample());

  it('name values and values of names', () => {
    expect(btf.enumValues('reason')).toEqual([
      { name: 'NONE', value: 0 },
      { name: 'SOCKET', value: 2 },
      { name: 'MASK', value: 0xffff0000 },
    ]);
    expect(btf.enumValue('enum reason', 'SOCKET')).toBe(2);
    expect(btf.enumName('reason', 0xffff0000)).toBe('MASK');
    expect(btf.enumName('reason', 7)).toBeUndefined();
    expect(btf.enumValue('level', 'BELOW')).toBe(-1);
    expect(btf.enumName('flags', 1)).toBe('LOW');
    expect(btf.enumValue('flags', 'HIGH')).toBe(1n << 63n);
    expect(btf.enumName(btf.field('buff.reason').type, 2)).toBe('SOCKET');
  });

  it('give the parameters of functions', () => {
    const drop = btf.func('drop')!;
    expect(btf.type(drop.id)).toMatchObject({ kind: 'func', name: 'drop', linkage: 'global' });
    expect(drop.params.map(({ name, type }) => `${name}: ${btf.typeName(type)}`)).toEqual([
      'skb: __attribute__((btf_type_tag("rcu"))) struct buff *',
      'text: const char * restrict',
    ]);
    expect(drop.variadic).toBe(true);
    expect(btf.typeName(drop.returns)).toBe('int');
  });

  it('refuse a function whose type is no prototype', () => {
    const broken = build((b) => b.func('f', b.int('int', 4)));
    expect(() => broken.func('f')).toThrow(new BtfError('type 2 (func f)/type', 48, 'type 1 (int) is no prototype'));
  });
});

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Btf, BtfError, BtfNotFoundError, printType } from '../../btf/index.ts';
import { needTool } from '../helpers/need.ts';
import { asBpftool, dumpedTypes } from './bpftool.ts';
import { BtfBuilder, sample } from './builder.ts';

/** Damage that is reported, and where. */
const rows: [
  what: string,
  fill: (b: BtfBuilder) => void,
  ask: (btf: Btf) => unknown,
  path: string,
  offset: number,
  problem: string,
][] = [
  [
    'a name past the strings',
    (b) => b.raw(1, { offset: 999 }, 4, 0, false, [32]),
    (btf) => btf.type(1),
    'type 1 (int)/name',
    24,
    'no string starts at offset 999',
  ],
  [
    'a name within a string',
    (b) => b.raw(8, { offset: b.string('abc') + 1 }, 0),
    (btf) => btf.type(1),
    'type 1 (typedef)/name',
    24,
    'no string starts at offset 2',
  ],
  [
    'a name that would upset a terminal',
    (b) => b.fwd('a\u001b[2J'),
    (btf) => btf.type(1),
    'type 1 (fwd)/name',
    24,
    'the string at offset 1 is not printable UTF-8',
  ],
  [
    'a reference past the types',
    (b) => b.typedef('t', 2),
    (btf) => btf.type(1),
    'type 1 (typedef t)/type',
    32,
    'there is no type 2',
  ],
  [
    'a member name',
    (b) => b.struct('s', 4, [{ name: { offset: 77 }, type: 0, at: 0 }]),
    (btf) => btf.type(1),
    'type 1 (struct s)/member 0/name',
    36,
    'no string starts at offset 77',
  ],
  [
    'a member type',
    (b) =>
      b.struct('s', 4, [
        { name: 'a', type: 0, at: 0 },
        { name: 'b', type: 9, at: 0 },
      ]),
    (btf) => btf.type(1),
    'type 1 (struct s)/member 1/type',
    52,
    'there is no type 9',
  ],
  [
    'a member past its struct',
    (b) => b.struct('s', 4, [{ name: 'a', type: 0, at: 33 }]),
    (btf) => btf.type(1),
    'type 1 (struct s)/member 0/offset',
    44,
    "bit 33 is past the struct's 32 bits",
  ],
  [
    'a bit-field past its union',
    (b) => b.union('u', 4, [{ name: 'a', type: 0, at: 30, bits: 3 }], true),
    (btf) => btf.type(1),
    'type 1 (union u)/member 0/offset',
    44,
    "bit 33 is past the union's 32 bits",
  ],
  [
    'a member that ends past its struct',
    (b) => b.struct('s', 4, [{ name: 'a', type: b.int('int', 4), at: 8 }]),
    (btf) => btf.field('s.a'),
    'type 2 (struct s)/member 0/offset',
    60,
    "4 bytes at bit 8 are past the struct's 4 bytes",
  ],
  [
    'a member without size',
    (b) => b.struct('s', 4, [{ name: 'a', type: b.fwd('f'), at: 0 }]),
    (btf) => btf.field('s.a'),
    'type 2 (struct s)/member 0/type',
    52,
    'type 1 (fwd) has no size',
  ],
  [
    'the same, when printed',
    (b) => b.struct('s', 4, [{ name: 'a', type: 0, at: 0 }]),
    (btf) => printType(btf, 1),
    'type 1 (struct s)/member 0/type',
    40,
    'type 0 (void) has no size',
  ],
  [
    'an int of odd size',
    (b) => b.int('int', 3),
    (btf) => btf.type(1),
    'type 1 (int int)/size',
    32,
    '3 is not one of 1, 2, 4, 8, 16',
  ],
  [
    'more bits than an int has',
    (b) => b.int('int', 1, 0, 8, 1),
    (btf) => btf.type(1),
    'type 1 (int int)/bits',
    36,
    '8 bits at bit 1 do not fit 1 bytes',
  ],
  [
    'an int of unknown encoding',
    (b) => b.int('int', 4, 8),
    (btf) => btf.type(1),
    'type 1 (int int)/encoding',
    36,
    '0x8 is unknown',
  ],
  [
    'an enum of odd size',
    (b) => b.enum('e', [], false, 3),
    (btf) => btf.type(1),
    'type 1 (enum e)/size',
    32,
    '3 is not one of 1, 2, 4, 8',
  ],
  ['a vlen where none belongs', (b) => b.raw(2, '', 0, 1), (btf) => btf.type(1), 'type 1 (ptr)/vlen', 28, '1 is not 0'],
  [
    'an unknown linkage of a function',
    (b) => b.func('f', 0, 3),
    (btf) => btf.type(1),
    'type 1 (func f)/linkage',
    28,
    '3 is unknown',
  ],
  [
    'an unknown linkage of a variable',
    (b) => b.var('v', 0, 3),
    (btf) => btf.type(1),
    'type 1 (var v)/linkage',
    36,
    '3 is unknown',
  ],
  [
    'a void parameter',
    (b) =>
      b.proto(0, [
        ['a', 0],
        ['', 0],
      ]),
    (btf) => btf.type(1),
    'type 1 (func_proto)/param 0/type',
    40,
    'a parameter cannot be void',
  ],
  [
    'a variable past its section',
    (b) => b.datasec('.bss', 4, [[0, 2, 4]]),
    (btf) => btf.type(1),
    'type 1 (datasec .bss)/var 0/offset',
    40,
    "byte 6 is past the section's 4",
  ],
  [
    'a tag on part -2',
    (b) => b.declTag('t', 0, -2),
    (btf) => btf.type(1),
    'type 1 (decl_tag t)/component_idx',
    36,
    '-2 is below -1',
  ],
  [
    'an array past 4 GiB',
    (b) => b.array(b.int('int', 4), 1, 0x40000000),
    (btf) => btf.sizeof(2),
    'type 2 (array)/nelems',
    60,
    '1073741824 × 4 bytes are past 4 GiB',
  ],
  [
    'an array of nothing',
    (b) => b.array(0, 0, 1),
    (btf) => btf.sizeof(1),
    'type 1 (array)/type',
    36,
    'an element has no size',
  ],
  [
    'a function without prototype',
    (b) => b.func('f', 0),
    (btf) => btf.func('f'),
    'type 1 (func f)/type',
    32,
    'type 0 (void) is no prototype',
  ],
  ['a kind that does not exist', (b) => b.raw(20, '', 0), () => undefined, 'type 1/info', 28, 'kind 20 is unknown'],
  ['kind 0', (b) => b.raw(0, '', 0), () => undefined, 'type 1/info', 28, 'kind 0 is unknown'],
  ['an enormous vlen', (b) => b.raw(4, 's', 4, 0xffffff), () => undefined, 'type 1', 24, 'the type section ends in it'],
  [
    'a type cut short',
    (b) => b.raw(3, '', 0, 0, false, [0, 0]),
    () => undefined,
    'type 1',
    24,
    'the type section ends in it',
  ],
  [
    'a typedef of itself',
    (b) => b.typedef('t', 1),
    (btf) => btf.resolve(1),
    'type 1 (typedef t)/type',
    32,
    'it leads through more than 32 types',
  ],
  [
    'a circle of typedefs, measured',
    (b) => void [b.typedef('t', 2), b.const(1)],
    (btf) => btf.sizeof(1),
    'type 2 (const)',
    44,
    'more than 32 types lead to it',
  ],
  [
    'a circle of arrays',
    (b) => void [b.array(2, 2, 1), b.array(1, 1, 1)],
    (btf) => btf.sizeof(1),
    'type 2 (array)',
    56,
    'more than 32 types lead to it',
  ],
  [
    'a circle of arrays, aligned',
    (b) => void [b.array(2, 2, 1), b.array(1, 1, 1)],
    (btf) => btf.alignof(1),
    'type 2 (array)',
    56,
    'more than 32 types lead to it',
  ],
  [
    'a circle of pointers, spelt',
    (b) => void b.ptr(1),
    (btf) => btf.typeName(1),
    'type 1 (ptr)',
    32,
    'more than 32 types lead to it',
  ],
  [
    'a prototype that takes itself',
    (b) => void b.proto(0, [['a', 1]]),
    (btf) => btf.typeName(1),
    'type 1 (func_proto)',
    32,
    'more than 32 types lead to it',
  ],
  [
    'a struct in itself, aligned',
    (b) => b.struct('s', 4, [{ name: 'a', type: 1, at: 0 }]),
    (btf) => btf.alignof('s'),
    'type 1 (struct s)',
    32,
    'more than 32 types lead to it',
  ],
];

describe('damage is reported as a BtfError with its place', () => {
  it.each(rows)('%s', (_, fill, ask, path, offset, problem) => {
    const b = new BtfBuilder();
    fill(b);
    const blob = b.build();
    const error = thrown(() => ask(Btf.parse(blob)));
    expect(error).toEqual(new BtfError(path, offset, problem));
    expect(error).toMatchObject({ name: 'BtfError', path, offset });
    expect(error).not.toHaveProperty('cause');
  });

  it('bytes that are not UTF-8', () => {
    const b = new BtfBuilder();
    b.typedef('name', 0);
    const blob = b.build();
    blob[blob.length - 2] = 0xff;
    expect(() => Btf.parse(blob).type(1)).toThrow('the string at offset 1 is not printable UTF-8');
    expect(() => [...Btf.parse(blob).names()]).toThrow(BtfError);
    expect(Btf.parse(blob).find('nam\ufffd')).toBeUndefined();
  });
});

describe('the header', () => {
  it.each<[string, (view: DataView) => void, string]>([
    ['magic', (v) => v.setUint16(0, 0x1234, true), 'header/magic'],
    ['version', (v) => v.setUint8(2, 2), 'header/version'],
    ['flags', (v) => v.setUint8(3, 1), 'header/flags'],
    ['a length too short', (v) => v.setUint32(4, 23, true), 'header/hdr_len'],
    ['a length past the blob', (v) => v.setUint32(4, 0xffffffff, true), 'header/hdr_len'],
    ['types past the blob', (v) => v.setUint32(8, 0xfffffffc, true), 'header/type_off'],
    ['types out of alignment', (v) => v.setUint32(8, 2, true), 'header/type_off'],
    ['a length of types that is no multiple of 4', (v) => v.setUint32(12, 13, true), 'header/type_len'],
    ['too many types', (v) => v.setUint32(12, 0xffffffff, true), 'header/type_off'],
    ['strings past the blob', (v) => v.setUint32(16, 0x7fffffff, true), 'header/str_off'],
    ['strings in the types', (v) => v.setUint32(16, 0, true), 'header/str_off'],
    ['no strings', (v) => v.setUint32(20, 0, true), 'strings'],
    ['strings without end', (v) => v.setUint32(20, v.getUint32(20, true) - 1, true), 'strings'],
  ])('%s', (_, damage, path) => {
    const blob = sample();
    damage(new DataView(blob.buffer));
    const error = thrown(() => Btf.parse(blob));
    expect(error).toBeInstanceOf(BtfError);
    expect((error as BtfError).path).toBe(path);
  });

  it('of a layout that is in the way, or not in words', () => {
    const layout = Array.from({ length: 21 }, (): [number, number] => [0, 0]);
    const blob = sample({ layout });
    new DataView(blob.buffer).setUint32(24, 4, true);
    expect(() => Btf.parse(blob)).toThrow('the layout overlaps another section');
    layout[20] = [2, 0];
    expect(() => Btf.parse(sample({ layout }))).toThrow('layout/kind 20: a length is not a multiple of 4');
  });
});

describe('work is bounded', () => {
  /** Each level holds the one below twice: 2^depth if nothing is remembered. */
  const tower = (depth: number, named: boolean): Btf => {
    const b = new BtfBuilder();
    let below = b.int('int', 4);
    for (let level = 0; level < depth; level++) {
      below = b.union(named ? `u${level}` : '', 4, [
        { name: named ? 'a' : '', type: below, at: 0 },
        { name: named ? 'b' : '', type: below, at: 0 },
      ]);
    }
    b.union('top', 4, [
      { name: 'in', type: below, at: 0 },
      { name: '', type: below, at: 0 },
    ]);
    return Btf.parse(b.build());
  };

  it('looking for a member that is not there', () => {
    expect(() => tower(30, false).field('top.nothing')).toThrow(BtfNotFoundError);
    expect(() => tower(40, false).field('top.nothing')).toThrow('it is nested more than 32 deep');
  });

  it('aligning', () => {
    expect(tower(30, true).alignof('top')).toBe(4);
    expect(() => tower(40, true).alignof('top')).toThrow(BtfError);
  });

  it('printing and spelling', () => {
    const btf = tower(30, false);
    expect(() => printType(btf, btf.find('top')!)).toThrow('a definition has more than');
    const b = new BtfBuilder();
    let below = b.int('int', 4);
    for (let level = 0; level < 30; level++)
      below = b.proto(below, [
        ['a', below],
        ['b', below],
      ]);
    expect(() => Btf.parse(b.build()).typeName(below)).toThrow('a definition has more than');
  });

  it('printing a struct that is nearly all hole', () => {
    const b = new BtfBuilder();
    b.struct('hole', 0xffffffff, [{ name: 'a', type: b.int('char', 1), at: 0x800 }]);
    const text = printType(Btf.parse(b.build()), 2);
    expect(text).toContain('char __padding_');
    expect(text.length).toBeLessThan(100_000);
  });

  it('following a struct with very many members', () => {
    const b = new BtfBuilder();
    const int = b.int('int', 4);
    b.union(
      'wide',
      4,
      Array.from({ length: 200_000 }, () => ({ name: 'a', type: int, at: 0 })),
    );
    expect(Btf.parse(b.build()).alignof('wide')).toBe(4);
  });
});

describe('whatever the damage', () => {
  it('a blob cut at any length is refused', () => {
    const blob = sample();
    for (let length = 0; length < blob.length; length++) {
      const error = thrown(() => Btf.parse(blob.subarray(0, length)));
      if (!(error instanceof BtfError)) expect([length, error]).toBeUndefined();
    }
  });

  it('sections cut at any length, with a header that agrees, are read or refused', () => {
    for (const at of [12, 20]) {
      const whole = new DataView(sample().buffer).getUint32(at, true);
      for (let length = 0; length < whole; length++) {
        const blob = sample();
        new DataView(blob.buffer).setUint32(at, length, true);
        exercise(blob);
      }
    }
  });

  it('8,000 blobs with random bytes and words changed are read or refused', () => {
    const random = mulberry(0x5eed);
    const outcomes = { read: 0, refused: 0, faults: 0 };
    for (let round = 0; round < 8_000; round++) {
      const endian = round % 2 === 0 ? 'little' : 'big';
      const faults = exercise(mutated(sample({ endian }), random, endian === 'little'));
      if (faults === undefined) outcomes.refused++;
      else if (faults > 0) outcomes.faults++;
      else outcomes.read++;
    }
    // Each outcome occurs often, so each is put to the test.
    expect(Math.min(...Object.values(outcomes)), JSON.stringify(outcomes)).toBeGreaterThan(200);
  });

  it('any bytes at all are read or refused', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void exercise(bytes)));
    const byte = fc.tuple(fc.nat(sample().length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 8 }), (bytes) => {
        const blob = sample();
        for (const [at, value] of bytes) blob[at] = value;
        exercise(blob);
      }),
      { numRuns: 1_000 },
    );
  });

  it('a damaged split BTF is read or refused, and leaves its base alone', () => {
    const kernel = new BtfBuilder();
    const int = kernel.int('int', 4, 1);
    kernel.struct('buff', 4, [{ name: 'len', type: int, at: 0 }]);
    const base = Btf.parse(kernel.build());
    const module = new BtfBuilder({ base: kernel.asBase });
    module.struct('own', 12, [
      { name: 'in', type: 2, at: 0 },
      { name: 'skb', type: module.last + 2, at: 32 },
    ]);
    module.ptr(2);
    module.enum('reason', [['A', 1]]);
    const random = mulberry(7);
    for (let round = 0; round < 1_500; round++) exercise(mutated(module.build(), random, true), base);
    expect(base.field('buff.len').size).toBe(4);
  });
});

const bpftool = needTool('bpftool');
describe.skipIf(bpftool === undefined)('damage against bpftool [skipped: bpftool is not installed]', () => {
  it('what both read of a damaged blob, both read alike', () => {
    const folder = mkdtempSync(join(tmpdir(), 'skbdrop-btf-'));
    const file = join(folder, 'damaged');
    const random = mulberry(42);
    let alike = 0;
    try {
      for (let round = 0; round < 400; round++) {
        const blob = mutated(sample(), random, true);
        const ours = attempt(() => [...Btf.parse(blob).types()].map(asBpftool));
        if (ours === undefined) continue;
        writeFileSync(file, blob);
        const theirs = attempt(() =>
          dumpedTypes(execFileSync(bpftool!, ['-j', 'btf', 'dump', 'file', file], { encoding: 'utf8', stdio: 'pipe' })),
        );
        if (theirs === undefined) continue;
        // An empty name that is not at offset 0 is one that damage emptied.
        expect(ours).toEqual(JSON.parse(JSON.stringify(theirs).replaceAll('"name":""', '"name":"(anon)"')));
        alike++;
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(alike).toBeGreaterThan(50);
  });
});

/**
 * Asks everything of a blob. Undefined where it does not parse, else how many questions met damage.
 *
 * Anything but an answer, a BtfError or a BtfNotFoundError fails the test, and so does an impossible answer.
 */
function exercise(blob: Uint8Array, base?: Btf): number | undefined {
  const btf = attempt(() => Btf.parse(blob, base));
  if (btf === undefined) return undefined;
  let faults = 0;
  const ask = <T>(question: () => T): T | undefined => {
    try {
      return question();
    } catch (error) {
      if (error instanceof BtfError) faults++;
      else if (!(error instanceof BtfNotFoundError)) throw error;
      return undefined;
    }
  };
  ask(() => [...btf.names()]);
  ask(() => btf.pointerSize);
  for (const name of ['buff', 'int', 'reason', 'drop', 'nothing']) ask(() => btf.findAll(name));
  ask(() => btf.func('drop'));
  ask(() => btf.field('buff.dev'));
  for (let id = btf.firstId; id < btf.firstId + btf.count; id++) {
    const type = ask(() => btf.type(id));
    ask(() => btf.resolve(id));
    const size = ask(() => btf.sizeof(id));
    const align = ask(() => btf.alignof(id));
    const text = ask(() => `${btf.typeName(id)}\n${printType(btf, id)}`);
    ask(() => btf.enumValues(id));
    if (size !== undefined && !(size >= 0 && size <= 0xffffffff)) expect([type, size]).toBeUndefined();
    if (align !== undefined && ![1, 2, 4, 8].includes(align)) expect([type, align]).toBeUndefined();
    if (text !== undefined && /[^\t\n\x20-\x7e\u00a0-\uffff]/u.test(text)) expect(text).toBeUndefined();
    if (type?.kind !== 'struct' && type?.kind !== 'union') continue;
    for (const { name } of type.members) {
      const field = name === '' ? undefined : ask(() => btf.fieldOf(id, name));
      if (field !== undefined && field.offset + field.size > type.size) expect([type, field]).toBeUndefined();
    }
  }
  return faults;
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    // A tool that refuses its input exits with a status.
    if (error instanceof BtfError || (error as { status?: unknown }).status !== undefined) return undefined;
    throw error;
  }
}

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** One to four bytes or words changed to what is likely to hurt. */
function mutated(blob: Uint8Array, random: () => number, little: boolean): Uint8Array {
  const view = new DataView(blob.buffer);
  for (let edits = 1 + Math.floor(random() * 4); edits > 0; edits--) {
    const word = 24 + Math.floor((random() * (blob.length - 28)) / 4) * 4;
    const choice = Math.floor(random() * 5);
    if (choice === 0) view.setUint8(Math.floor(random() * blob.length), Math.floor(random() * 256));
    else if (choice === 1) view.setUint32(word, Math.floor(random() * 40), little);
    else if (choice === 2) view.setUint32(word, view.getUint32(word, little) + (random() < 0.5 ? 1 : -1), little);
    else if (choice === 3) view.setUint32(word, 2 ** Math.floor(random() * 32), little);
    else view.setUint32(word, Math.floor(random() * 20) * 0x0100_0000 + Math.floor(random() * 4), little);
  }
  return blob;
}

/** A small seeded generator, so that a failure can be repeated. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

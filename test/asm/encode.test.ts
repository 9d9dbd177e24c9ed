import { endianness } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  AsmError,
  alu64,
  call,
  decode,
  encode,
  exit,
  hostEndian,
  type Instruction,
  instruction,
  jump,
  mapFd,
  print,
  r1,
} from '../../asm/index.ts';
import { anyInstruction, everyFamily } from './generate.ts';
import { bytesOf, hexOf, thrown } from './helpers.ts';
import { vectors } from './vectors.ts';

/** The same slots on a big-endian machine: the register nibbles, the two bytes of off and the four of imm reversed. */
function bigEndian(hex: string): string {
  return hex.replace(/(..)(.)(.)(..)(..)(..)(..)(..)(..)/g, '$1$3$2$5$4$9$8$7$6');
}

/** What the constructor knew and the bytes do not hold. */
function bare({ name: _, ...insn }: Instruction): Instruction {
  return insn;
}

describe('vectors', () => {
  test.each(vectors)('%# $2', (insn, hex, text) => {
    expect(hexOf(encode([insn], 'little'))).toBe(hex);
    expect(hexOf(encode([insn], 'big'))).toBe(bigEndian(hex));
    expect(decode(bytesOf(hex), 'little')).toEqual([bare(insn)]);
    expect(decode(bytesOf(bigEndian(hex)), 'big')).toEqual([bare(insn)]);
    expect(print(insn)).toBe(text);
  });

  test('the big-endian transform is what RFC 9669, section 3.1, shows', () => {
    expect(bigEndian('0701000044332211')).toBe('0710000011223344');
    expect(hexOf(encode([alu64.add(r1, 0x11223344)], 'big'))).toBe('0710000011223344');
  });

  test('every opcode of every family is among them', () => {
    const opcodes = new Set(vectors.map(([{ opcode }]) => opcode));
    const missing = everyFamily.filter(({ arbitrary }) =>
      fc.sample(arbitrary, { numRuns: 5, seed: 1 }).some(({ opcode }) => !opcodes.has(opcode)),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
    // 2*25 ALU and 6 swap widths in 3 opcodes, 2*22 conditions, 4 other jumps, 7+8 memory, 4 atomic, 1 wide, 6 packet
    expect(opcodes.size).toBe(2 * 25 + 3 + 2 * 22 + 4 + 15 + 4 + 1 + 6);
  });
});

describe('properties', () => {
  test.each(['little', 'big'] as const)('decode undoes encode, %s-endian', (endian) => {
    fc.assert(
      fc.property(fc.array(anyInstruction, { maxLength: 30 }), (insns) => {
        expect(decode(encode(insns, endian), endian)).toEqual(insns);
      }),
      { numRuns: 500 },
    );
  });

  test('different bytes have different texts, and different texts different bytes', () => {
    const hexByText = new Map<string, string>();
    const insns = everyFamily.flatMap(({ arbitrary }) => fc.sample(arbitrary, { numRuns: 100, seed: 7 }));
    for (const insn of insns) {
      const hex = hexOf(encode([insn], 'little'));
      expect(hexByText.get(print(insn)) ?? hex).toBe(hex);
      hexByText.set(print(insn), hex);
    }
    expect(new Set(hexByText.values()).size).toBe(hexByText.size);
  });
});

describe('encode refuses', () => {
  test('what still waits for a label or a map', () => {
    const label = thrown(AsmError, () => encode([exit(), jump.always('out')], 'little'));
    expect(label).toMatchObject({ fault: 'unresolved', index: 1, slot: 1, label: 'out' });
    const map = thrown(AsmError, () => encode([mapFd(r1, { name: 'counts' })], 'little'));
    expect(map).toMatchObject({ fault: 'unresolved', index: 0, slot: 0, map: 'counts' });
  });

  test.each([
    ['a reserved opcode', { opcode: 0xff }],
    ['an opcode of nine bits', { opcode: 0x107 }],
    ['a register that is not there', { opcode: 0xb7, dst: 11 }],
    ['a register of five bits', { opcode: 0xb7, dst: 16 }],
    ['off of 17 bits', { opcode: 0x05, off: 0x8000 }],
    ['off of 17 bits, negative', { opcode: 0x05, off: -0x8001 }],
    ['imm of 33 bits', { opcode: 0xb7, imm: 0x8000_0000 }],
    ['imm of 33 bits, negative', { opcode: 0xb7, imm: -0x8000_0001 }],
    ['a negative opcode', { opcode: -1 }],
    ['a negative register', { opcode: 0xb7, dst: -1 }],
    ['a negative source', { opcode: 0xbf, src: -1 }],
    ['a source of five bits', { opcode: 0xbf, src: 16 }],
    ['imm that is not whole', { opcode: 0xb7, imm: 0.5 }],
    ['a wide instruction without its half', { opcode: 0x18 }],
    ['nextImm of 33 bits', { opcode: 0x18, nextImm: 0x8000_0000 }],
    ['nextImm of 33 bits, negative', { opcode: 0x18, nextImm: -0x8000_0001 }],
    ['a narrow instruction with nextImm', { opcode: 0xb7, nextImm: 0 }],
  ])('%s, made by hand', (_, fields) => {
    const made: Instruction = { kind: 'instruction', dst: 0, src: 0, off: 0, imm: 0, ...fields };
    const error = thrown(AsmError, () => encode([exit(), made], 'little'));
    expect(error).toMatchObject({ fault: 'illegal', index: 1, slot: 1 });
  });
});

test('instruction() checks every field', () => {
  expect(() => instruction({ opcode: 256 })).toThrow(RangeError);
  expect(() => instruction({ opcode: 0xb7, dst: 16 })).toThrow(RangeError);
  expect(() => instruction({ opcode: 0xb7, src: -1 })).toThrow(RangeError);
  expect(() => instruction({ opcode: 0xb7, off: 0x8000 })).toThrow(RangeError);
  expect(() => instruction({ opcode: 0xb7, imm: 0x8000_0000 })).toThrow(RangeError);
  expect(() => instruction({ opcode: 0x18, nextImm: 0x8000_0000 })).toThrow(RangeError);
  expect(() => instruction({ opcode: 0x18 })).toThrow(RangeError);
  expect(() => instruction({ opcode: 0xb7, nextImm: 0 })).toThrow(RangeError);
});

test('instructions are frozen', () => {
  expect(Object.isFrozen(alu64.add(r1, 1))).toBe(true);
  expect(Object.isFrozen(decode(bytesOf('9500000000000000'), 'little')[0])).toBe(true);
});

test('hostEndian is the byte order of this machine', () => {
  expect(hostEndian).toBe(endianness() === 'LE' ? 'little' : 'big');
});

test('an empty program is no bytes', () => {
  expect(encode([], 'little')).toEqual(new Uint8Array());
  expect(decode(new Uint8Array(), 'big')).toEqual([]);
});

test('the name of a helper is not in the bytes', () => {
  expect(encode([call(1, 'bpf_map_lookup_elem')], 'little')).toEqual(encode([call(1)], 'little'));
});

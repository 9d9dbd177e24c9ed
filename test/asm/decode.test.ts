import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AsmError, decode, type Endian, encode, print } from '../../asm/index.ts';
import { anyInstruction } from './generate.ts';
import { bytesOf, hexOf, thrown } from './helpers.ts';
import { vectors } from './vectors.ts';

const endians = ['little', 'big'] as const;

/** [what is wrong, bytes, slot, fault] */
const refused: readonly [string, string, number, string][] = [
  ['half a slot', 'b7000000', 0, 'truncated'],
  ['half a slot at the end', '9500000000000000 95', 1, 'truncated'],
  ['half a wide instruction', '1801000005000000', 0, 'truncated'],
  ['half a wide instruction at the end', '9500000000000000 1801000005000000', 1, 'truncated'],
  ['a wide instruction and half a slot', '1801000005000000 00000000', 0, 'truncated'],
  ['second slot with an opcode', '1801000005000000 9500000000000000', 1, 'illegal'],
  ['second slot with a dst', '1801000005000000 0001000000000000', 1, 'illegal'],
  ['second slot with a src', '1801000005000000 0010000000000000', 1, 'illegal'],
  ['second slot with an off', '1801000005000000 0000010000000000', 1, 'illegal'],
  ['second slot alone', '0000000000000000', 0, 'illegal'],
  ['wide, with off', '1801010005000000 0000000000000000', 0, 'illegal'],
  ['wide, dst r11', '180b000005000000 0000000000000000', 0, 'illegal'],
  ['wide, source 7', '1871000005000000 0000000000000000', 0, 'illegal'],
  ['wide, map fd with a second imm', '1811000005000000 0000000001000000', 0, 'illegal'],
  ['wide, code with a second imm', '1841000005000000 0000000001000000', 0, 'illegal'],
  ['wide, map index with a second imm', '1851000005000000 0000000001000000', 0, 'illegal'],
  ['LD IMM of a word', '0001000000000000', 0, 'illegal'],
  ['LD ABS of a double word', '3800000000000000', 0, 'illegal'],
  ['LD IND of a double word', '5850000000000000', 0, 'illegal'],
  ['LD ABS with a dst', '3001000000000000', 0, 'illegal'],
  ['LD ABS with a src', '3010000000000000', 0, 'illegal'],
  ['LD ABS with off', '3000010000000000', 0, 'illegal'],
  ['LD IND with a dst', '5051000000000000', 0, 'illegal'],
  ['LD IND with off', '5050010000000000', 0, 'illegal'],
  ['LD MEM', '6000000000000000', 0, 'illegal'],
  ['LDX with imm', '6121000001000000', 0, 'illegal'],
  ['LDX from r11', '61b1000000000000', 0, 'illegal'],
  ['LDX to r15', '612f000000000000', 0, 'illegal'],
  ['LDX sign-extending 64 bits', '9921000000000000', 0, 'illegal'],
  ['LDX in the mode of atomics', 'c121000000000000', 0, 'illegal'],
  ['ST with a src', '6221000000000000', 0, 'illegal'],
  ['ST in the mode of atomics', 'c201000000000000', 0, 'illegal'],
  ['ST in mode IMM', '0201000000000000', 0, 'illegal'],
  ['STX with imm', '6321000001000000', 0, 'illegal'],
  ['STX sign-extending', '8321000000000000', 0, 'illegal'],
  ['atomic of a byte', 'd321000000000000', 0, 'illegal'],
  ['atomic of a half word', 'cb21000000000000', 0, 'illegal'],
  ['atomic subtraction', 'db21000010000000', 0, 'illegal'],
  ['atomic exchange that does not fetch', 'db210000e0000000', 0, 'illegal'],
  ['atomic compare and exchange that does not fetch', 'db210000f0000000', 0, 'illegal'],
  ['ordered load with one more bit', 'db21000001010000', 0, 'illegal'],
  ['ALU 0xe', 'e700000000000000', 0, 'illegal'],
  ['ALU 0xf', 'f700000000000000', 0, 'illegal'],
  ['ALU number with a src', '0721000005000000', 0, 'illegal'],
  ['ALU register with imm', '0f21000005000000', 0, 'illegal'],
  ['ALU with off', '0721010000000000', 0, 'illegal'],
  ['division with off 2', '3f21020000000000', 0, 'illegal'],
  ['modulo with off -1', '9f21ffff00000000', 0, 'illegal'],
  ['negation of a register', '8f01000000000000', 0, 'illegal'],
  ['negation with imm', '8701000001000000', 0, 'illegal'],
  ['negation with a src', '8721000000000000', 0, 'illegal'],
  ['move with off 1 (LLVM: addr_space_cast)', 'bf21010001000000', 0, 'illegal'],
  ['move with off 64', 'bf21400000000000', 0, 'illegal'],
  ['sign-extending move of a number', 'b701080005000000', 0, 'illegal'],
  ['sign-extending move of 32 bits to 32', 'bc21200000000000', 0, 'illegal'],
  ['swap of 8 bits', 'd401000008000000', 0, 'illegal'],
  ['swap with a src', 'd421000010000000', 0, 'illegal'],
  ['swap with off', 'd401010010000000', 0, 'illegal'],
  ['swap of any order, with the bit for big', 'df01000010000000', 0, 'illegal'],
  ['goto with imm', '0500050001000000', 0, 'illegal'],
  ['goto with a dst', '0501050000000000', 0, 'illegal'],
  ['goto with a src', '0510050000000000', 0, 'illegal'],
  ['goto with the register bit', '0d00050000000000', 0, 'illegal'],
  ['gotol with off', '0600010005000000', 0, 'illegal'],
  ['gotol with the register bit', '0e00000005000000', 0, 'illegal'],
  ['jump 0xe (the kernel: may_goto)', 'e500050000000000', 0, 'illegal'],
  ['jump 0xf', 'f500050000000000', 0, 'illegal'],
  ['jump32 0xe', 'e600050000000000', 0, 'illegal'],
  ['jump of number with a src', '1521050000000000', 0, 'illegal'],
  ['jump of register with imm', '1d21050001000000', 0, 'illegal'],
  ['call of kind 3', '8530000001000000', 0, 'illegal'],
  ['call with a dst', '8501000001000000', 0, 'illegal'],
  ['call of a helper with off', '8500010001000000', 0, 'illegal'],
  ['local call with off', '8510010001000000', 0, 'illegal'],
  ['call of a kernel function with off -1', '8520ffff01000000', 0, 'illegal'],
  ['call through a register (LLVM: callx)', '8d01000000000000', 0, 'illegal'],
  ['call of class JMP32', '8600000001000000', 0, 'illegal'],
  ['exit of class JMP32', '9600000000000000', 0, 'illegal'],
  ['exit with the register bit', '9d00000000000000', 0, 'illegal'],
  ['exit with a dst', '9501000000000000', 0, 'illegal'],
  ['exit with imm', '9500000001000000', 0, 'illegal'],
  ['exit with a src', '9510000000000000', 0, 'illegal'],
  ['exit with off', '9500010000000000', 0, 'illegal'],
  ['gotol with a dst', '0601000005000000', 0, 'illegal'],
  ['gotol with a src', '0610000005000000', 0, 'illegal'],
  ['after a wide instruction, slots count on', '1801000005000000 0000000000000000 ff00000000000000', 2, 'illegal'],
];

describe('decode refuses', () => {
  test.each(refused)('%s', (_, hex, slot, fault) => {
    const error = thrown(AsmError, () => decode(bytesOf(hex), 'little'));
    expect(error).toMatchObject({ name: 'AsmError', slot, fault });
    expect(error.message).toContain(`slot ${slot}: `);
  });
});

/** A field that the text does not show is unused, so nothing but zero may be in it. */
test.each(vectors)('%# $2: every bit is refused or shows in the text', (_, hex, text) => {
  const bytes = bytesOf(hex);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    if (accepts(changed, 'little')) expect(decode(changed, 'little').map(print)).not.toEqual([text]);
  }
});

/** Writing the frame pointer has an encoding; the constructors refuse it, and so does the verifier. */
test.each([
  ['b70a000000000000', 'r10 = 0'],
  ['180a000005000000 0000000000000000', 'r10 = 5 ll'],
  ['61aa000000000000', 'r10 = *(u32 *)(r10 + 0)'],
  ['870a000000000000', 'r10 = -r10'],
  ['3701000000000000', 'r1 /= 0'],
  ['6701000040000000', 'r1 <<= 64'],
])('%s is legal: %s', (hex, text) => {
  expect(decode(bytesOf(hex), 'little').map(print)).toEqual([text]);
});

test.each([
  ['ff00000000000000', 'slot 0: opcode 0xff is reserved'],
  ['0721000005000000', 'slot 0: opcode 0x07 has no src, but it is 2'],
  ['61b1000000000000', 'slot 0: there is no register r11'],
  ['3f21020000000000', 'slot 0: opcode 0x3f with off 2 is reserved'],
  ['db21000010000000', 'slot 0: atomic operation 16 is reserved'],
  ['1871000005000000 0000000000000000', 'slot 0: wide source 7 is reserved'],
  ['1811000005000000 0000000001000000', 'slot 0: wide source 1 has no second imm, but it is 1'],
  ['d401000008000000', 'slot 0: a byte swap of 8 bits is reserved'],
  ['8530000001000000', 'slot 0: call kind 3 is reserved'],
  ['1801000005000000', 'slot 0: the second slot of a wide instruction is missing'],
  ['9500000000000000 95', 'slot 1: 1 of 8 bytes'],
])('%s: %s', (hex, message) => {
  expect(thrown(AsmError, () => decode(bytesOf(hex), 'little')).message).toBe(message);
});

test.each([
  ['a reserved opcode', 'ff00000000000000', 3],
  ['half a slot', 'b70000', 3],
  ['half a wide instruction', '1801000005000000', 3],
  ['a wrong second slot', '1801000005000000 9500000000000000', 4],
])('the place of %s, in slots and in instructions', (_, hex, slot) => {
  const before = '9500000000000000 1801000005000000 0000000000000000';
  expect(thrown(AsmError, () => decode(bytesOf(before + hex), 'little'))).toMatchObject({ slot, index: 2 });
});

test('bytes that are part of more that are part of more', () => {
  const whole = bytesOf('ffffff 9500000000000000 ffff');
  expect(decode(whole.subarray(3, 11), 'little')).toHaveLength(1);
});

test('of all 256 opcodes, as many are legal as there are, and encode agrees', () => {
  const legal = new Set<number>();
  for (let opcode = 0; opcode < 256; opcode++) {
    for (const imm of [0, 16]) {
      const bytes = bytesOf('00'.repeat(opcode === 0x18 ? 16 : 8));
      bytes[0] = opcode;
      bytes[4] = imm;
      if (accepts(bytes, 'little')) legal.add(opcode);
    }
  }
  expect(legal.size).toBe(127 - 2); // the ordered accesses of 1 and 2 bytes need their imm
});

function accepts(bytes: Uint8Array, endian: Endian): boolean {
  try {
    const insns = decode(bytes, endian);
    expect(hexOf(encode(insns, endian))).toBe(hexOf(bytes));
    for (const insn of insns) expect(print(insn)).not.toContain('unknown');
    return true;
  } catch (error) {
    if (error instanceof AsmError && error.slot !== undefined && error.slot <= bytes.length / 8) return false;
    throw error;
  }
}

describe.each(endians)('decode throws nothing but AsmError, and encode undoes it, %s-endian', (endian) => {
  test('random bytes', () => {
    let legal = 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        if (accepts(bytes, endian)) legal++;
      }),
      { numRuns: 20_000 },
    );
    expect(legal).toBeGreaterThan(0);
  });

  test('programs with some bytes changed, cut or added', () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    const legal = { yes: 0, no: 0 };
    fc.assert(
      fc.property(
        fc.array(anyInstruction, { minLength: 1, maxLength: 8 }),
        fc.array(change, { maxLength: 3 }),
        fc.oneof(fc.constant(0), fc.integer({ min: -9, max: 9 })),
        (insns, changes, grow) => {
          const original = encode(insns, endian);
          const bytes = new Uint8Array(Math.max(0, original.length + grow));
          bytes.set(original.subarray(0, bytes.length));
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          legal[accepts(bytes, endian) ? 'yes' : 'no']++;
        },
      ),
      { numRuns: 20_000 },
    );
    expect(legal.yes).toBeGreaterThan(2_000);
    expect(legal.no).toBeGreaterThan(2_000);
  });
});

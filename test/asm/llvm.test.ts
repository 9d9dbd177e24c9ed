/**
 * The oracle: LLVM's assembler and disassembler on generated instructions of the whole instruction set, both
 * directions, both byte orders. What LLVM itself cannot say is listed here with the reason, and that it cannot is
 * tested too.
 */

import { describe, expect, test } from 'vitest';
import * as asm from '../../asm/index.ts';
import { assemble, type Code, type Endian, encode, type Instruction, imm64, print, slotsOf } from '../../asm/index.ts';
import { everyFamily, sample } from './generate.ts';
import { assembleText, disassembleBytes, findLlvm, type Llvm } from './llvm.ts';
import { vectors } from './vectors.ts';

const PER_FAMILY = 40;
const SEED = 9669;
const { r0, r1, r2 } = asm;

const newest = findLlvm('-22', '-21', '-20', '-19', '');
const oldest = findLlvm('', '-14', '-15', '-16', '-17', '-19');

/** Something LLVM cannot do that the instruction set has. */
interface Gap {
  readonly reason: string;
  readonly has: (insn: Instruction) => boolean;
  /** An instruction with it: the assembler refuses its text, or makes other bytes of it. */
  readonly example: Instruction;
  /** The first version without the gap. */
  readonly fixedIn?: number;
}

const isWide = (insn: Instruction): boolean => insn.opcode === 0x18;
const isAtomic = (insn: Instruction): boolean => (insn.opcode & 0xe7) === 0xc3;
const raw = asm.instruction;

/** What the assembler of LLVM 19 cannot make from any text. */
const ASSEMBLER_GAPS: readonly Gap[] = [
  {
    reason: 'ld_pseudo takes 32 bits, so a second imm cannot be written',
    has: (insn) => isWide(insn) && insn.src !== 0 && insn.nextImm !== 0,
    example: asm.mapValue(r1, { fd: 7 }, 8),
  },
  {
    reason: 'a local call takes a label only, a number is a helper (labels are compared further down)',
    has: (insn) => insn.opcode === 0x85 && insn.src === 1,
    example: raw({ opcode: 0x85, src: 1, imm: 5 }),
  },
  {
    reason: 'there is no text for a call of a kernel function by BTF id',
    has: (insn) => insn.opcode === 0x85 && insn.src === 2,
    example: asm.callKfunc(5),
  },
  {
    reason: 'gotol takes 16 bits as a number, though 32 as a label (labels are compared further down)',
    has: (insn) => insn.opcode === 0x06 && (insn.imm < -0x8000 || insn.imm > 0x7fff),
    example: asm.jump.long({ offset: 0x8000 }),
  },
  {
    reason: 'indirect packet access takes a register only, not a number beside it',
    has: (insn) => (insn.opcode & 0xe7) === 0x40 && insn.imm !== 0,
    example: asm.legacy.ind8(r2, 4),
  },
  {
    reason: 'load_acquire and store_release came with LLVM 20',
    has: (insn) => isAtomic(insn) && insn.imm >= 0x100,
    example: asm.loadAcquire.u64(r0, r1, 0),
    fixedIn: 20,
  },
];

/** What the disassembler of LLVM 19 does not know: only what came later. */
const DISASSEMBLER_GAPS: readonly Gap[] = ASSEMBLER_GAPS.filter(({ fixedIn }) => fixedIn !== undefined);

/** Our text as LLVM's assembler wants it: it has `ld_pseudo` where RFC 9669 has pseudocode. */
function toLlvm(insn: Instruction): string {
  return isWide(insn) && insn.src !== 0 ? `ld_pseudo r${insn.dst}, ${insn.src}, ${insn.imm}` : print(insn);
}

/**
 * Our text as LLVM's disassembler prints it. It differs in this, and in nothing else:
 * - wide loads of something: `ld_pseudo` and a tab, imm unsigned, the second imm left out;
 * - wide loads of a number: always decimal and signed, where we take hexadecimal for long ones;
 * - local calls and calls of kernel functions: `call` and the number, like helpers;
 * - indirect packet access: the number beside the register is left out.
 */
function asDisassembled(insn: Instruction): string {
  if (isWide(insn)) {
    return insn.src === 0
      ? `r${insn.dst} = ${BigInt.asIntN(64, asm.imm64Value(insn))} ll`
      : `ld_pseudo\tr${insn.dst}, ${insn.src}, ${insn.imm >>> 0}`;
  }
  if (insn.opcode === 0x85) return `call ${insn.imm}`;
  if ((insn.opcode & 0xe7) === 0x40) return print({ ...insn, imm: 0 });
  return print(insn);
}

/**
 * LLVM's text as ours: it adds the place that a jump goes to, `<.text+0x8>`; and with the instruction set v3 and
 * later it names the lower halves of registers in loads and stores of less than 64 bits, where the kernel and we name
 * the whole ones (the encoding is the same).
 */
function normalise(text: string): string {
  return text
    .replace(/ <[^<>]*>$/, '')
    .replace(/^w(\d+) = \*\(u/, 'r$1 = *(u')
    .replace(/^(\*\(u(?:8|16|32) \*\)\(.*\)) = w(\d+)$/, '$1 = r$2');
}

function without(llvm: Llvm, insns: readonly Instruction[], gaps: readonly Omit<Gap, 'example'>[]): Instruction[] {
  const open = gaps.filter(({ fixedIn = Infinity }) => llvm.version < fixedIn);
  return insns.filter((insn) => !open.some((gap) => gap.has(insn)));
}

/** One row an instruction, so that a difference shows which. */
function rows(insns: readonly Instruction[], bytes: Uint8Array): string[] {
  let at = 0;
  return insns.map((insn) => {
    const part = bytes.subarray(at, at + slotsOf(insn) * 8);
    at += slotsOf(insn) * 8;
    return `${Buffer.from(part).toString('hex')}  ${print(insn)}`;
  });
}

function compareAssembler(llvm: Llvm, insns: readonly Instruction[], endian: Endian): void {
  const theirs = assembleText(llvm, insns.map(toLlvm), endian);
  expect(rows(insns, encode(insns, endian))).toEqual(rows(insns, theirs));
  expect(theirs.length).toBe(encode(insns, endian).length);
}

function compareDisassembler(llvm: Llvm, insns: readonly Instruction[], endian: Endian): void {
  const texts = disassembleBytes(llvm, encode(insns, endian), endian);
  let slot = 0;
  const theirs = insns.map((insn) => {
    const text = texts.get(slot) ?? 'nothing';
    slot += slotsOf(insn);
    return normalise(text);
  });
  expect(insns.map(asDisassembled)).toEqual(theirs);
}

const skipped = ' [skipped: llvm-mc and llvm-objdump are not installed]';

describe.skipIf(newest?.cpu !== 'v4')(`instruction set v4 against LLVM${newest?.cpu === 'v4' ? '' : skipped}`, () => {
  const llvm = newest!;
  const all = [...sample(PER_FAMILY, SEED), ...vectors.map(([insn]) => insn)];

  test('the sample is 5,000 instructions at least, every constructor among them', () => {
    expect(all.length).toBe(everyFamily.length * PER_FAMILY + vectors.length);
    expect(without(llvm, all, ASSEMBLER_GAPS).length).toBeGreaterThan(5000);
    expect(without(llvm, all, DISASSEMBLER_GAPS).length).toBeGreaterThan(6000);
  });

  for (const endian of ['little', 'big'] as const) {
    test(`our text makes our bytes, ${endian}-endian`, () => {
      compareAssembler(llvm, without(llvm, all, ASSEMBLER_GAPS), endian);
    });

    test(`our bytes make our text, ${endian}-endian`, () => {
      compareDisassembler(llvm, without(llvm, all, DISASSEMBLER_GAPS), endian);
    });

    test(`labels come to the same places, ${endian}-endian`, () => {
      const { code, lines } = labelled(2_000);
      expect(rows(...split(code, endian))).toEqual(rows(split(code, endian)[0], assembleText(llvm, lines, endian)));
    });
  }

  test.skipIf(llvm?.version !== 19).each(ASSEMBLER_GAPS)('LLVM 19 cannot: $reason', ({ example, has }) => {
    expect(has(example)).toBe(true);
    let theirs: Uint8Array = new Uint8Array();
    try {
      theirs = assembleText(llvm, [toLlvm(example)], 'little');
    } catch {
      // it refuses the text
    }
    expect(Buffer.from(theirs)).not.toEqual(Buffer.from(encode([example], 'little')));
  });
});

function split(code: Code, endian: Endian): [readonly Instruction[], Uint8Array] {
  const { instructions, bytes } = assemble(code, { endian });
  return [instructions, bytes];
}

/**
 * A program of jumps and local calls forward and back over wide and narrow instructions, and the same as text. In the
 * middle is a gap of 40,000 slots, wider than 16 bits, that only gotol and calls cross.
 */
function labelled(count: number): { code: Code; lines: string[] } {
  const code: asm.Item[] = [];
  const lines: string[] = [];
  const add = (insn: Instruction): void => {
    code.push(insn);
    lines.push(print(insn));
  };
  const mark = (name: string): void => {
    code.push(asm.label(name));
    lines.push(`${name}:`);
  };
  for (let index = 0; index < count; index++) {
    mark(`at_${index}`);
    if (index === count / 2) for (let fill = 0; fill < 40_000; fill++) add(asm.exit());
    const half = index < count / 2 ? 0 : count / 2;
    const near = `at_${half + ((index * 7919) % (count / 2))}`;
    const far = `at_${(index * 104_729) % count}`;
    const kinds = [
      asm.jump.eq(r1, 7, near),
      asm.jump32.sgt(r1, r2, near),
      asm.jump.always(near),
      asm.jump.long(far),
      asm.callLocal(far),
      imm64(r1, BigInt(index)),
    ];
    add(kinds[index % kinds.length]!);
  }
  return { code, lines };
}

const isAlu = (insn: Instruction): boolean => (insn.opcode & 0x07) === 0x04 || (insn.opcode & 0x07) === 0x07;
const isJump = (insn: Instruction): boolean => (insn.opcode & 0x07) === 0x05 || (insn.opcode & 0x07) === 0x06;
const operation = (insn: Instruction): number => insn.opcode & 0xf0;

/** What LLVM 14 lacks: the instruction set v4, and of the older ones what it cannot read or has not at all. */
const LLVM_14_GAPS: readonly Omit<Gap, 'example'>[] = [
  ...ASSEMBLER_GAPS,
  { reason: 'v4: signed division and modulo', has: (insn) => isAlu(insn) && insn.off === 1 },
  { reason: 'v4: sign-extending moves', has: (insn) => isAlu(insn) && insn.off >= 8 },
  { reason: 'v4: byte swaps of any order', has: (insn) => insn.opcode === 0xd7 },
  { reason: 'v4: gotol', has: (insn) => insn.opcode === 0x06 },
  { reason: 'v4: sign-extending loads', has: (insn) => (insn.opcode & 0xe7) === 0x81 },
  { reason: 'v4: stores of numbers', has: (insn) => (insn.opcode & 0x07) === 0x02 },
  { reason: 'it has no modulo', has: (insn) => isAlu(insn) && operation(insn) === 0x90 },
  { reason: 'it has no jump on a bit test', has: (insn) => isJump(insn) && operation(insn) === 0x40 },
  { reason: 'it cannot read ld_pseudo', has: (insn) => isWide(insn) && insn.src !== 0 },
  { reason: 'it cannot read atomics that fetch', has: (insn) => isAtomic(insn) && (insn.imm & 1) === 1 },
];

const older = oldest?.cpu === 'v3' ? '' : ' [skipped: llvm-mc is not older than LLVM 18]';

describe.skipIf(oldest?.cpu !== 'v3')(`instruction sets v1 to v3 against an older LLVM${older}`, () => {
  const llvm = oldest!;
  const insns = llvm === undefined ? [] : without(llvm, sample(PER_FAMILY, SEED + 1_000), LLVM_14_GAPS);

  test('the sample is 4,000 instructions at least', () => expect(insns.length).toBeGreaterThan(4000));

  for (const endian of ['little', 'big'] as const) {
    test(`our text makes our bytes, ${endian}-endian`, () => compareAssembler(llvm, insns, endian));
    test(`our bytes make our text, ${endian}-endian`, () => compareDisassembler(llvm, insns, endian));
  }
});

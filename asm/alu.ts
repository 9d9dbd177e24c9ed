/** Arithmetic, moves and byte swaps (RFC 9669, sections 4.1 and 4.2). */

import { checkInteger, checkRegister, checkS32, checkWord, checkWritable, isRegisterOperand } from './check.ts';
import { type Instruction, instruction } from './instruction.ts';
import { AluOp, Class, Source, SwapOrder } from './opcode.ts';
import type { Register } from './register.ts';

/**
 * What both widths can do (RFC 9669, section 4.1). `alu64` works on whole registers; `alu32` on their lower halves, and zeroes the upper ones.
 *
 * A number as `src` is 32 bits wide. `alu64` sign-extends it, so it takes -2³¹ to 2³¹-1 and nothing more; `alu32`
 * also takes the unsigned reading, up to 2³²-1. Minimum kernel where nothing is said: 3.18.
 */
export interface Alu {
  /** `dst += src` (v1) */
  add(dst: Register, src: Register | number): Instruction;
  /** `dst -= src` (v1) */
  sub(dst: Register, src: Register | number): Instruction;
  /** `dst *= src` (v1) */
  mul(dst: Register, src: Register | number): Instruction;
  /** `dst /= src`, unsigned; a zero in a register gives 0, a zero as number is refused as the kernel does (v1) */
  div(dst: Register, src: Register | number): Instruction;
  /** `dst s/= src`, signed, else as div (v4, kernel 6.6) */
  sdiv(dst: Register, src: Register | number): Instruction;
  /** `dst |= src` (v1) */
  or(dst: Register, src: Register | number): Instruction;
  /** `dst &= src` (v1) */
  and(dst: Register, src: Register | number): Instruction;
  /** `dst <<= src`; a number must be less than the width, as the kernel demands (v1) */
  lsh(dst: Register, src: Register | number): Instruction;
  /** `dst >>= src`, zeros move in; a number must be less than the width (v1) */
  rsh(dst: Register, src: Register | number): Instruction;
  /** `dst = -dst` (v1) */
  neg(dst: Register): Instruction;
  /** `dst %= src`, unsigned; a zero in a register leaves dst, a zero as number is refused (v1) */
  mod(dst: Register, src: Register | number): Instruction;
  /** `dst s%= src`, signed, the sign of the dividend, else as mod (v4, kernel 6.6) */
  smod(dst: Register, src: Register | number): Instruction;
  /** `dst ^= src` (v1) */
  xor(dst: Register, src: Register | number): Instruction;
  /** `dst = src` (v1) */
  mov(dst: Register, src: Register | number): Instruction;
  /** `dst = (s8)src` (v4, kernel 6.6) */
  movsx8(dst: Register, src: Register): Instruction;
  /** `dst = (s16)src` (v4, kernel 6.6) */
  movsx16(dst: Register, src: Register): Instruction;
  /** `dst s>>= src`, the sign moves in; a number must be less than the width (v1; alu32 from kernel 5.0) */
  arsh(dst: Register, src: Register | number): Instruction;
}

export interface Alu64 extends Alu {
  /** `dst = (s32)src` (v4, kernel 6.6) */
  movsx32(dst: Register, src: Register): Instruction;
}

type Binary = (dst: Register, src: Register | number) => Instruction;
type CheckNumber = (where: string, value: number) => number;

/** An operation of two operands; `signed` is the offset that makes a division signed. */
function binary(where: string, opcode: number, checkNumber: CheckNumber, signed: 0 | 1 = 0): Binary {
  return (dst, src) => {
    const base = { dst: checkWritable(`${where}: dst`, dst), off: signed };
    const operand = `${where}: src`;
    return isRegisterOperand(operand, src)
      ? instruction({ ...base, opcode: opcode | Source.reg, src: checkRegister(operand, src) })
      : instruction({ ...base, opcode: opcode | Source.imm, imm: checkNumber(operand, src) });
  };
}

function signExtend(where: string, opcode: number, width: 8 | 16 | 32): (dst: Register, src: Register) => Instruction {
  return (dst, src) =>
    instruction({
      opcode: opcode | AluOp.mov | Source.reg,
      dst: checkWritable(`${where}: dst`, dst),
      src: checkRegister(`${where}: src`, src),
      off: width,
    });
}

function negate(where: string, opcode: number): (dst: Register) => Instruction {
  return (dst) => instruction({ opcode: opcode | AluOp.neg, dst: checkWritable(`${where}: dst`, dst) });
}

function checkNumber64(where: string, value: number): number {
  return checkS32(where, value, ' (it is sign-extended to 64 bits; for others load a register with imm64)');
}

/** The kernel refuses a division by the number 0: "div by zero". */
function nonZero(check: CheckNumber): CheckNumber {
  return (where, value) => {
    if (value === 0) throw new RangeError(`${where}: division by zero`);
    return check(where, value);
  };
}

/** The kernel refuses a shift by a number that is not less than the width: "invalid shift". */
function lessThan(width: 32 | 64): CheckNumber {
  return (where, value) => checkInteger(where, value, 0, width - 1);
}

function common(name: 'alu32' | 'alu64', cls: number, width: 32 | 64, check: CheckNumber): Alu {
  return {
    add: binary(`${name}.add`, cls | AluOp.add, check),
    sub: binary(`${name}.sub`, cls | AluOp.sub, check),
    mul: binary(`${name}.mul`, cls | AluOp.mul, check),
    div: binary(`${name}.div`, cls | AluOp.div, nonZero(check)),
    sdiv: binary(`${name}.sdiv`, cls | AluOp.div, nonZero(check), 1),
    or: binary(`${name}.or`, cls | AluOp.or, check),
    and: binary(`${name}.and`, cls | AluOp.and, check),
    lsh: binary(`${name}.lsh`, cls | AluOp.lsh, lessThan(width)),
    rsh: binary(`${name}.rsh`, cls | AluOp.rsh, lessThan(width)),
    neg: negate(`${name}.neg`, cls),
    mod: binary(`${name}.mod`, cls | AluOp.mod, nonZero(check)),
    smod: binary(`${name}.smod`, cls | AluOp.mod, nonZero(check), 1),
    xor: binary(`${name}.xor`, cls | AluOp.xor, check),
    mov: binary(`${name}.mov`, cls | AluOp.mov, check),
    movsx8: signExtend(`${name}.movsx8`, cls, 8),
    movsx16: signExtend(`${name}.movsx16`, cls, 16),
    arsh: binary(`${name}.arsh`, cls | AluOp.arsh, lessThan(width)),
  };
}

/** Arithmetic on the lower halves of registers, `w1 += w2`. */
export const alu32: Alu = Object.freeze(common('alu32', Class.alu32, 32, checkWord));

/** Arithmetic on whole registers, `r1 += r2`. */
export const alu64: Alu64 = Object.freeze({
  ...common('alu64', Class.alu64, 64, checkNumber64),
  movsx32: signExtend('alu64.movsx32', Class.alu64, 32),
});

/** `dst = src`, all 64 bits; a number is sign-extended. The same as `alu64.mov`. */
export function mov(dst: Register, src: Register | number): Instruction {
  return alu64.mov(dst, src);
}

/** `dst = (u32) src`. The same as `alu32.mov`. */
export function mov32(dst: Register, src: Register | number): Instruction {
  return alu32.mov(dst, src);
}

/**
 * Byte order conversions, in place (RFC 9669, section 4.2). Those of 16 and 32 bits zero what is above. Minimum kernel
 * where nothing is said: 3.18.
 */
export interface Swap {
  /** `dst = htole16(dst)`: on a little-endian machine it only truncates (v1) */
  le16(dst: Register): Instruction;
  /** `dst = htole32(dst)`: on a little-endian machine it only truncates (v1) */
  le32(dst: Register): Instruction;
  /** `dst = htole64(dst)`: on a little-endian machine it does nothing (v1) */
  le64(dst: Register): Instruction;
  /** `dst = htobe16(dst)`, which also is ntohs() (v1) */
  be16(dst: Register): Instruction;
  /** `dst = htobe32(dst)`, which also is ntohl() (v1) */
  be32(dst: Register): Instruction;
  /** `dst = htobe64(dst)` (v1) */
  be64(dst: Register): Instruction;
  /** `dst = bswap16(dst)`, on every machine (v4, kernel 6.6) */
  bswap16(dst: Register): Instruction;
  /** `dst = bswap32(dst)`, on every machine (v4, kernel 6.6) */
  bswap32(dst: Register): Instruction;
  /** `dst = bswap64(dst)`, on every machine (v4, kernel 6.6) */
  bswap64(dst: Register): Instruction;
}

function swapBytes(where: string, opcode: number, width: 16 | 32 | 64): (dst: Register) => Instruction {
  return (dst) => instruction({ opcode: opcode | AluOp.end, dst: checkWritable(`${where}: dst`, dst), imm: width });
}

export const swap: Swap = Object.freeze({
  le16: swapBytes('swap.le16', Class.alu32 | SwapOrder.toLittle, 16),
  le32: swapBytes('swap.le32', Class.alu32 | SwapOrder.toLittle, 32),
  le64: swapBytes('swap.le64', Class.alu32 | SwapOrder.toLittle, 64),
  be16: swapBytes('swap.be16', Class.alu32 | SwapOrder.toBig, 16),
  be32: swapBytes('swap.be32', Class.alu32 | SwapOrder.toBig, 32),
  be64: swapBytes('swap.be64', Class.alu32 | SwapOrder.toBig, 64),
  bswap16: swapBytes('swap.bswap16', Class.alu64, 16),
  bswap32: swapBytes('swap.bswap32', Class.alu64, 32),
  bswap64: swapBytes('swap.bswap64', Class.alu64, 64),
});

/** Plain loads and stores (RFC 9669, sections 5.1 and 5.2). */

import {
  checkInteger,
  checkOffset,
  checkRegister,
  checkS32,
  checkWord,
  checkWritable,
  isRegisterOperand,
} from './check.ts';
import { type Instruction, instruction } from './instruction.ts';
import { Class, Mode, Size } from './opcode.ts';
import type { Register } from './register.ts';

/**
 * Loads into a register (RFC 9669, sections 5.1 and 5.2). `off` is a number of bytes, -32768 to 32767. Unsigned loads
 * zero the bits above. Minimum kernel where nothing is said: 3.18.
 */
export interface Load {
  /** `dst = *(u8 *)(base + off)` (v1) */
  u8(dst: Register, base: Register, off: number): Instruction;
  /** `dst = *(u16 *)(base + off)` (v1) */
  u16(dst: Register, base: Register, off: number): Instruction;
  /** `dst = *(u32 *)(base + off)` (v1) */
  u32(dst: Register, base: Register, off: number): Instruction;
  /** `dst = *(u64 *)(base + off)` (v1) */
  u64(dst: Register, base: Register, off: number): Instruction;
  /** `dst = *(s8 *)(base + off)`, sign-extended to 64 bits (v4, kernel 6.6) */
  s8(dst: Register, base: Register, off: number): Instruction;
  /** `dst = *(s16 *)(base + off)`, sign-extended to 64 bits (v4, kernel 6.6) */
  s16(dst: Register, base: Register, off: number): Instruction;
  /** `dst = *(s32 *)(base + off)`, sign-extended to 64 bits (v4, kernel 6.6) */
  s32(dst: Register, base: Register, off: number): Instruction;
}

/**
 * Stores of a register or a number (RFC 9669, section 5.1; kernel 3.18). `off` is a number of bytes, -32768 to 32767.
 *
 * A number must fit what is stored, read as signed or as unsigned; `u64` stores 32 bits sign-extended, so it takes
 * -2³¹ to 2³¹-1. The kernel has always taken numbers here; LLVM writes them from v4 on only.
 */
export interface Store {
  /** `*(u8 *)(base + off) = src` (v1) */
  u8(base: Register, off: number, src: Register | number): Instruction;
  /** `*(u16 *)(base + off) = src` (v1) */
  u16(base: Register, off: number, src: Register | number): Instruction;
  /** `*(u32 *)(base + off) = src` (v1) */
  u32(base: Register, off: number, src: Register | number): Instruction;
  /** `*(u64 *)(base + off) = src` (v1) */
  u64(base: Register, off: number, src: Register | number): Instruction;
}

type LoadOne = (dst: Register, base: Register, off: number) => Instruction;
type StoreOne = (base: Register, off: number, src: Register | number) => Instruction;

function loader(where: string, mode: number, size: number): LoadOne {
  return (dst, base, off) =>
    instruction({
      opcode: Class.ldx | mode | size,
      dst: checkWritable(`${where}: dst`, dst),
      src: checkRegister(`${where}: base`, base),
      off: checkOffset(`${where}: off`, off),
    });
}

function storer(where: string, size: number, checkNumber: (where: string, value: number) => number): StoreOne {
  return (base, off, src) => {
    const place = { dst: checkRegister(`${where}: base`, base), off: checkOffset(`${where}: off`, off) };
    const operand = `${where}: src`;
    return isRegisterOperand(operand, src)
      ? instruction({ ...place, opcode: Class.stx | Mode.mem | size, src: checkRegister(operand, src) })
      : instruction({ ...place, opcode: Class.st | Mode.mem | size, imm: checkNumber(operand, src) });
  };
}

export const load: Load = Object.freeze({
  u8: loader('load.u8', Mode.mem, Size.byte),
  u16: loader('load.u16', Mode.mem, Size.half),
  u32: loader('load.u32', Mode.mem, Size.word),
  u64: loader('load.u64', Mode.mem, Size.double),
  s8: loader('load.s8', Mode.memsx, Size.byte),
  s16: loader('load.s16', Mode.memsx, Size.half),
  s32: loader('load.s32', Mode.memsx, Size.word),
});

export const store: Store = Object.freeze({
  u8: storer('store.u8', Size.byte, (where, value) => checkInteger(where, value, -0x80, 0xff)),
  u16: storer('store.u16', Size.half, (where, value) => checkInteger(where, value, -0x8000, 0xffff)),
  u32: storer('store.u32', Size.word, checkWord),
  u64: storer('store.u64', Size.double, (where, value) =>
    checkS32(where, value, ' (it is sign-extended to 64 bits; for others load a register with imm64)'),
  ),
});

/** Argument checks of the constructors: they fail where the caller stands and name the instruction and the argument. */

import { isRegister, type Register } from './register.ts';

export const S16_MIN = -0x8000;
export const S16_MAX = 0x7fff;
export const S32_MIN = -0x8000_0000;
export const S32_MAX = 0x7fff_ffff;
export const U32_MAX = 0xffff_ffff;

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number' || value === null || value === undefined) return String(value);
  return `a value of type ${typeof value}`;
}

/** @throws TypeError unless `value` is a number, RangeError unless it is whole and from `min` to `max`. */
export function checkInteger(where: string, value: unknown, min: number, max: number, hint = ''): number {
  if (typeof value !== 'number') throw new TypeError(`${where}: ${describe(value)} is not a number`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${where}: ${value} is not a whole number from ${min} to ${max}${hint}`);
  }
  return value === 0 ? 0 : value; // never -0
}

/** A distance in bytes from a register, or in slots from the next instruction: 16 bits, signed. */
export function checkOffset(where: string, value: unknown): number {
  return checkInteger(where, value, S16_MIN, S16_MAX);
}

/** 32 bits, signed. */
export function checkS32(where: string, value: unknown, hint = ''): number {
  return checkInteger(where, value, S32_MIN, S32_MAX, hint);
}

/** 32 bits that may be written as signed or as unsigned; the result is the signed reading. */
export function checkWord(where: string, value: unknown): number {
  return checkInteger(where, value, S32_MIN, U32_MAX) | 0;
}

/** A register that is only read. @returns its number. */
export function checkRegister(where: string, value: unknown): number {
  if (!isRegister(value)) throw new TypeError(`${where}: ${describe(value)} is not a register`);
  const { index } = value;
  if (!Number.isInteger(index) || index < 0 || index > 10) {
    throw new RangeError(`${where}: there is no register r${index}, only r0 to r10`);
  }
  return index;
}

/** A register that is written. @returns its number. */
export function checkWritable(where: string, value: unknown): number {
  const index = checkRegister(where, value);
  if (index === 10) throw new RangeError(`${where}: r10 is the frame pointer and cannot be written`);
  return index;
}

/** @throws TypeError unless `value` is a register or a number. */
export function isRegisterOperand(where: string, value: Register | number): value is Register {
  if (isRegister(value)) return true;
  if (typeof value === 'number') return false;
  throw new TypeError(`${where}: ${describe(value)} is neither a register nor a number`);
}

/** Atomic read-modify-write operations (RFC 9669, section 5.3), and ordered loads and stores, which came later. */

import { checkOffset, checkRegister, checkWritable } from './check.ts';
import { type Instruction, instruction } from './instruction.ts';
import { AtomicOp, Class, Mode, Size } from './opcode.ts';
import type { Register } from './register.ts';

/**
 * Atomics (RFC 9669, section 5.3). `atomic64` works on 8 bytes at `base + off`, `atomic32` on 4, and the kernel wants them aligned. Those that fetch
 * write `src`, so r10 is refused there. `atomic32` zeroes the upper half of the register it fetches into.
 */
export interface Atomic {
  /** `lock *(base + off) += src` (v1, kernel 3.18) */
  add(base: Register, off: number, src: Register): Instruction;
  /** `lock *(base + off) |= src` (v3, kernel 5.12) */
  or(base: Register, off: number, src: Register): Instruction;
  /** `lock *(base + off) &= src` (v3, kernel 5.12) */
  and(base: Register, off: number, src: Register): Instruction;
  /** `lock *(base + off) ^= src` (v3, kernel 5.12) */
  xor(base: Register, off: number, src: Register): Instruction;
  /** `src = atomic_fetch_add(base + off, src)`: src becomes the old value (v3, kernel 5.12) */
  fetchAdd(base: Register, off: number, src: Register): Instruction;
  /** `src = atomic_fetch_or(base + off, src)`: src becomes the old value (v3, kernel 5.12) */
  fetchOr(base: Register, off: number, src: Register): Instruction;
  /** `src = atomic_fetch_and(base + off, src)`: src becomes the old value (v3, kernel 5.12) */
  fetchAnd(base: Register, off: number, src: Register): Instruction;
  /** `src = atomic_fetch_xor(base + off, src)`: src becomes the old value (v3, kernel 5.12) */
  fetchXor(base: Register, off: number, src: Register): Instruction;
  /** `src = xchg(base + off, src)`: memory becomes src, src the old value (v3, kernel 5.12) */
  xchg(base: Register, off: number, src: Register): Instruction;
  /** `r0 = cmpxchg(base + off, r0, src)`: if memory is r0 it becomes src; r0 the old value (v3, kernel 5.12) */
  cmpxchg(base: Register, off: number, src: Register): Instruction;
}

type AtomicOne = (base: Register, off: number, src: Register) => Instruction;
type CheckSource = (where: string, value: unknown) => number;

function one(where: string, size: number, operation: number, checkSource: CheckSource): AtomicOne {
  return (base, off, src) =>
    instruction({
      opcode: Class.stx | Mode.atomic | size,
      dst: checkRegister(`${where}: base`, base),
      off: checkOffset(`${where}: off`, off),
      src: checkSource(`${where}: src`, src),
      imm: operation,
    });
}

function family(name: 'atomic32' | 'atomic64', size: number): Atomic {
  return Object.freeze({
    add: one(`${name}.add`, size, AtomicOp.add, checkRegister),
    or: one(`${name}.or`, size, AtomicOp.or, checkRegister),
    and: one(`${name}.and`, size, AtomicOp.and, checkRegister),
    xor: one(`${name}.xor`, size, AtomicOp.xor, checkRegister),
    fetchAdd: one(`${name}.fetchAdd`, size, AtomicOp.fetchAdd, checkWritable),
    fetchOr: one(`${name}.fetchOr`, size, AtomicOp.fetchOr, checkWritable),
    fetchAnd: one(`${name}.fetchAnd`, size, AtomicOp.fetchAnd, checkWritable),
    fetchXor: one(`${name}.fetchXor`, size, AtomicOp.fetchXor, checkWritable),
    xchg: one(`${name}.xchg`, size, AtomicOp.xchg, checkWritable),
    cmpxchg: one(`${name}.cmpxchg`, size, AtomicOp.cmpxchg, checkRegister),
  });
}

/** Atomics on 4 bytes, `lock *(u32 *)(r1 + 0) += w2`. */
export const atomic32: Atomic = family('atomic32', Size.word);

/** Atomics on 8 bytes, `lock *(u64 *)(r1 + 0) += r2`. */
export const atomic64: Atomic = family('atomic64', Size.double);

/**
 * Loads that no later access may be moved before. Not in RFC 9669: kernel 6.15 and LLVM 20 brought them, see
 * https://github.com/torvalds/linux/commit/880442305a3908589bf4d6fc1d79edb577ee497c
 */
export interface LoadAcquire {
  /** `dst = load_acquire((u8 *)(base + off))` (later than the RFC, kernel 6.15) */
  u8(dst: Register, base: Register, off: number): Instruction;
  /** `dst = load_acquire((u16 *)(base + off))` (later than the RFC, kernel 6.15) */
  u16(dst: Register, base: Register, off: number): Instruction;
  /** `dst = load_acquire((u32 *)(base + off))` (later than the RFC, kernel 6.15) */
  u32(dst: Register, base: Register, off: number): Instruction;
  /** `dst = load_acquire((u64 *)(base + off))` (later than the RFC, kernel 6.15) */
  u64(dst: Register, base: Register, off: number): Instruction;
}

/** Stores that no earlier access may be moved behind. Not in RFC 9669, as `LoadAcquire`. */
export interface StoreRelease {
  /** `store_release((u8 *)(base + off), src)` (later than the RFC, kernel 6.15) */
  u8(base: Register, off: number, src: Register): Instruction;
  /** `store_release((u16 *)(base + off), src)` (later than the RFC, kernel 6.15) */
  u16(base: Register, off: number, src: Register): Instruction;
  /** `store_release((u32 *)(base + off), src)` (later than the RFC, kernel 6.15) */
  u32(base: Register, off: number, src: Register): Instruction;
  /** `store_release((u64 *)(base + off), src)` (later than the RFC, kernel 6.15) */
  u64(base: Register, off: number, src: Register): Instruction;
}

function acquire(where: string, size: number): (dst: Register, base: Register, off: number) => Instruction {
  return (dst, base, off) =>
    instruction({
      opcode: Class.stx | Mode.atomic | size,
      dst: checkWritable(`${where}: dst`, dst),
      src: checkRegister(`${where}: base`, base),
      off: checkOffset(`${where}: off`, off),
      imm: AtomicOp.loadAcquire,
    });
}

export const loadAcquire: LoadAcquire = Object.freeze({
  u8: acquire('loadAcquire.u8', Size.byte),
  u16: acquire('loadAcquire.u16', Size.half),
  u32: acquire('loadAcquire.u32', Size.word),
  u64: acquire('loadAcquire.u64', Size.double),
});

export const storeRelease: StoreRelease = Object.freeze({
  u8: one('storeRelease.u8', Size.byte, AtomicOp.storeRelease, checkRegister),
  u16: one('storeRelease.u16', Size.half, AtomicOp.storeRelease, checkRegister),
  u32: one('storeRelease.u32', Size.word, AtomicOp.storeRelease, checkRegister),
  u64: one('storeRelease.u64', Size.double, AtomicOp.storeRelease, checkRegister),
});

/** Wide loads: a 64-bit number, or the address of something the kernel knows (RFC 9669, section 5.4). */

import { checkInteger, checkWritable, S32_MAX, U32_MAX } from './check.ts';
import { checkLabelName, type Fields, type Instruction, instruction } from './instruction.ts';
import { WIDE_OPCODE, WideSource } from './opcode.ts';
import type { Register } from './register.ts';

/** A map that exists, or the name of one that `assemble` is told about in its `maps` option. */
export type MapRef = { readonly fd: number } | { readonly name: string };

function wide(dst: number, src: number, imm: number, nextImm: number, names: { map?: string; label?: string } = {}) {
  return instruction({ opcode: WIDE_OPCODE, dst, src, imm, nextImm }, names);
}

/** `dst = value ll` (v1, kernel 3.18): any 64 bits, so -2⁶³ to 2⁶⁴-1. */
export function imm64(dst: Register, value: bigint): Instruction {
  const register = checkWritable('imm64: dst', dst);
  if (typeof value !== 'bigint') throw new TypeError(`imm64: value: ${String(value)} is not a bigint`);
  if (value < -(2n ** 63n) || value >= 2n ** 64n) {
    throw new RangeError(`imm64: value: ${value} is not from -2^63 to 2^64-1`);
  }
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return wide(register, WideSource.value, low, high);
}

/** The 64 bits of a plain wide load, unsigned: its `imm` below, its `nextImm` above. */
export function imm64Value(insn: Fields): bigint {
  return (BigInt.asUintN(32, BigInt(insn.nextImm ?? 0)) << 32n) | BigInt.asUintN(32, BigInt(insn.imm));
}

function fromMap(where: string, dst: Register, src: number, map: MapRef, off: number): Instruction {
  const register = checkWritable(`${where}: dst`, dst);
  if (typeof map !== 'object' || map === null) throw new TypeError(`${where}: map: neither { fd } nor { name }`);
  if ('fd' in map) return wide(register, src, checkInteger(`${where}: map.fd`, map.fd, 0, S32_MAX), off);
  if (typeof map.name !== 'string' || map.name === '') throw new TypeError(`${where}: map.name is not a name`);
  return wide(register, src, 0, off, { map: map.name });
}

/** `dst = map_by_fd(fd)`: the map itself, for helpers that take one (v1, kernel 3.18). */
export function mapFd(dst: Register, map: MapRef): Instruction {
  return fromMap('mapFd', dst, WideSource.mapFd, map, 0);
}

/**
 * `dst = map_val(map_by_fd(fd)) + off`: the address of the only value of an array map (kernel 5.2), `off` bytes on.
 */
export function mapValue(dst: Register, map: MapRef, off: number): Instruction {
  return fromMap('mapValue', dst, WideSource.mapValue, map, checkInteger('mapValue: off', off, 0, U32_MAX) | 0);
}

/**
 * `dst = var_addr(btfId)`: the address of a kernel variable, by its id in the BTF of vmlinux (kernel 5.10), or in the
 * BTF of a module of which `moduleFd` is open (kernel 5.12; the RFC does not know modules).
 */
export function btfVar(dst: Register, btfId: number, moduleFd = 0): Instruction {
  return wide(
    checkWritable('btfVar: dst', dst),
    WideSource.variable,
    checkInteger('btfVar: btfId', btfId, 1, S32_MAX),
    checkInteger('btfVar: moduleFd', moduleFd, 0, S32_MAX),
  );
}

/**
 * `dst = code_addr(label)`: the address of a function of this program, for helpers that call back (kernel 5.13, which
 * wants the program loaded with BTF func_info then).
 */
export function funcAddr(dst: Register, label: string): Instruction {
  const register = checkWritable('funcAddr: dst', dst);
  return wide(register, WideSource.code, 0, 0, { label: checkLabelName('funcAddr: label', label) });
}

/** `dst = map_by_idx(index)`: a map by its place in the fd array given at load (kernel 5.14). */
export function mapIndex(dst: Register, index: number): Instruction {
  return wide(
    checkWritable('mapIndex: dst', dst),
    WideSource.mapIndex,
    checkInteger('mapIndex: index', index, 0, S32_MAX),
    0,
  );
}

/** `dst = map_val(map_by_idx(index)) + off`: as mapValue, by place in the fd array (kernel 5.14). */
export function mapValueIndex(dst: Register, index: number, off: number): Instruction {
  return wide(
    checkWritable('mapValueIndex: dst', dst),
    WideSource.mapValueIndex,
    checkInteger('mapValueIndex: index', index, 0, S32_MAX),
    checkInteger('mapValueIndex: off', off, 0, U32_MAX) | 0,
  );
}

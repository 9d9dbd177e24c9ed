/**
 * Packet access as classic BPF had it (RFC 9669, section 5.5: deprecated). It reads from the packet in network byte
 * order into r0, takes r6 for the context, overwrites r1 to r5, and ends the program where the packet is too short.
 * Only a few program types may use it, socket filters and tc classifiers among them; plain loads are better.
 */

import { checkRegister, checkWord } from './check.ts';
import { type Instruction, instruction } from './instruction.ts';
import { Class, Mode, Size } from './opcode.ts';
import type { Register } from './register.ts';

/**
 * RFC 9669, section 5.5; kernel 3.18. Offsets are 32 bits, signed or unsigned: classic BPF has special places at
 * negative ones (SKF_NET_OFF). The RFC leaves out that the kernel adds imm to the register of an indirect access.
 */
export interface Legacy {
  /** `r0 = *(u8 *)skb[off]` (v1, deprecated) */
  abs8(off: number): Instruction;
  /** `r0 = ntohs(*(u16 *)skb[off])` (v1, deprecated) */
  abs16(off: number): Instruction;
  /** `r0 = ntohl(*(u32 *)skb[off])` (v1, deprecated) */
  abs32(off: number): Instruction;
  /** `r0 = *(u8 *)skb[src + off]` (v1, deprecated) */
  ind8(src: Register, off?: number): Instruction;
  /** `r0 = ntohs(*(u16 *)skb[src + off])` (v1, deprecated) */
  ind16(src: Register, off?: number): Instruction;
  /** `r0 = ntohl(*(u32 *)skb[src + off])` (v1, deprecated) */
  ind32(src: Register, off?: number): Instruction;
}

function absolute(where: string, size: number): (off: number) => Instruction {
  return (off) => instruction({ opcode: Class.ld | Mode.abs | size, imm: checkWord(`${where}: off`, off) });
}

function indirect(where: string, size: number): (src: Register, off?: number) => Instruction {
  return (src, off = 0) =>
    instruction({
      opcode: Class.ld | Mode.ind | size,
      src: checkRegister(`${where}: src`, src),
      imm: checkWord(`${where}: off`, off),
    });
}

export const legacy: Legacy = Object.freeze({
  abs8: absolute('legacy.abs8', Size.byte),
  abs16: absolute('legacy.abs16', Size.half),
  abs32: absolute('legacy.abs32', Size.word),
  ind8: indirect('legacy.ind8', Size.byte),
  ind16: indirect('legacy.ind16', Size.half),
  ind32: indirect('legacy.ind32', Size.word),
});

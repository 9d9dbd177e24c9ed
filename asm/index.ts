/** BPF instructions: build, label, assemble, encode, decode, print. Imports nothing outside this folder. */

export * from './alu.ts';
export { type Assembled, type AssembleOptions, assemble } from './assemble.ts';
export * from './atomic.ts';
export * from './call.ts';
export { decode } from './decode.ts';
export { disassemble, type Line, listing, targetOf } from './disassemble.ts';
export { type Endian, encode, hostEndian } from './encode.ts';
export * from './errors.ts';
export * from './imm64.ts';
export {
  type Code,
  comment,
  type Fields,
  flatten,
  type Instruction,
  type Item,
  instruction,
  type Label,
  label,
  type RawOffset,
  scope,
  slotsOf,
  type Target,
} from './instruction.ts';
export * from './jump.ts';
export * from './memory.ts';
export * from './opcode.ts';
export * from './packet.ts';
export { print } from './print.ts';
export * from './register.ts';

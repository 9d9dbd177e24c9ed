/** Instructions to bytes (RFC 9669, sections 3.1 and 3.2). */

import { AsmError } from './errors.ts';
import { type Instruction, slotsOf } from './instruction.ts';
import { illegality } from './legal.ts';
import { SLOT_SIZE } from './opcode.ts';

/** Byte order of the machine that runs the program. */
export type Endian = 'little' | 'big';

/** Byte order of this machine. */
export const hostEndian: Endian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 'little' : 'big';

/**
 * The bytes of the instructions, 8 a slot.
 *
 * @throws AsmError `unresolved` for an instruction that still waits for a label or map (use `assemble`), `illegal` for
 *   one that has no encoding.
 */
export function encode(instructions: readonly Instruction[], endian: Endian): Uint8Array {
  const slots = instructions.reduce((sum, insn) => sum + slotsOf(insn), 0);
  const bytes = new Uint8Array(slots * SLOT_SIZE);
  const view = new DataView(bytes.buffer);
  const little = endian === 'little';

  let slot = 0;
  for (const [index, insn] of instructions.entries()) {
    checkResolved(insn, index, slot);
    const fault = illegality(insn);
    if (fault !== undefined) throw new AsmError('illegal', `instruction ${index}: ${fault}`, { index, slot });

    const at = slot * SLOT_SIZE;
    view.setUint8(at, insn.opcode);
    view.setUint8(at + 1, little ? (insn.src << 4) | insn.dst : (insn.dst << 4) | insn.src);
    view.setInt16(at + 2, insn.off, little);
    view.setInt32(at + 4, insn.imm, little);
    if (insn.nextImm !== undefined) view.setInt32(at + SLOT_SIZE + 4, insn.nextImm, little);
    slot += slotsOf(insn);
  }
  return bytes;
}

function checkResolved(insn: Instruction, index: number, slot: number): void {
  const { label, map } = insn;
  if (label !== undefined) {
    throw new AsmError('unresolved', `instruction ${index}: label "${label}" is not resolved`, { index, slot, label });
  }
  if (map !== undefined) {
    throw new AsmError('unresolved', `instruction ${index}: map "${map}" is not resolved`, { index, slot, map });
  }
}

/** Bytes to instructions, distrustfully (RFC 9669, sections 3.1 and 3.2). */

import type { Endian } from './encode.ts';
import { AsmError } from './errors.ts';
import { type Instruction, instruction, type PartialFields, slotsOf } from './instruction.ts';
import { illegality } from './legal.ts';
import { SLOT_SIZE, WIDE_OPCODE } from './opcode.ts';

/**
 * The instructions that the bytes hold. `encode` gives the same bytes back.
 *
 * @throws AsmError `truncated` for half a slot or half a wide instruction, `illegal` for reserved opcodes, fields that
 *   should be zero, registers above r10 and second slots that are none; `slot` says where. Nothing else is thrown.
 */
export function decode(bytes: Uint8Array, endian: Endian): Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slots = Math.floor(bytes.byteLength / SLOT_SIZE);
  const instructions: Instruction[] = [];

  let slot = 0;
  while (slot < slots) {
    const index = instructions.length;
    const fields = readSlot(view, slot, endian);
    const wide = fields.opcode === WIDE_OPCODE;
    const insn = instruction(wide ? { ...fields, nextImm: readNextImm(view, slot, slots, endian, index) } : fields);
    const fault = illegality(insn);
    if (fault !== undefined) throw new AsmError('illegal', `slot ${slot}: ${fault}`, { slot, index });
    instructions.push(insn);
    slot += slotsOf(insn);
  }

  const rest = bytes.byteLength % SLOT_SIZE;
  if (rest !== 0) {
    const index = instructions.length;
    throw new AsmError('truncated', `slot ${slot}: ${rest} of ${SLOT_SIZE} bytes`, { slot, index });
  }
  return instructions;
}

function readSlot(view: DataView, slot: number, endian: Endian): Required<Omit<PartialFields, 'nextImm'>> {
  const at = slot * SLOT_SIZE;
  const little = endian === 'little';
  const registers = view.getUint8(at + 1);
  const low = registers & 0x0f;
  const high = registers >> 4;
  return {
    opcode: view.getUint8(at),
    dst: little ? low : high,
    src: little ? high : low,
    off: view.getInt16(at + 2, little),
    imm: view.getInt32(at + 4, little),
  };
}

/** The upper half of a wide instruction, from a second slot that must hold nothing else. */
function readNextImm(view: DataView, slot: number, slots: number, endian: Endian, index: number): number {
  if (slot + 1 >= slots) {
    throw new AsmError('truncated', `slot ${slot}: the second slot of a wide instruction is missing`, { slot, index });
  }
  const second = readSlot(view, slot + 1, endian);
  if (second.opcode !== 0 || second.dst !== 0 || second.src !== 0 || second.off !== 0) {
    throw new AsmError('illegal', `slot ${slot + 1}: not the second slot of a wide instruction`, {
      slot: slot + 1,
      index,
    });
  }
  return second.imm;
}

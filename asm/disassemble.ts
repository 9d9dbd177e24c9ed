/** A program as people read it: one line an instruction, with its place, bytes, text, labels and comments. */

import { type Assembled, distanceField } from './assemble.ts';
import { type Endian, encode } from './encode.ts';
import { type Instruction, type RawOffset, slotsOf } from './instruction.ts';
import { SLOT_SIZE } from './opcode.ts';
import { print } from './print.ts';

export interface Line {
  /** Where the instruction stands, in slots. */
  readonly offset: RawOffset;
  /** The labels that point here. */
  readonly labels: readonly string[];
  /** The bytes in hexadecimal: 16 digits, 32 for a wide instruction. */
  readonly hex: string;
  readonly text: string;
  /** The first label at the place that the instruction jumps to, calls or takes the address of. */
  readonly target?: string;
  /** What the number is called: a helper, a kernel function, a map. */
  readonly name?: string;
  readonly comment?: string;
}

/**
 * The lines of a program. A label behind the last instruction has none. Of instructions alone there are no labels; `endian`, little unless said, is for these only.
 *
 * @throws AsmError where `encode` does.
 */
export function disassemble(program: Assembled | readonly Instruction[], endian: Endian = 'little'): Line[] {
  const assembled = isInstructions(program)
    ? { instructions: program, labels: new Map<string, RawOffset>(), endian, bytes: encode(program, endian) }
    : program;
  const names = labelsByPlace(assembled.labels);

  let slot = 0;
  return assembled.instructions.map((insn) => {
    const offset = slot as RawOffset;
    slot += slotsOf(insn);
    const target = targetOf(insn, offset);
    const targetName = target === undefined ? undefined : names.get(target)?.[0];
    return {
      offset,
      labels: names.get(offset) ?? [],
      hex: hex(assembled.bytes.subarray(offset * SLOT_SIZE, slot * SLOT_SIZE)),
      text: print(insn),
      ...(targetName !== undefined && { target: targetName }),
      ...(insn.name !== undefined && { name: insn.name }),
      ...(insn.comment !== undefined && { comment: insn.comment }),
    };
  });
}

function labelsByPlace(labels: ReadonlyMap<string, RawOffset>): Map<RawOffset, string[]> {
  const places = new Map<RawOffset, string[]>();
  for (const [name, offset] of labels) {
    const names = places.get(offset);
    if (names === undefined) places.set(offset, [name]);
    else names.push(name);
  }
  return places;
}

function isInstructions(program: Assembled | readonly Instruction[]): program is readonly Instruction[] {
  return Array.isArray(program);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The slot that a jump, local call or address of code points at. */
export function targetOf(insn: Instruction, offset: RawOffset): RawOffset | undefined {
  const field = distanceField(insn);
  return field === undefined ? undefined : ((offset + 1 + insn[field]) as RawOffset);
}

/**
 * The lines as one text:
 *
 *          0: 79 11 00 00 00 00 00 00                          r1 = *(u64 *)(r1 + 0)        ; the skb
 *          1: 15 01 01 00 00 00 00 00                          if r1 == 0 goto +1 <out>
 *     out:
 *          3: 95 00 00 00 00 00 00 00                          exit
 */
export function listing(lines: readonly Line[]): string {
  const wideHex = lines.some((line) => line.hex.length > 16);
  return lines.map((line) => listed(line, wideHex ? 47 : 23)).join('');
}

function listed(line: Line, hexWidth: number): string {
  const labels = line.labels.map((name) => `${name}:\n`).join('');
  const bytes = line.hex.replace(/..(?=.)/g, '$& ').padEnd(hexWidth);
  const text = line.target === undefined ? line.text : `${line.text} <${line.target}>`;
  const remark = [line.name, line.comment].filter((part) => part !== undefined).join(': ');
  const code = remark === '' ? text : `${text.padEnd(40)} ; ${remark}`;
  return `${labels}${String(line.offset).padStart(8)}: ${bytes}  ${code}\n`;
}

/** Code with labels to bytes: labels are looked up last, when every place is known. */

import { checkInteger, S16_MAX, S16_MIN, S32_MAX, S32_MIN } from './check.ts';
import { type Endian, encode } from './encode.ts';
import { AsmError } from './errors.ts';
import {
  type Code,
  flatten,
  type Instruction,
  type Item,
  instruction,
  type RawOffset,
  slotsOf,
} from './instruction.ts';
import { CallKind, Class, classOf, JumpOp, operationOf, WIDE_OPCODE, WideSource } from './opcode.ts';

export interface AssembleOptions {
  /** The maps that the code names, each with its open file descriptor. */
  readonly maps?: Readonly<Record<string, { readonly fd: number }>>;
  /** Byte order of the machine that will run the program; little unless said. */
  readonly endian?: Endian;
}

export interface Assembled {
  /** The instructions in order; none waits for a label or a map any more. */
  readonly instructions: readonly Instruction[];
  /** Where each instruction stands, in slots. */
  readonly offsets: readonly RawOffset[];
  /** Where each label points, in slots. */
  readonly labels: ReadonlyMap<string, RawOffset>;
  readonly bytes: Uint8Array;
  /** The length in slots, what bpf(2) calls insn_cnt. */
  readonly insnCount: number;
  readonly endian: Endian;
}

/**
 * Assembles the program.
 *
 * @throws AsmError `duplicate-label`, `unknown-label`, `unknown-map`, or `too-far` for a jump whose distance does not
 *   fit its field: 16 bits, or 32 for gotol, calls and addresses of code. `index` is the instruction's.
 */
export function assemble(code: Code, options: AssembleOptions = {}): Assembled {
  const { maps = {}, endian = 'little' } = options;
  const layout = place(flatten(code));
  const instructions = layout.instructions.map((insn, index) => {
    if (insn.label !== undefined) return resolveLabel(insn, index, insn.label, layout);
    if (insn.map !== undefined) return resolveMap(insn, index, insn.map, maps);
    return insn;
  });
  return {
    instructions,
    offsets: layout.offsets,
    labels: layout.labels,
    bytes: encode(instructions, endian),
    insnCount: layout.insnCount,
    endian,
  };
}

interface Layout {
  readonly instructions: readonly Instruction[];
  readonly offsets: readonly RawOffset[];
  readonly labels: ReadonlyMap<string, RawOffset>;
  readonly insnCount: number;
}

function place(items: readonly Item[]): Layout {
  const instructions: Instruction[] = [];
  const offsets: RawOffset[] = [];
  const labels = new Map<string, RawOffset>();
  let slot = 0;
  for (const item of items) {
    if (item.kind === 'label') {
      if (labels.has(item.name)) {
        const message = `label "${item.name}" is defined twice, at slots ${labels.get(item.name)} and ${slot}`;
        throw new AsmError('duplicate-label', message, { index: instructions.length, slot, label: item.name });
      }
      labels.set(item.name, slot as RawOffset);
    } else {
      instructions.push(item);
      offsets.push(slot as RawOffset);
      slot += slotsOf(item);
    }
  }
  return { instructions, offsets, labels, insnCount: slot };
}

/** The field that holds a distance in slots, of the instructions that have one. */
export function distanceField(insn: Instruction): 'off' | 'imm' | undefined {
  const operation = operationOf(insn.opcode);
  switch (classOf(insn.opcode)) {
    case Class.ld:
      return insn.opcode === WIDE_OPCODE && insn.src === WideSource.code ? 'imm' : undefined;
    case Class.jump:
      if (operation === JumpOp.exit) return undefined;
      if (operation === JumpOp.call) return insn.src === CallKind.local ? 'imm' : undefined;
      return 'off';
    case Class.jump32:
      return operation === JumpOp.always ? 'imm' : 'off';
    default:
      return undefined;
  }
}

/** Distances count from the slot after the instruction's first, also for addresses of code, which have two. */
function resolveLabel(insn: Instruction, index: number, label: string, layout: Layout): Instruction {
  const slot = layout.offsets[index]!;
  const target = layout.labels.get(label);
  if (target === undefined) {
    throw new AsmError('unknown-label', `instruction ${index}: there is no label "${label}"`, { index, slot, label });
  }
  const distance = target - slot - 1;
  const field = distanceField(insn);
  if (field === undefined) {
    throw new AsmError('illegal', `instruction ${index}: it goes nowhere, so it takes no label`, {
      index,
      slot,
      label,
    });
  }
  const [min, max] = field === 'off' ? [S16_MIN, S16_MAX] : [S32_MIN, S32_MAX];
  if (distance < min || distance > max) {
    const message = `instruction ${index}: label "${label}" is ${distance} slots away, too far for this jump`;
    const hint = field === 'off' ? ' (-32768 to 32767; jump.long goes further)' : '';
    throw new AsmError('too-far', message + hint, { index, slot, label, distance });
  }
  const { name, comment } = insn;
  return instruction({ ...insn, [field]: distance }, { name, comment });
}

function resolveMap(
  insn: Instruction,
  index: number,
  map: string,
  maps: Readonly<Record<string, { readonly fd: number }>>,
): Instruction {
  const bound = Object.hasOwn(maps, map) ? maps[map] : undefined;
  if (bound === undefined) {
    throw new AsmError('unknown-map', `instruction ${index}: there is no map "${map}"`, { index, map });
  }
  if (insn.opcode !== WIDE_OPCODE || !(insn.src === WideSource.mapFd || insn.src === WideSource.mapValue)) {
    throw new AsmError('illegal', `instruction ${index}: it loads no map, so it takes none`, { index, map });
  }
  const fd = checkInteger(`assemble: maps.${map}.fd`, bound.fd, 0, S32_MAX);
  return instruction({ ...insn, imm: fd }, { name: map, comment: insn.comment });
}

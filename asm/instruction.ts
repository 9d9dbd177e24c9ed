/** What a program is made of: instructions and labels, as plain immutable data. */

import { checkInteger, S16_MAX, S16_MIN, S32_MAX, S32_MIN } from './check.ts';
import { WIDE_OPCODE } from './opcode.ts';

declare const rawOffset: unique symbol;

/**
 * A place in the encoded program, in slots of 8 bytes. It is not the index of an instruction: a wide instruction
 * takes two slots. Jumps count in slots, and so does the kernel in what it says about a program.
 */
export type RawOffset = number & { readonly [rawOffset]: true };

/** The fields of an encoded instruction (RFC 9669, section 3), numbers as the processor reads them. */
export interface Fields {
  readonly opcode: number;
  /** The destination register's number. */
  readonly dst: number;
  /** The source register's number, or a subtype in wide loads and calls. */
  readonly src: number;
  /** 16 bits, signed. */
  readonly off: number;
  /** 32 bits, signed. */
  readonly imm: number;
  /** 32 bits, signed: the second half of a wide instruction, and there in no other. */
  readonly nextImm?: number;
}

/**
 * One instruction. Made by the constructors of this library or by `decode`; frozen, and equal to another when all its
 * fields are.
 */
export interface Instruction extends Fields {
  readonly kind: 'instruction';
  /** The label that a jump, a local call or an address of code still has to be pointed at; `assemble` does. */
  readonly label?: string;
  /** The name of the map whose fd is still to be filled in; `assemble` does. */
  readonly map?: string;
  /** What the number in imm is called: the helper, the kernel function, the map. For people. */
  readonly name?: string;
  readonly comment?: string;
}

/** Names the place of the instruction that follows. */
export interface Label {
  readonly kind: 'label';
  readonly name: string;
}

export type Item = Instruction | Label;

/** A program or a piece of one. Pieces nest, and `assemble` flattens them. */
export type Code = Item | readonly Code[];

/** Where a jump goes: to a label, or so many slots on from the instruction after it. */
export type Target = string | { readonly offset: number };

/** What an instruction carries beside its fields. */
export interface Annotations {
  readonly label?: string | undefined;
  readonly map?: string | undefined;
  readonly name?: string | undefined;
  readonly comment?: string | undefined;
}

/** Fields that are zero unless given. */
export type PartialFields = Partial<Fields> & { readonly opcode: number };

/**
 * Makes an instruction from its raw fields. The constructors all end here; use them, and this only for what they
 * refuse on purpose. `encode` still refuses an encoding that no instruction has.
 *
 * @throws RangeError if a field has too many bits, or if nextImm is there or missing against the opcode.
 */
export function instruction(fields: PartialFields, annotations: Annotations = {}): Instruction {
  const { opcode, dst = 0, src = 0, off = 0, imm = 0, nextImm } = fields;
  checkInteger('instruction: opcode', opcode, 0, 0xff);
  checkInteger('instruction: dst', dst, 0, 15);
  checkInteger('instruction: src', src, 0, 15);
  checkInteger('instruction: off', off, S16_MIN, S16_MAX);
  checkInteger('instruction: imm', imm, S32_MIN, S32_MAX);
  if (nextImm !== undefined) checkInteger('instruction: nextImm', nextImm, S32_MIN, S32_MAX);
  if ((nextImm !== undefined) !== (opcode === WIDE_OPCODE)) {
    throw new RangeError('instruction: nextImm belongs to wide instructions, all of them and no other');
  }
  const { label, map, name, comment } = annotations;
  return Object.freeze({
    kind: 'instruction',
    opcode,
    dst,
    src,
    off,
    imm,
    ...(nextImm !== undefined && { nextImm }),
    ...(label !== undefined && { label }),
    ...(map !== undefined && { map }),
    ...(name !== undefined && { name }),
    ...(comment !== undefined && { comment }),
  });
}

/** How many slots of 8 bytes the instruction takes: two if it is wide, else one. */
export function slotsOf(insn: Fields): 1 | 2 {
  return insn.opcode === WIDE_OPCODE ? 2 : 1;
}

/** What the LLVM assembler takes for a name, so that printed programs can be read back. */
const LABEL_NAME = /^[A-Za-z_.$][A-Za-z0-9_.$]*$/;

/** @throws TypeError unless `name` can be the name of a label: letters, digits, `_`, `.` and `$`. */
export function checkLabelName(where: string, name: unknown): string {
  if (typeof name !== 'string' || !LABEL_NAME.test(name)) {
    throw new TypeError(`${where}: ${JSON.stringify(name)} cannot name a label: letters, digits, _ . $ only`);
  }
  return name;
}

/** `name:` marks the place of the next instruction, for jumps, local calls and addresses of code. */
export function label(name: string): Label {
  return Object.freeze({ kind: 'label', name: checkLabelName('label', name) });
}

/**
 * The same code, its first instruction carrying `text`. A comment that is there already stays behind the new one.
 *
 * @throws TypeError if there is no instruction to carry it, or if the text is more than one line.
 */
export function comment(text: string, code: Code): Code {
  if (typeof text !== 'string' || /[\n\r]/.test(text)) throw new TypeError('comment: the text is not one line');
  const items = flatten(code);
  const first = items.findIndex((item) => item.kind === 'instruction');
  const carrier = items[first];
  if (carrier === undefined || carrier.kind !== 'instruction') {
    throw new TypeError(`comment: there is no instruction to carry ${JSON.stringify(text)}`);
  }
  const whole = carrier.comment === undefined ? text : `${text}; ${carrier.comment}`;
  return items.with(first, Object.freeze({ ...carrier, comment: whole }));
}

/**
 * The same code with every label that it defines renamed to `prefix.name`, and its own references to them as well.
 * So a piece of code with labels inside can stand in a program more than once. Labels defined elsewhere stay.
 */
export function scope(prefix: string, code: Code): Code {
  checkLabelName('scope', prefix);
  const items = flatten(code);
  const own = new Set(items.flatMap((item) => (item.kind === 'label' ? [item.name] : [])));
  return items.map((item) => {
    if (item.kind === 'label') return label(`${prefix}.${item.name}`);
    if (item.label === undefined || !own.has(item.label)) return item;
    return Object.freeze({ ...item, label: `${prefix}.${item.label}` });
  });
}

/** The items of nested code in order. @throws TypeError at anything that is neither instruction nor label. */
export function flatten(code: Code): Item[] {
  const items: Item[] = [];
  collect(code, items);
  return items;
}

function collect(code: Code, items: Item[]): void {
  if (isArray(code)) {
    for (const part of code) collect(part, items);
    return;
  }
  const kind = (code as { kind?: unknown } | null | undefined)?.kind;
  if (kind !== 'instruction' && kind !== 'label') {
    throw new TypeError(`item ${items.length} of the code is ${String(code)}, neither an instruction nor a label`);
  }
  items.push(code);
}

function isArray(code: Code): code is readonly Code[] {
  return Array.isArray(code);
}

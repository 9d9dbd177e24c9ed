/** LLVM as an oracle: its assembler and its disassembler, one process a run for thousands of instructions. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Endian } from '../../asm/index.ts';
import { needTool } from '../helpers/need.ts';

export interface Llvm {
  /** Major version. */
  readonly version: number;
  /** The instruction set that it knows. */
  readonly cpu: 'v3' | 'v4';
  readonly mc: string;
  readonly objdump: string;
}

/** The first LLVM of those named, or undefined where there is none. */
export function findLlvm(...suffixes: string[]): Llvm | undefined {
  const mc = needTool(...suffixes.map((suffix) => `llvm-mc${suffix}`));
  if (mc === undefined) return undefined;
  const objdump = needTool(basename(mc).replace('mc', 'objdump'));
  if (objdump === undefined) return undefined;
  const version = Number(/LLVM version (\d+)/.exec(execFileSync(mc, ['--version'], { encoding: 'utf8' }))?.[1]);
  return { version, cpu: version >= 18 ? 'v4' : 'v3', mc, objdump };
}

const TRIPLE: Readonly<Record<Endian, string>> = { little: 'bpfel', big: 'bpfeb' };

function assembleObject<T>(llvm: Llvm, source: string, endian: Endian, use: (object: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'skbdrop-llvm-'));
  try {
    const input = join(folder, 'in.s');
    const object = join(folder, 'out.o');
    writeFileSync(input, source);
    const options = ['-triple', TRIPLE[endian], `-mcpu=${llvm.cpu}`, '-filetype=obj', input, '-o', object];
    execFileSync(llvm.mc, options, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 28 });
    return use(object);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The bytes that LLVM makes of assembly text. @throws if it refuses a line. */
export function assembleText(llvm: Llvm, lines: readonly string[], endian: Endian): Uint8Array {
  return assembleObject(llvm, `${lines.join('\n')}\n`, endian, (object) => textSection(readFileSync(object), endian));
}

/** The text that LLVM makes of bytes, by slot, numbers in decimal. */
export function disassembleBytes(llvm: Llvm, bytes: Uint8Array, endian: Endian): Map<number, string> {
  const slots = Array.from({ length: bytes.length / 8 }, (_, slot) => bytes.subarray(slot * 8, slot * 8 + 8));
  const source = slots.map((slot) => `.byte ${slot.join(',')}\n`).join('');
  return assembleObject(llvm, source, endian, (object) => {
    // LLVM 14 takes 32-bit atomics for unknown without the attribute; to later ones it says nothing new
    const known = [`--mcpu=${llvm.cpu}`, '--mattr=+alu32'];
    const options = ['-d', ...known, '--no-show-raw-insn', '--no-print-imm-hex', object];
    const output = execFileSync(llvm.objdump, options, { encoding: 'utf8', maxBuffer: 1 << 28 });
    const lines = output.matchAll(/^ *(\d+):\s+(.*)$/gm);
    return new Map(Array.from(lines, ([, slot, text]) => [Number(slot), text!.trim()]));
  });
}

/** The contents of section `.text` of a 64-bit ELF file. */
function textSection(file: Buffer, endian: Endian): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const little = endian === 'little';
  const sections = Number(view.getBigUint64(0x28, little));
  const header = (index: number): number => sections + index * view.getUint16(0x3a, little);
  const offset = (index: number): number => Number(view.getBigUint64(header(index) + 0x18, little));
  const size = (index: number): number => Number(view.getBigUint64(header(index) + 0x20, little));
  const names = offset(view.getUint16(0x3e, little));
  for (let index = 0; index < view.getUint16(0x3c, little); index++) {
    const name = names + view.getUint32(header(index), little);
    if (file.toString('latin1', name, name + 6) === '.text\0') {
      return file.subarray(offset(index), offset(index) + size(index));
    }
  }
  throw new Error('the object has no .text');
}

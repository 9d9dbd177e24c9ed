import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Btf, BtfError } from '../../btf/index.ts';
import { SkbdropError } from '../sys/errors.ts';
import { elfSection } from './elf.ts';

const BTF_FOLDER = '/sys/kernel/btf';
/** The kernel's own, without its modules'. */
export const KERNEL_BTF: string = `${BTF_FOLDER}/vmlinux`;
const BTF_MAGIC = 0xeb9f; // include/uapi/linux/btf.h
const ELF_MAGIC = 0x7f454c46;

/**
 * The running kernel's BTF, or undefined where it has none to read (CONFIG_DEBUG_INFO_BTF off, sysfs not mounted), or
 * none that we understand: a newer kernel may have kinds of types that we do not know.
 */
export function kernelBtf(): Btf | undefined {
  const btf = readKernelBtf();
  return typeof btf === 'string' ? undefined : btf;
}

/** The running kernel's BTF, or why there is none, in a few words. */
export function readKernelBtf(): Btf | string {
  if (!existsSync(KERNEL_BTF))
    return existsSync('/sys/kernel') ? 'not there' : 'not there: sysfs is not mounted on /sys';
  try {
    return Btf.parse(readFileSync(KERNEL_BTF));
  } catch (error) {
    if (error instanceof BtfError) return `not understood: ${error.message}`;
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    return `not for this process to read (${code})`;
  }
}

/** Names of the loaded modules that have BTF. */
export function btfModules(): readonly string[] {
  return existsSync(BTF_FOLDER) ? readdirSync(BTF_FOLDER).filter((name) => name !== 'vmlinux') : [];
}

/** The BTF of each loaded module that has any, on top of the kernel's. A module whose BTF is damaged is left out. */
export function* moduleBtfs(base: Btf): Generator<Btf> {
  for (const module of btfModules()) {
    try {
      yield Btf.parse(readFileSync(`${BTF_FOLDER}/${module}`), base);
    } catch (error) {
      // ENOENT: unloaded since; ENODATA and damage: only this module's names are missing, and they show as numbers.
      if (!(error instanceof BtfError) && !(error instanceof Error && 'code' in error)) throw error;
    }
  }
}

/**
 * BTF from a file: a raw blob, or an ELF file with a `.BTF` section.
 *
 * @throws SkbdropError `usage` where the file cannot be read or holds no intact BTF
 */
export function btfFromFile(file: string): Btf {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new SkbdropError('usage', `cannot read the BTF file ${file}: ${(error as Error).message}`, { cause: error });
  }
  if (bytes.length >= 4 && bytes.readUInt32BE(0) === ELF_MAGIC) {
    return parse(elfSection(bytes, '.BTF', file), file);
  }
  const magic = bytes.length >= 2 ? [bytes.readUInt16LE(0), bytes.readUInt16BE(0)] : [];
  if (!magic.includes(BTF_MAGIC)) {
    throw new SkbdropError('usage', `${file} is neither BTF nor an ELF file`, {
      hint: 'A kernel image with debug information has a .BTF section; /sys/kernel/btf/vmlinux is a raw blob',
    });
  }
  return parse(bytes, file);
}

function parse(bytes: Uint8Array, file: string): Btf {
  try {
    return Btf.parse(bytes);
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    throw new SkbdropError('usage', `the BTF in ${file} is damaged: ${error.message}`, { cause: error });
  }
}

import { createRequire } from 'node:module';
import { SkbdropError } from '../sys/errors.ts';

/** What elfy 1.0.0 gives that can be relied on; its `addralign` and `entsize` are wrong for 64 bits. */
interface Elfy {
  parse(bytes: Buffer): { body: { sections: readonly { name: string; data: Uint8Array }[] } };
}

/**
 * The bytes of a section of an ELF file.
 *
 * @param file for the message
 * @throws SkbdropError `usage` where the file is damaged or has no such section
 */
export function elfSection(bytes: Buffer, name: string, file: string): Uint8Array {
  // Loaded here, because only few runs are given an ELF file.
  const elfy: Elfy = createRequire(import.meta.url)('elfy');
  let sections: ReturnType<Elfy['parse']>['body']['sections'];
  try {
    sections = elfy.parse(bytes).body.sections;
  } catch (error) {
    // elfy has no error of its own: TypeError, AssertionError and RangeError all mean a damaged file.
    throw new SkbdropError('usage', `${file} is a damaged ELF file: ${(error as Error).message}`, { cause: error });
  }
  const section = sections.find((section) => section.name === name);
  if (section === undefined || section.data.length === 0) {
    throw new SkbdropError('usage', `${file} has no section ${name}`, {
      hint: 'The kernel must be built with CONFIG_DEBUG_INFO_BTF, and the image not be stripped of it',
    });
  }
  return section.data;
}

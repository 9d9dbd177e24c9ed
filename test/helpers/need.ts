import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** In CI everything a test needs is installed, so a test that would skip fails instead. */
export const strict: boolean = process.env.SKBDROP_TEST_STRICT === '1';

/**
 * The first of the named executables that PATH holds, or undefined.
 *
 * @throws Error with SKBDROP_TEST_STRICT=1 where none is found.
 */
export function needTool(...names: string[]): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const name of names) {
    for (const folder of folders) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // not here
      }
    }
  }
  if (strict) throw new Error(`${names.join(' or ')} is not installed, and this run may skip nothing`);
  return undefined;
}

/**
 * Whether this process is root, as what loads programs and makes namespaces has to be.
 *
 * @throws Error with SKBDROP_TEST_STRICT=1 where it is not.
 */
export function needRoot(): boolean {
  const isRoot = process.geteuid?.() === 0;
  if (strict && !isRoot) throw new Error('this test wants root, and this run may skip nothing');
  return isRoot;
}

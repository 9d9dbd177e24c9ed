import { join } from 'node:path';
import type { Arch } from './config.ts';
import { DEBIAN_ARCH, debian } from './kernel.ts';
import { cache } from './paths.ts';

/** Where machines' userlands come from. */
const SUITE = 'bookworm';

/** Path of a busybox that needs no library, for the architecture. */
export function staticBusybox(arch: Arch): string {
  const folder = join(cache, 'packages', `busybox-${arch}`);
  debian(SUITE, DEBIAN_ARCH[arch], folder, 'busybox-static');
  return join(folder, 'bin/busybox');
}

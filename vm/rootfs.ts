import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Arch } from './config.ts';
import { debian } from './kernel.ts';
import { cache } from './paths.ts';

/** Where machines' userlands come from. */
const SUITE = 'bookworm';

/** Path of a busybox that needs no library, for the architecture. */
export function staticBusybox(arch: Arch): string {
  const folder = join(cache, 'packages', `busybox-${arch}`);
  if (!existsSync(folder)) debian('unpack', SUITE, arch === 'x86_64' ? 'amd64' : 'arm64', folder, 'busybox-static');
  return join(folder, 'bin/busybox');
}

import { readFileSync } from 'node:fs';

/** The value of a sysctl, `kernel.kptr_restrict`; undefined where there is none, or not for this process. */
export function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'latin1').trim();
  } catch {
    return undefined;
  }
}

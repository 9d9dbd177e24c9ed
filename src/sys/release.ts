import { release } from 'node:os';

/**
 * Whether the running kernel is older than a release, `5.11`. Only for what it says in no other way: distributions
 * bring newer features to older kernels.
 */
export function isBefore(wanted: string, running: string = release()): boolean {
  const [major = 0, minor = 0] = running.split('.').map((part) => Number.parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

import { type CapabilityName, hasCapability } from '../sys/capabilities.ts';
import { SkbdropError, SyscallError } from '../sys/errors.ts';
import { isBefore } from '../sys/release.ts';
import { limitLockedMemory, lockedMemoryLimit, UNLIMITED } from '../sys/rlimit.ts';
import { errno } from '../sys/syscall.ts';

/**
 * Runs `body`, which makes a map or a program. Before Linux 5.11 these count as locked memory, and one that is too many
 * is refused with EPERM (v5.10 kernel/bpf/syscall.c, bpf_charge_memlock()); newer kernels charge them to the cgroup.
 * The limit is only raised where it is in the way, and put back at once: what `-c` runs shall not inherit ours.
 *
 * @param what what could not be done, as in "cannot …"
 * @param wanted capabilities whose lack is the better explanation of an EPERM
 * @throws SkbdropError `permission` where the limit is in the way and may not be raised
 */
export function chargingMemory<T>(what: string, wanted: readonly CapabilityName[], body: () => T): T {
  try {
    return body();
  } catch (error) {
    const isRefused = error instanceof SyscallError && error.errno === errno.EPERM;
    if (!isRefused || !isBefore('5.11') || wanted.some((name) => !hasCapability(name))) throw error;
    return withRaisedLimit(what, body);
  }
}

function withRaisedLimit<T>(what: string, body: () => T): T {
  const before = lockedMemoryLimit();
  // Root may raise both; everybody else at least the one up to the other.
  if (!limitLockedMemory({ soft: UNLIMITED, hard: UNLIMITED })) limitLockedMemory({ ...before, soft: before.hard });
  try {
    return body();
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== errno.EPERM) throw error;
    const { soft } = lockedMemoryLimit();
    if (soft === UNLIMITED) throw error;
    const amount = `over the limit of locked memory, ${soft / 1024n} KiB, which counts before Linux 5.11`;
    throw new SkbdropError('permission', `cannot ${what}: ${amount}`, {
      hint: 'Raise it: ulimit -l unlimited, or LimitMEMLOCK=infinity in a unit of systemd; CAP_SYS_RESOURCE may, too',
      cause: error,
    });
  } finally {
    limitLockedMemory(before);
  }
}

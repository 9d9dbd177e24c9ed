import { readFileSync } from 'node:fs';
import { SkbdropError, SyscallError } from './errors.ts';
import { errno } from './syscall.ts';

/** Bit numbers, include/uapi/linux/capability.h. */
export const Capability = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_SYSLOG: 34,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

export type CapabilityName = keyof typeof Capability;

/** The effective capabilities of this process. CAP_SYS_ADMIN counts as CAP_BPF and CAP_PERFMON (capable.7). */
export function hasCapability(name: CapabilityName, status: string = ownStatus()): boolean {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: number): boolean => ((effective >> BigInt(bit)) & 1n) === 1n;
  const impliedByAdmin = name === 'CAP_BPF' || name === 'CAP_PERFMON' || name === 'CAP_SYSLOG';
  return has(Capability[name]) || (impliedByAdmin && has(Capability.CAP_SYS_ADMIN));
}

function ownStatus(): string {
  return readFileSync('/proc/self/status', 'latin1');
}

/** The operation needs capabilities that this process does not have, or the kernel's policy forbids it to all. */
export class PermissionError extends SkbdropError {
  /** What is missing; empty where every capability is there and something else says no. */
  readonly missing: readonly CapabilityName[];

  constructor(what: string, missing: readonly CapabilityName[], cause: unknown, lockdown: string | undefined) {
    const had = (['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'] as const).filter((name) => hasCapability(name));
    const has = had.length === 0 ? 'none of them' : `${had.join(' and ')} only`;
    if (missing.length > 0) {
      super('permission', `cannot ${what}: the kernel wants ${missing.join(' and ')}, this process has ${has}`, {
        hint: `Run as root, or give the program the capabilities: setcap ${missing.join(',').toLowerCase()}+ep FILE`,
        cause,
      });
    } else if (lockdown !== undefined && lockdown !== 'none') {
      super('permission', `cannot ${what}: the kernel is locked down (${lockdown})`, {
        hint: 'Lockdown is lifted only by booting without it (lockdown=none, or Secure Boot off)',
        cause,
      });
    } else {
      super('permission', `cannot ${what}: not permitted, although this process has the capabilities for it`, {
        hint:
          'In a container the capabilities must be those of the host (no user namespace), ' +
          'and the seccomp profile must allow bpf() and perf_event_open()',
        cause,
      });
    }
    this.missing = missing;
  }
}

/** `none`, `integrity` or `confidentiality`; undefined where the kernel has no lockdown or securityfs is not there. */
export function lockdownMode(): string | undefined {
  try {
    return /\[(\w+)\]/.exec(readFileSync('/sys/kernel/security/lockdown', 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Runs `body`; an EPERM or EACCES out of it becomes a PermissionError that says which of `wanted` this process
 * lacks.
 *
 * @param what what could not be done, as in "cannot …"
 */
export function explainPermission<T>(what: string, wanted: readonly CapabilityName[], body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof SyscallError && (error.errno === errno.EPERM || error.errno === errno.EACCES)) {
      const status = ownStatus();
      throw new PermissionError(
        what,
        wanted.filter((name) => !hasCapability(name, status)),
        error,
        lockdownMode(),
      );
    }
    throw error;
  }
}

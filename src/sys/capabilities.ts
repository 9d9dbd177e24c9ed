import { existsSync, readFileSync } from 'node:fs';
import { SkbdropError, SyscallError } from './errors.ts';
import { detachedMount } from './mount.ts';
import { inInitialUserNamespace, ownStatus, seccompMode } from './process.ts';
import { errno } from './syscall.ts';
import { list } from './words.ts';

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

/**
 * The effective capabilities of this process. CAP_SYS_ADMIN counts as CAP_BPF and CAP_PERFMON (capabilities(7)), but not
 * as CAP_SYSLOG where symbols are shown (v6.12 kernel/ksyms_common.c, kallsyms_show_value()).
 */
export function hasCapability(name: CapabilityName, status: string = ownStatus()): boolean {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: number): boolean => ((effective >> BigInt(bit)) & 1n) === 1n;
  const impliedByAdmin = name === 'CAP_BPF' || name === 'CAP_PERFMON';
  return has(Capability[name]) || (impliedByAdmin && has(Capability.CAP_SYS_ADMIN));
}

/** What bars the way beside capabilities. */
export interface Barriers {
  /** In a user namespace of its own, where capabilities count for nothing outside. */
  readonly ownUserNamespace: boolean;
  readonly lockdown: Lockdown;
  readonly seccomp: boolean;
}

/** The operation needs capabilities that this process does not have, or the kernel's policy forbids it to all. */
export class PermissionError extends SkbdropError {
  /** What is missing; empty where every capability is there and something else says no. */
  readonly missing: readonly CapabilityName[];

  constructor(what: string, missing: readonly CapabilityName[], cause: unknown, barriers: Barriers) {
    const had = (['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'] as const).filter((name) => hasCapability(name));
    const has = had.length === 0 ? 'none of them' : `${list(had)} only`;
    if (missing.length > 0 && barriers.ownUserNamespace) {
      const wants = `the kernel wants the host's ${list(missing)}`;
      super(
        'permission',
        `cannot ${what}: ${wants}, and this process is in a user namespace, where they count for nothing`,
        {
          hint: 'Run it as root of the host; a container must be privileged and have no user namespace of its own',
          cause,
        },
      );
    } else if (missing.length > 0) {
      super('permission', `cannot ${what}: the kernel wants ${list(missing)}, this process has ${has}`, {
        hint: `Run as root, or give the program the capabilities: setcap ${missing.join(',').toLowerCase()}+ep FILE`,
        cause,
      });
    } else if (barriers.lockdown === 'confidentiality') {
      super('permission', `cannot ${what}: the kernel is locked down (confidentiality)`, {
        hint: LOCKDOWN_HINT,
        cause,
      });
    } else if (barriers.seccomp) {
      super('permission', `cannot ${what}: not permitted, although this process has the capabilities for it`, {
        hint: SECCOMP_HINT,
        cause,
      });
    } else {
      super('permission', `cannot ${what}: not permitted, although this process has the capabilities for it`, {
        hint:
          'A security module (SELinux, AppArmor) may forbid it: see dmesg. ' +
          'Before Linux 5.11 so does the limit of locked memory: ulimit -l unlimited',
        cause,
      });
    }
    this.missing = missing;
  }
}

/** What to do about a kernel that is locked down, and about a filter of system calls. */
export const LOCKDOWN_HINT: string =
  'Lockdown is lifted only by booting without it (lockdown=none, or Secure Boot off)';
export const SECCOMP_HINT: string =
  'A seccomp filter is in force, which must allow bpf() and perf_event_open(): ' +
  'in a container, --security-opt seccomp=unconfined or a profile with them';

/** `absent`: this kernel has no lockdown. `unknown`: securityfs, which tells, is out of reach. */
export type Lockdown = 'none' | 'integrity' | 'confidentiality' | 'absent' | 'unknown';

const SECURITYFS = '/sys/kernel/security';

/**
 * How the kernel is locked down. Of what skbdrop does, only `confidentiality` forbids anything: tracefs, and reading
 * the kernel's memory with bpf_probe_read_kernel() (v6.12 include/linux/security.h, enum lockdown_reason).
 */
export function lockdownMode(): Lockdown {
  try {
    // Where it is mounted, it lists the security modules, and lockdown has a file of its own if it is among them.
    if (existsSync(`${SECURITYFS}/lockdown`) || existsSync(`${SECURITYFS}/lsm`)) return readLockdown(SECURITYFS);
    using mount = detachedMount('securityfs');
    return readLockdown(`/proc/self/fd/${mount.fd}`);
  } catch (error) {
    return error instanceof SyscallError && error.errno === errno.ENODEV ? 'absent' : 'unknown';
  }
}

function readLockdown(folder: string): Lockdown {
  let text: string;
  try {
    text = readFileSync(`${folder}/lockdown`, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
  const mode = choice(text);
  return mode === 'none' || mode === 'integrity' || mode === 'confidentiality' ? mode : 'unknown';
}

/** The word in brackets: `none [integrity] confidentiality`. */
function choice(text: string): string | undefined {
  return /\[(\w+)\]/.exec(text)?.[1];
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
      const ownUserNamespace = !inInitialUserNamespace();
      throw new PermissionError(
        what,
        wanted.filter((name) => ownUserNamespace || !hasCapability(name, status)),
        error,
        { ownUserNamespace, lockdown: lockdownMode(), seccomp: seccompMode(status) === 'filter' },
      );
    }
    throw error;
  }
}

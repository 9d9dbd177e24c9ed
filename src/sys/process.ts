import { readFileSync, readlinkSync } from 'node:fs';

/** What the kernel says of this process, its capabilities aside. */

/** The inode of the first user namespace: PROC_USER_INIT_INO, v6.12 include/linux/proc_ns.h. */
const INITIAL_USER_NAMESPACE = 'user:[4026531837]';

/** /proc/self/status, a line for each fact. */
export function ownStatus(): string {
  return readFileSync('/proc/self/status', 'latin1');
}

/**
 * Whether this process is in the host's own user namespace. Capabilities in any other are of no use for bpf(), which
 * asks for those of the first one (v6.12 include/linux/bpf.h and kernel/bpf/token.c, bpf_token_capable()).
 */
export function inInitialUserNamespace(): boolean {
  try {
    return readlinkSync('/proc/self/ns/user') === INITIAL_USER_NAMESPACE;
  } catch {
    return true; // a kernel without CONFIG_USER_NS has only that one
  }
}

/** Whether system calls are filtered; undefined where the kernel does not say (CONFIG_SECCOMP off). */
export type Seccomp = 'off' | 'strict' | 'filter';

const seccompModes: Readonly<Record<string, Seccomp>> = { 0: 'off', 1: 'strict', 2: 'filter' };

/** proc_pid_status(5), `Seccomp`. */
export function seccompMode(status: string = ownStatus()): Seccomp | undefined {
  return seccompModes[/^Seccomp:\s*(\d)$/m.exec(status)?.[1] ?? ''];
}

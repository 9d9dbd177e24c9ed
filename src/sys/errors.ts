import { constants } from 'node:os';

/**
 * What every fault of skbdrop's own carries: a sentence for people, a code for programs, and what to do about it.
 *
 * `code` is stable: scripts and the exit status are decided by it.
 */
export class SkbdropError extends Error {
  readonly code: ErrorCode;
  /** What the reader can do: one or more sentences, no full stop at the end. */
  readonly hint: string | undefined;
  /** More lines for -v: the verifier's log, the system call. */
  readonly details: string | undefined;

  constructor(code: ErrorCode, message: string, more: { hint?: string; details?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = more.hint;
    this.details = more.details;
  }
}

/**
 * - `usage`: the caller asked for something that cannot be (an unknown reason, a bad option)
 * - `unsupported`: this host or kernel cannot do it
 * - `permission`: this process may not do it
 * - `rejected`: the verifier refused a program
 * - `system`: a system call failed in a way that is none of the above
 * - `output`: what was found could not be written
 */
export type ErrorCode = 'usage' | 'unsupported' | 'permission' | 'rejected' | 'system' | 'output';

/** A system call that returned -1. `errno` is the number, `errnoName` its name (`EPERM`). */
export class SyscallError extends SkbdropError {
  readonly call: string;
  readonly errno: number;
  readonly errnoName: string;

  constructor(call: string, errno: number, what?: string) {
    const name = errnoName(errno);
    super('system', `${what ?? call}: ${name} (${errnoText(name)})`, { details: `${call} returned ${name}` });
    this.call = call;
    this.errno = errno;
    this.errnoName = name;
  }
}

/** Something this kernel does not have. `minimum` is the first mainline release that has it, where that is known. */
export class NotSupportedError extends SkbdropError {
  readonly feature: string;
  readonly minimum: string | undefined;

  constructor(feature: string, more: { minimum?: string; hint?: string; details?: string; cause?: unknown } = {}) {
    const since = more.minimum === undefined ? '' : ` (Linux ${more.minimum} and later have it)`;
    super('unsupported', `this kernel has no ${feature}${since}`, more);
    this.feature = feature;
    this.minimum = more.minimum;
  }
}

/** Not in Node's table: include/linux/errno.h. The kernel lets it out through bpf() (v6.18 kernel/bpf/syscall.c). */
export const ENOTSUPP = 524;

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// EAGAIN and EWOULDBLOCK are one number on Linux, as are EDEADLK and EDEADLOCK; the first name is the usual one.
names.set(constants.errno.EAGAIN, 'EAGAIN');
names.set(ENOTSUPP, 'ENOTSUPP');

/** `EPERM` for 1; `errno 1234` for a number without a name. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

const texts: Readonly<Record<string, string>> = {
  E2BIG: 'too long, or an attribute this kernel does not know',
  EACCES: 'permission denied',
  EAGAIN: 'try again',
  EBADF: 'bad file descriptor',
  EBUSY: 'busy',
  EEXIST: 'it exists already',
  EFAULT: 'bad address',
  EINVAL: 'invalid argument',
  EMFILE: 'too many open files in this process',
  ENOENT: 'no such thing',
  ENODEV: 'no such device',
  ENOMEM: 'out of memory, or over the limit of locked memory',
  ENOSPC: 'no space left',
  ENOSYS: 'this kernel has no such system call',
  ENOTSUPP: 'operation not supported',
  EOPNOTSUPP: 'operation not supported',
  EPERM: 'operation not permitted',
};

function errnoText(name: string): string {
  return texts[name] ?? 'see errno(3)';
}

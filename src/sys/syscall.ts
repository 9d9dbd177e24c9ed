import { constants } from 'node:os';
import { ENOTSUPP, NotSupportedError, SyscallError } from './errors.ts';
import { native, type Word } from './ffi.ts';

/** System call numbers. Sources: arch/x86/entry/syscalls/syscall_64.tbl and scripts/syscall.tbl (arm64), v6.12. */
const numbers = {
  x64: {
    ioctl: 16,
    mmap: 9,
    munmap: 11,
    socket: 41,
    connect: 42,
    accept4: 288,
    sendto: 44,
    recvfrom: 45,
    bind: 49,
    listen: 50,
    getsockname: 51,
    setsockopt: 54,
    fcntl: 72,
    clock_gettime: 228,
    epoll_ctl: 233,
    epoll_pwait: 281,
    epoll_create1: 291,
    unshare: 272,
    read: 0,
    write: 1,
    getsockopt: 55,
    socketpair: 53,
    setns: 308,
    perf_event_open: 298,
    prlimit64: 302,
    bpf: 321,
    membarrier: 324,
    fsopen: 430,
    fsconfig: 431,
    fsmount: 432,
  },
  arm64: {
    ioctl: 29,
    mmap: 222,
    munmap: 215,
    socket: 198,
    connect: 203,
    accept4: 242,
    sendto: 206,
    recvfrom: 207,
    bind: 200,
    listen: 201,
    getsockname: 204,
    setsockopt: 208,
    fcntl: 25,
    clock_gettime: 113,
    epoll_ctl: 21,
    epoll_pwait: 22,
    epoll_create1: 20,
    unshare: 97,
    read: 63,
    write: 64,
    getsockopt: 209,
    socketpair: 199,
    setns: 268,
    perf_event_open: 241,
    prlimit64: 261,
    bpf: 280,
    membarrier: 283,
    fsopen: 430,
    fsconfig: 431,
    fsmount: 432,
  },
} as const;

export type SyscallName = keyof (typeof numbers)['x64'];
type Architecture = keyof typeof numbers;

/** An argument: a number, an address, or the buffer whose address is meant. */
export type Argument = Word | ArrayBufferView | null;

/**
 * Makes a system call and returns its result.
 *
 * The buffers among the arguments stay reachable through `args` until the kernel is done with them; buffers that
 * other buffers point at are the caller's to keep.
 *
 * @throws SyscallError naming `call` (default: the system call) where it returns -1
 * @throws NotSupportedError on a processor whose call numbers we do not know
 */
export function syscall(name: SyscallName, args: readonly Argument[], call: string = name): number {
  const result = trySyscall(name, args);
  if (result < 0) throw new SyscallError(call, -result);
  return result;
}

/** As `syscall`, but a failure comes back as the negative errno: for callers that expect some. */
export function trySyscall(name: SyscallName, args: readonly Argument[]): number {
  const { syscall, errno, address } = native();
  const word = (i: number): Word => {
    const arg = args[i];
    if (arg === undefined || arg === null) return 0;
    return typeof arg === 'object' ? address(arg) : arg;
  };
  const result = syscall(callNumber(name), word(0), word(1), word(2), word(3), word(4), word(5));
  return result === -1 || result === -1n ? -errno() : Number(result);
}

function callNumber(name: SyscallName): number {
  const table = numbers[process.arch as Architecture];
  if (table === undefined) {
    throw new NotSupportedError(`system call table for ${process.arch}`, { hint: 'skbdrop runs on x86-64 and arm64' });
  }
  return table[name];
}

/** The numbers of errors, by name. */
export const errno: typeof constants.errno & { readonly ENOTSUPP: number } = { ...constants.errno, ENOTSUPP };

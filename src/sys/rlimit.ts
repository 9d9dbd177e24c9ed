import { syscall, trySyscall } from './syscall.ts';

const RLIMIT_MEMLOCK = 8; // include/uapi/asm-generic/resource.h
/** No limit: RLIM64_INFINITY, include/uapi/linux/resource.h. */
export const UNLIMITED: bigint = 2n ** 64n - 1n;

/** struct rlimit64, in bytes of memory: how much is in force, and how far a process may raise it by itself. */
export interface MemoryLimit {
  readonly soft: bigint;
  readonly hard: bigint;
}

const THIS_PROCESS = 0;

/** How much memory this process may lock. Requires Linux 2.6.36. @throws SyscallError */
export function lockedMemoryLimit(): MemoryLimit {
  const limit = Buffer.alloc(16);
  syscall('prlimit64', [THIS_PROCESS, RLIMIT_MEMLOCK, 0, limit]);
  return { soft: limit.readBigUInt64LE(0), hard: limit.readBigUInt64LE(8) };
}

/** @returns false where it is refused: without CAP_SYS_RESOURCE the hard limit can only be lowered */
export function limitLockedMemory({ soft, hard }: MemoryLimit): boolean {
  const limit = Buffer.alloc(16);
  limit.writeBigUInt64LE(soft, 0);
  limit.writeBigUInt64LE(hard, 8);
  return trySyscall('prlimit64', [THIS_PROCESS, RLIMIT_MEMLOCK, limit, 0]) === 0;
}

import { trySyscall } from './syscall.ts';

const MEMBARRIER_CMD_GLOBAL = 1; // include/uapi/linux/membarrier.h

/**
 * Returns after every CPU has left whatever it ran with preemption disabled when this was called: the kernel does
 * a synchronize_rcu() for it (v6.12 kernel/sched/membarrier.c). So a program that was detached before has finished
 * its last run afterwards.
 *
 * @returns false where the kernel refuses (CONFIG_MEMBARRIER off, or nohz_full CPUs)
 */
export function waitForRunningPrograms(): boolean {
  return trySyscall('membarrier', [MEMBARRIER_CMD_GLOBAL, 0, 0]) === 0;
}

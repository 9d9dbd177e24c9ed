import { NoReasonsError } from '../kernel/reasons.ts';

/** What is said on kernels that give no reason for a drop. */

/** @param instead what is done in place of it */
export function noReasons(instead: string): string {
  return `this kernel gives no reason for a drop (Linux 5.17 and later do): ${instead}`;
}

/** For `-f bpftrace`, whose program cannot be run on such a kernel. */
export function bpftraceWantsReasons(command: string): NoReasonsError {
  return new NoReasonsError(
    `and the bpftrace program that ${command} follows prints args->reason`,
    'Without -f bpftrace the function that dropped is shown instead',
  );
}

import { rawTracepointOpen } from '../sys/bpf.ts';
import { explainPermission } from '../sys/capabilities.ts';
import type { Fd } from '../sys/fd.ts';
import { openTracepoint } from '../sys/perf.ts';
import type { Program } from './program.ts';

/**
 * Attaches a TRACING program to the tracepoint its BTF id names, until the result is closed. Requires Linux 5.5.
 *
 * @throws PermissionError, SyscallError
 */
export function attachTracing(program: Program): Fd {
  return explainPermission(`attach ${program.spec.name}`, ['CAP_BPF', 'CAP_PERFMON'], () =>
    rawTracepointOpen(program.fd, undefined),
  );
}

/**
 * Attaches a RAW_TRACEPOINT program to the tracepoint `name`, until the result is closed. Requires Linux 4.17.
 *
 * @throws SyscallError EINVAL where the program reads more arguments than the tracepoint has, ENOENT where there is
 *         no such tracepoint; PermissionError
 */
export function attachRawTracepoint(program: Program, name: string): Fd {
  return explainPermission(`attach ${program.spec.name}`, ['CAP_BPF', 'CAP_PERFMON'], () =>
    rawTracepointOpen(program.fd, name),
  );
}

/**
 * Attaches a TRACEPOINT program to the tracepoint with this tracefs id through a perf event, until the result is
 * closed. Requires Linux 4.7.
 *
 * @throws PermissionError (perf_event_paranoid, lockdown), SyscallError
 */
export function attachTracepoint(program: Program, id: number): Fd {
  return explainPermission(`attach ${program.spec.name}`, ['CAP_PERFMON'], () => openTracepoint(id, program.fd));
}

import { VerifierError } from '../bpf/program.ts';
import type { Host } from '../kernel/host.ts';
import { tracepointArguments } from '../kernel/tracepoint.ts';
import type { AttachMode, Without } from '../probes/context.ts';
import { SyscallError } from '../sys/errors.ts';
import { errno } from '../sys/syscall.ts';

/** What a program may have to go without, beyond how it gets at the drop. */
export interface Concessions extends Without {
  /** Atomic instructions that say what stood there before. */
  readonly fetch?: boolean;
}

/**
 * What to go without next, after the kernel has refused a program: some of what it cannot do it says in no other way.
 *
 * @param refusal what loading or attaching threw
 * @param before what it went without already
 * @param limited whether the program stops after a number of drops, for which it fetches atomically
 * @returns undefined where nothing that can be conceded is at fault
 */
export function concede(
  refusal: unknown,
  mode: AttachMode,
  host: Host,
  before: Concessions,
  limited: boolean,
): Concessions | undefined {
  if (limited && !before.fetch && isNoFetch(refusal)) return { ...before, fetch: true };
  if (mode !== 'tp_btf' && !before.memory && isNoReading(refusal)) return { ...before, memory: true };
  const countsArguments = mode === 'raw_tp' && tracepointArguments(host.btf) === undefined;
  if (countsArguments && !before.reason && isNoArgument(refusal)) return { ...before, reason: true };
  return undefined;
}

/**
 * Before Linux 5.12 the verifier takes an atomic instruction for a store with a field that should be zero (v5.10
 * kernel/bpf/verifier.c, replace_map_fd_with_map_ptr()). Where it takes the program and the JIT compiler does not
 * (arm64 before 5.18), and there is no interpreter to fall back to, the answer is ENOTSUPP.
 */
function isNoFetch(refusal: unknown): boolean {
  if (!(refusal instanceof VerifierError)) return false;
  const { cause } = refusal;
  return /reserved fields/.test(refusal.log) || (cause instanceof SyscallError && cause.errno === errno.ENOTSUPP);
}

/** Under lockdown=confidentiality the helper is not there (v5.10 kernel/trace/bpf_trace.c, bpf_tracing_func_proto()). */
function isNoReading(refusal: unknown): boolean {
  return refusal instanceof VerifierError && /(?:unknown func|helper) bpf_probe_read_kernel#/.test(refusal.log);
}

/** A program that reads more arguments than the tracepoint has (v5.10 kernel/trace/bpf_trace.c, max_ctx_offset). */
function isNoArgument(refusal: unknown): boolean {
  return (
    refusal instanceof SyscallError && refusal.call === 'bpf(BPF_RAW_TRACEPOINT_OPEN)' && refusal.errno === errno.EINVAL
  );
}

/**
 * skbdrop as a library: watch the packets that the running kernel drops. Linux, as root (or with CAP_BPF and
 * CAP_PERFMON).
 *
 *     for await (const drop of traceDrops({ reasons: ['NO_SOCKET'] })) console.log(drop.location, drop.len);
 *
 * @module
 */

export { VerifierError } from './bpf/program.ts';
export { countDrops, type DropCount, type DropCounter } from './drops/count.ts';
export type { Drop, DropFacts } from './drops/drop.ts';
export {
  type Bucket,
  type DropHistogram,
  dropHistogram,
  type Histogram,
  type HistogramOptions,
} from './drops/histogram.ts';
export { UnknownReasonError } from './drops/select.ts';
export type { WatchOptions } from './drops/session.ts';
export { type DropStack, type DropStacks, dropStacks, type StackFrame } from './drops/stacks.ts';
export type { Loss, Summary } from './drops/summary.ts';
export { type DropTrace, type TraceOptions, traceDrops } from './drops/trace.ts';
export type { LossWay } from './probes/account.ts';
export type { AttachMode } from './probes/context.ts';
export type { Device } from './probes/trace.ts';
export { PermissionError } from './sys/capabilities.ts';
export { type ErrorCode, NotSupportedError, SkbdropError, SyscallError } from './sys/errors.ts';

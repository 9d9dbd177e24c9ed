import {
  hasFetchAtomics,
  hasJit,
  hasLiveFrames,
  hasMapBatch,
  hasPerfEventLink,
  hasRingBuffer,
  rawTracepointArguments,
} from '../bpf/features.ts';
import { type Host, TRACEPOINT } from '../kernel/host.ts';
import { tracepointArguments } from '../kernel/tracepoint.ts';
import { lockedMemoryLimit, type MemoryLimit } from '../sys/rlimit.ts';

type FeatureName =
  | 'ring_buffer'
  | 'map_batch'
  | 'fetch_atomics'
  | 'perf_event_link'
  | 'recursion_guard'
  | 'live_frames';

/** A feature of this kernel's BPF that one or the other command is better with. */
export interface Feature {
  readonly name: FeatureName;
  /** In words. */
  readonly text: string;
  /** The first mainline release that has it. */
  readonly since: string;
  /** What it is good for here. */
  readonly use: string;
  /** undefined where the kernel did not let itself be asked. */
  readonly has: boolean | undefined;
}

/** All features, each found out by trying; the guard against recursion by looking into BTF. */
export function features(host: Host): readonly Feature[] {
  const guard = (): boolean => {
    if (host.btf === undefined) throw new TypeError('without BTF nothing tells');
    return host.guardsReentry;
  };
  const all: readonly (readonly [FeatureName, string, since: string, use: string, ask: () => boolean])[] = [
    ['ring_buffer', 'ring buffer', '5.8', 'trace', hasRingBuffer],
    ['map_batch', 'map batches', '5.6', 'reading many counters at once', hasMapBatch],
    ['fetch_atomics', 'fetch atomics', '5.12', '-n at less cost', hasFetchAtomics],
    ['perf_event_link', 'perf event links', '5.15', 'not needed so far', hasPerfEventLink],
    ['recursion_guard', 'recursion guard', '6.1', 'counting without atomic instructions', guard],
    ['live_frames', 'live frames', '5.18', 'fast floods of demo', hasLiveFrames],
  ];
  return all.map(([name, text, since, use, ask]) => ({ name, text, since, use, has: answer(ask) }));
}

/** Whether programs run as machine code; undefined where none can be loaded. */
export function runsMachineCode(): boolean | undefined {
  return answer(hasJit);
}

/** How much memory this process may lock; undefined where a filter of system calls keeps it from asking. */
export function lockedMemory(): MemoryLimit | undefined {
  return answer(lockedMemoryLimit);
}

/** What the tracepoint hands to a program; undefined is what nothing tells. */
export interface TracepointFacts {
  /** How many arguments it has, says the kernel when a program is attached. */
  readonly arguments: number | undefined;
  /** Their names, says BTF. */
  readonly names: readonly string[] | undefined;
  readonly hasReason: boolean | undefined;
  /** The socket that the packet was for. */
  readonly hasReceiver: boolean | undefined;
}

export function tracepointFacts(host: Host): TracepointFacts {
  const count = answer(() => rawTracepointArguments(TRACEPOINT.name));
  const names = answer(() => tracepointArguments(host.btf));
  const columns = names ?? answer(() => [...host.tracepoint().fields.keys()]);
  // Without any names, their number tells: the first two are as old as the tracepoint, the third came with the reason.
  const has = (name: string, place: number): boolean | undefined => {
    if (columns !== undefined) return columns.includes(name);
    return count === undefined ? undefined : count >= place;
  };
  return { arguments: count, names, hasReason: has('reason', 3), hasReceiver: has('rx_sk', 4) };
}

/** What could not be asked is not known; why not, the commands will say. */
function answer<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

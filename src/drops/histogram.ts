import { HistProbe } from '../probes/hist.ts';
import { Session, type WatchOptions } from './session.ts';
import { Watch } from './watch.ts';

export interface HistogramOptions extends WatchOptions {
  /** `reason`: one histogram for each reason. */
  readonly by?: 'reason' | undefined;
}

export interface Histogram {
  /** The kernel's name of the reason, in a histogram that is for one. */
  readonly reason?: string;
  /** The number behind it on this kernel; other kernels number otherwise. */
  readonly reasonNumber?: number;
  /** From the shortest length that occurred to the longest, empty buckets between them included. */
  readonly buckets: readonly Bucket[];
  readonly total: number;
}

/** How many lengths fell into [low, high), in bytes. */
export interface Bucket {
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** The lengths of dropped packets, counted in powers of two, in the kernel. */
export class DropHistogram extends Watch<HistProbe> {
  /** The histogram, or one for each reason, the fullest first; empty ones are left out. */
  read(): readonly Histogram[] {
    const { probe, program, host } = this.session;
    return probe
      .read(program)
      .histograms.map(({ reason, counts }) => ({
        ...(reason === undefined ? {} : { reason: host.reasons.name(reason), reasonNumber: reason }),
        buckets: buckets(counts),
        total: counts.reduce((sum, count) => sum + count, 0),
      }))
      .filter(({ total }) => total > 0)
      .sort((a, b) => b.total - a.total || ((a.reason ?? '') < (b.reason ?? '') ? -1 : 1));
  }

  protected override reported(): number {
    return this.read().reduce((sum, { total }) => sum + total, 0);
  }
}

/** Bucket 0 is the length 0; bucket n has the lengths from 2^(n-1) on. See probes/hist.ts. */
function buckets(counts: Float64Array): Bucket[] {
  const first = counts.findIndex((count) => count > 0);
  const last = counts.findLastIndex((count) => count > 0);
  return Array.from(counts.subarray(first, last + 1), (count, i) => {
    const n = first + i;
    return { low: n === 0 ? 0 : 2 ** (n - 1), high: 2 ** n, count };
  });
}

/**
 * Counts the lengths of dropped packets, from now on.
 *
 * @throws SkbdropError: `usage` for a reason this kernel does not have, `permission`, `unsupported` (no BTF, and so
 *         no way to know where the length stands), `rejected`
 */
export function dropHistogram(options: HistogramOptions = {}): DropHistogram {
  const split = options.by === 'reason';
  return new DropHistogram(Session.open(options, (account) => new HistProbe(account, split)));
}

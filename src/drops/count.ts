import { CountProbe } from '../probes/count.ts';
import { Session, type WatchOptions } from './session.ts';
import { Watch } from './watch.ts';

export interface ReasonCount {
  /** The kernel's name. */
  readonly reason: string;
  /** The number behind it on this kernel; other kernels number otherwise. */
  readonly reasonNumber: number;
  readonly count: number;
}

/** Drops counted by reason, in the kernel. */
export class DropCounter extends Watch<CountProbe> {
  /** How many of each reason so far; the most frequent first, equal ones by name. */
  read(): readonly ReasonCount[] {
    const { probe, program, host } = this.session;
    const counts = [...probe.read(program).counts].map(([number, count]) => ({
      reason: host.reasons.name(number),
      reasonNumber: number,
      count,
    }));
    return counts.sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
  }

  protected override reported(): number {
    const { counts } = this.session.probe.read(this.session.program);
    return [...counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

/**
 * Counts drops by reason, from now on.
 *
 * @throws SkbdropError: `usage` for a reason this kernel does not have, `permission`, `unsupported`, `rejected`
 */
export function countDrops(options: WatchOptions = {}): DropCounter {
  return new DropCounter(Session.open(options, (account) => new CountProbe(account)));
}

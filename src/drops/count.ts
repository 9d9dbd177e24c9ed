import { formatPlace } from '../kernel/symbols.ts';
import { CountProbe } from '../probes/count.ts';
import { PlaceProbe } from '../probes/places.ts';
import { Session, type WatchOptions } from './session.ts';
import { Watch } from './watch.ts';

/** How many drops there were for one reason; on kernels that give none, at one place. */
export interface DropCount {
  /** The kernel's name; undefined on kernels that give no reason. */
  readonly reason: string | undefined;
  /** The number behind it on this kernel; other kernels number otherwise. */
  readonly reasonNumber: number | undefined;
  /** On kernels that give no reason: the function that gave the packets up, `tcp_v4_rcv+0x9d`. */
  readonly location?: string;
  readonly count: number;
}

/** Drops counted in the kernel: by reason, or by place where the kernel gives no reason. */
export class DropCounter extends Watch<CountProbe | PlaceProbe> {
  /** How many of each so far; the most frequent first, equal ones by name. */
  read(): readonly DropCount[] {
    const { probe, program } = this.session;
    const counts =
      probe instanceof CountProbe ? this.#byReason(probe.read(program).counts) : this.#byPlace(probe.read(program));
    return counts.sort((a, b) => b.count - a.count || (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  #byReason(counts: ReadonlyMap<number, number>): DropCount[] {
    const { reasons } = this.session.host;
    return [...counts].map(([number, count]) => ({
      reason: reasons.name(number),
      reasonNumber: number,
      count,
    }));
  }

  /** Two static functions may share a name; then they share a line. */
  #byPlace(counts: ReadonlyMap<bigint, number>): DropCount[] {
    const { symbols } = this.session.host;
    const merged = new Map<string, number>();
    for (const [address, count] of counts) {
      const location = formatPlace(symbols.findReturn(address), address);
      merged.set(location, count + (merged.get(location) ?? 0));
    }
    return [...merged].map(([location, count]) => ({ reason: undefined, reasonNumber: undefined, location, count }));
  }

  protected override reported(): number {
    const { probe, program } = this.session;
    const counts = probe instanceof CountProbe ? probe.read(program).counts : probe.read(program);
    return [...counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** What a count is of: the reason, or the place. */
export function nameOf({ reason, location }: Pick<DropCount, 'reason' | 'location'>): string {
  return reason ?? location ?? '';
}

/**
 * Counts drops by reason, from now on; by place on kernels that give no reason.
 *
 * @throws SkbdropError: `usage` for a reason this kernel does not have, `permission`, `unsupported`, `rejected`
 */
export function countDrops(options: WatchOptions = {}): DropCounter {
  return new DropCounter(
    Session.open(options, (account) => (account.context.hasReason ? new CountProbe(account) : new PlaceProbe(account))),
  );
}

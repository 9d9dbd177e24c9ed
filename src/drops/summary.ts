import type { ReasonTable } from '../kernel/reasons.ts';
import type { Books, LossWay } from '../probes/account.ts';

/** The books of a run, closed: passed = reported + lost, or `unaccounted` says by how much it is off. */
export interface Summary {
  /** Drops that reached the program. */
  readonly seen: number;
  /** Of those: left out by the filter, and come too late for the limit. */
  readonly filtered: number;
  readonly surplus: number;
  /** seen - filtered - surplus. */
  readonly passed: number;
  /** Of the passed: printed, or counted. */
  readonly reported: number;
  /** Of the passed: lost, and how. */
  readonly lost: number;
  readonly losses: readonly Loss[];
  /** passed - reported - lost. Anything but 0 is a fault of ours. */
  readonly unaccounted: number;
  /** Drops that the kernel never showed to the program, because it was running on that CPU already. */
  readonly missed: number;
}

export interface Loss {
  /** How: in the kernel; not read by whoever stopped reading (`unread`); read, and not written out (`output`). */
  readonly way: LossWay | 'unread' | 'output';
  /** The kernel's name; undefined for reasons of subsystems, which are counted together. */
  readonly reason: string | undefined;
  readonly count: number;
}

/** Closes the books. `unread` are drops that the kernel recorded and nobody fetched. */
export function summarize(
  books: Books,
  reported: number,
  missed: number,
  reasons: ReasonTable,
  unread: number = 0,
): Summary {
  const { seen, filtered, surplus } = books;
  const losses: Loss[] = books.lost.map(({ way, reason, count }) => ({
    way,
    reason: reason === undefined ? undefined : reasons.name(reason),
    count,
  }));
  if (unread > 0) losses.push({ way: 'unread', reason: undefined, count: unread });
  const lost = losses.reduce((sum, loss) => sum + loss.count, 0);
  const passed = seen - filtered - surplus;
  return {
    seen,
    filtered,
    surplus,
    passed,
    reported,
    lost,
    losses,
    unaccounted: passed - reported - lost,
    missed,
  };
}

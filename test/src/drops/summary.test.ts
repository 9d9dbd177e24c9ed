import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { summarize } from '../../../src/drops/summary.ts';
import { ReasonTable } from '../../../src/kernel/reasons.ts';
import { type Books, lossWays } from '../../../src/probes/account.ts';
import { kernelBtf } from '../../helpers/fake-host.ts';

const reasons = ReasonTable.fromBtf(kernelBtf(), () => []);
const books = (seen: number, filtered: number, surplus: number, lost: Books['lost'] = []): Books => ({
  seen,
  filtered,
  surplus,
  lost,
  counters: new Float64Array(),
});
const full = (reason: number | undefined, count: number) => ({ way: 'ring_full', reason, count }) as const;

describe('summarize', () => {
  test.each<[string, Books, [reported: number, missed: number, unread: number], object]>([
    ['nothing', books(0, 0, 0), [0, 0, 0], { passed: 0, reported: 0, lost: 0, unaccounted: 0, missed: 0, losses: [] }],
    ['all reported', books(10, 3, 2), [5, 0, 0], { passed: 5, lost: 0, unaccounted: 0 }],
    [
      'some lost',
      books(10, 0, 0, [full(3, 2), full(undefined, 1)]),
      [7, 0, 0],
      {
        passed: 10,
        lost: 3,
        unaccounted: 0,
        losses: [full('SKB_DROP_REASON_NO_SOCKET' as never, 2), full(undefined, 1)],
      },
    ],
    ['missed ones are beside the sum', books(10, 0, 0), [10, 4, 0], { passed: 10, missed: 4, unaccounted: 0 }],
    [
      'not read',
      books(10, 0, 0, [full(3, 2)]),
      [5, 0, 3],
      {
        lost: 5,
        unaccounted: 0,
        losses: [full('SKB_DROP_REASON_NO_SOCKET' as never, 2), { way: 'unread', reason: undefined, count: 3 }],
      },
    ],
    ['one too few', books(10, 0, 0), [9, 0, 0], { unaccounted: 1 }],
    ['one too many', books(10, 0, 0), [11, 0, 0], { unaccounted: -1 }],
  ])('%s', (_, kept, [reported, missed, unread], expected) => {
    expect(summarize(kept, reported, missed, reasons, unread)).toMatchObject(expected);
  });

  test('always: passed = reported + lost + unaccounted, and lost is the sum of the losses', () => {
    const loss = fc.record({
      way: fc.constantFrom(...lossWays),
      reason: fc.option(fc.nat(300), { nil: undefined }),
      count: fc.nat(1e6),
    });
    fc.assert(
      fc.property(
        fc.nat(1e9),
        fc.nat(1e6),
        fc.nat(1e6),
        fc.array(loss),
        fc.nat(1e9),
        fc.nat(100),
        (seen, filtered, surplus, lost, reported, unread) => {
          const summary = summarize(books(seen, filtered, surplus, lost), reported, 0, reasons, unread);
          expect(summary.seen).toBe(summary.filtered + summary.surplus + summary.passed);
          expect(summary.passed).toBe(summary.reported + summary.lost + summary.unaccounted);
          expect(summary.lost).toBe(summary.losses.reduce((sum, { count }) => sum + count, 0));
        },
      ),
    );
  });
});

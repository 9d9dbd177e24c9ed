import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Demo, recipes } from '../../src/demo/index.ts';
import { countDrops, type Drop, dropHistogram, dropStacks, traceDrops, UnknownReasonError } from '../../src/index.ts';
import { type Fd, observeFds } from '../../src/sys/fd.ts';
import { needRoot } from '../helpers/need.ts';
import { givesReasons } from '../helpers/reasonless.ts';

const REASON = 'IP_CSUM';
const FULL = 'SKB_DROP_REASON_IP_CSUM';

/** Provokes drops in a namespace of this thread's own. */
async function provoke(count: number): Promise<void> {
  const recipe = recipes.find(({ reasons }) => reasons.includes(REASON))!;
  using demo = Demo.open();
  await demo.run(recipe, count);
}

describe.skipIf(!needRoot() || !givesReasons())('the library', () => {
  let open: Set<Fd>;
  beforeEach(() => {
    open = new Set();
    observeFds({ opened: (fd) => open.add(fd), closed: (fd) => open.delete(fd) });
  });
  afterEach(() => {
    observeFds(undefined);
    expect([...open].map(({ what }) => what)).toEqual([]);
  });

  test('a loop over drops ends at the limit, and frees everything', async () => {
    const trace = traceDrops({ reasons: [REASON], limit: 3 });
    await provoke(10);
    const drops: Drop[] = [];
    for await (const drop of trace) drops.push(drop);
    expect(drops).toHaveLength(3);
    expect(drops[0]).toMatchObject({ reason: FULL, len: 48, protocol: 0x0800, device: { name: 'demo0' } });
    expect(Math.abs(drops[0]!.time / 1000 - Date.now())).toBeLessThan(60_000);
    expect(trace.summary()).toMatchObject({ passed: 3, reported: 3, surplus: 7, lost: 0, unaccounted: 0 });
  });

  test('a loop ends at its limit, also where part of it was lost', async () => {
    const trace = traceDrops({ reasons: [REASON], limit: 500, bufferSize: 4096 });
    const loop = (async () => {
      let count = 0;
      for await (const _ of trace) count++;
      return count;
    })();
    await provoke(5000);
    const count = await loop;
    expect(trace.summary()).toMatchObject({ passed: 500, reported: count, lost: 500 - count, unaccounted: 0 });
  });

  test('leaving the loop frees everything too, and what was not read is not called reported', async () => {
    const trace = traceDrops({ reasons: [REASON] });
    await provoke(10);
    for await (const _ of trace) break;
    expect(trace.summary()).toMatchObject({
      passed: 10,
      reported: 1,
      lost: 9,
      losses: [{ way: 'unread', count: 9 }],
      unaccounted: 0,
    });
  });

  test('drops that come while nobody loops are there when somebody does, until the ring is full', async () => {
    const trace = traceDrops({ reasons: [REASON], bufferSize: 4096 });
    await provoke(1000);
    trace.detach();
    let count = 0;
    for await (const _ of trace) count++;
    const { passed, reported, lost, unaccounted } = trace.summary();
    expect([passed, unaccounted]).toEqual([1000, 0]);
    expect(reported).toBe(count);
    expect(reported + lost).toBe(1000);
    expect(count).toBeGreaterThan(50);
  });

  test('a loop that waits is woken by a drop, and ended by detach()', async () => {
    using trace = traceDrops({ reasons: [REASON] });
    const seen: number[] = [];
    const loop = (async () => {
      for await (const drop of trace) {
        seen.push(drop.time);
        if (seen.length === 5) trace.detach();
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await provoke(5);
    await loop;
    expect(seen).toHaveLength(5);
  });

  test('countDrops', async () => {
    using counter = countDrops({ reasons: ['ip_csum'] });
    expect(counter.read()).toEqual([]);
    await provoke(17);
    expect(counter.read()).toMatchObject([{ reason: FULL, count: 17 }]);
    await provoke(3);
    counter.detach();
    await provoke(4);
    expect(counter.read()).toMatchObject([{ reason: FULL, count: 20 }]);
    expect(counter.summary()).toMatchObject({ passed: 20, reported: 20, lost: 0, unaccounted: 0 });
    counter.close();
    expect(counter.summary()).toMatchObject({ passed: 20, reported: 20 });
    counter.close();
  });

  test('dropHistogram', async () => {
    using histogram = dropHistogram({ reasons: [REASON], by: 'reason' });
    await provoke(9);
    expect(histogram.read()).toMatchObject([{ reason: FULL, total: 9, buckets: [{ low: 32, high: 64, count: 9 }] }]);
  });

  test('dropStacks', async () => {
    using stacks = dropStacks({ reasons: [REASON] });
    await provoke(9);
    const read = stacks.read();
    expect(read.reduce((sum, { count }) => sum + count, 0)).toBe(9);
    expect(read[0]).toMatchObject({ reason: FULL });
    expect(read[0]!.frames[0]!.text).toMatch(/^ip_rcv_core\+0x/);
  });

  test('what cannot be opened leaves nothing open', () => {
    expect(() => countDrops({ reasons: ['NOPE'] })).toThrow(UnknownReasonError);
    expect(() => traceDrops({ btf: '/etc/passwd' })).toThrow(/neither BTF nor an ELF file/);
    expect(() => traceDrops({ bufferSize: 2 ** 62 })).toThrow();
  });
});

import { describe, expect, test } from 'vitest';
import { Demo, recipes } from '../../src/demo/index.ts';
import { countDrops } from '../../src/index.ts';
import { TRACEPOINT } from '../../src/kernel/host.ts';
import { tracepointFormat } from '../../src/kernel/tracefs.ts';
import { attachModes } from '../../src/probes/context.ts';
import { PERF_ATTR_SIZE, perfEventAttr, Struct } from '../../src/sys/attr.ts';
import { Fd } from '../../src/sys/fd.ts';
import { syscall } from '../../src/sys/syscall.ts';
import { needRoot } from '../helpers/need.ts';

const PERF_TYPE_TRACEPOINT = 2;
const READ_U64 = 8;

/** A counter of the tracepoint's hits on all CPUs by this thread, as `perf stat -e skb:kfree_skb` opens it. */
function openCounter(): Fd {
  const { id } = tracepointFormat(`${TRACEPOINT.group}/${TRACEPOINT.name}`);
  const attr = new Struct(perfEventAttr, PERF_ATTR_SIZE, {
    type: PERF_TYPE_TRACEPOINT,
    size: PERF_ATTR_SIZE,
    config: id,
  });
  const [thisThread, anyCpu, noGroup, noFlags] = [0, -1, -1, 0];
  return new Fd(syscall('perf_event_open', [attr.bytes, thisThread, anyCpu, noGroup, noFlags]), 'counter');
}

function read(counter: Fd): number {
  const value = Buffer.alloc(READ_U64);
  syscall('read', [counter.fd, value, READ_U64]);
  return Number(value.readBigUInt64LE(0));
}

describe.skipIf(!needRoot())('who else counts the tracepoint goes on counting', () => {
  test.each(attachModes)('%s', async (attach) => {
    const recipe = recipes.find(({ reasons }) => reasons.includes('IP_CSUM'))!;
    using counter = openCounter();
    using drops = countDrops({ attach, reasons: ['IP_CSUM'] });
    using demo = Demo.open();
    const before = read(counter);
    await demo.run(recipe, 200);
    expect(read(counter) - before).toBeGreaterThanOrEqual(200);
    expect(drops.read()).toMatchObject([{ count: 200 }]);
  });
});

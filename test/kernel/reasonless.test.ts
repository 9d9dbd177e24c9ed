import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { attachRawTracepoint } from '../../src/bpf/link.ts';
import { loadProgram } from '../../src/bpf/program.ts';
import { openHost, TRACEPOINT } from '../../src/kernel/host.ts';
import { attachModes, dropContext } from '../../src/probes/context.ts';
import { PlaceProbe } from '../../src/probes/places.ts';
import { waitForRunningPrograms } from '../../src/sys/membarrier.ts';
import { demo, jsonLines, run, Scratch, skbdrop } from '../helpers/cli.ts';
import { needRoot } from '../helpers/need.ts';
import { btfWithoutReason, givesReasons } from '../helpers/reasonless.ts';

/**
 * Kernels that give no reason, or one that is made to look like them: its tracepoint carries a reason, and nobody says
 * so. Where tracefs says so, that cannot be hidden.
 */
const isRoot = needRoot();
const pretends = isRoot && givesReasons();
const modes = pretends ? attachModes.filter((mode) => mode !== 'tracepoint') : attachModes;

const scratch = new Scratch();
afterAll(() => scratch.remove());
const COUNT = 120;
/** Dropped at places of their own, with lengths of their own. */
const recipes = { IP_CSUM: 48, UNHANDLED_PROTO: 20, IPV6DISABLED: 68 } as const;
const names = Object.keys(recipes);

function btf(): readonly string[] {
  if (!pretends) return [];
  const file = scratch.file('btf');
  writeFileSync(file, btfWithoutReason());
  return ['--btf', file];
}

async function watch(words: readonly string[], provoke: readonly string[] = demo(names, COUNT)) {
  const file = scratch.file('out');
  const ended = await run([...skbdrop, ...words, ...btf(), '-f', 'json', '-o', file, '--', ...provoke]);
  const lines = jsonLines(readFileSync(file, 'utf8'));
  return { ...ended, summary: lines.at(-1)!, lines: lines.slice(0, -1) };
}

const SAID = 'this kernel gives no reason for a drop (Linux 5.17 and later do)';

describe.skipIf(!isRoot)('where the kernel gives no reason', () => {
  describe.each(modes)('%s', (mode) => {
    test('top counts by function, and says so once', async () => {
      const { lines, summary, status, stderr } = await watch(['top', '--attach', mode]);
      expect(status).toBe(0);
      expect(stderr.split(SAID)).toHaveLength(2);
      const counts = lines.at(-1)!.counts as { reason?: string; location: string; count: number }[];
      expect(counts.every((entry) => !('reason' in entry))).toBe(true);
      // Others may drop packets too, though hardly as many at one place.
      expect(counts.filter(({ count }) => count === COUNT).length).toBeGreaterThanOrEqual(names.length);
      expect(counts.some(({ location, count }) => location.startsWith('ip_rcv_core+') && count === COUNT)).toBe(true);
      expect(summary).toMatchObject({ lost: 0, unaccounted: 0, filtered: 0, losses: [] });
    });

    test('trace prints drops without a reason', async () => {
      const { lines, summary, stderr } = await watch(['trace', '--attach', mode]);
      expect(stderr.split(SAID)).toHaveLength(2);
      expect(lines.every((line) => !('reason' in line))).toBe(true);
      for (const length of Object.values(recipes)) {
        const drops = lines.filter(({ len, iface }) => len === length && iface === 'demo0');
        expect(drops).toHaveLength(COUNT);
        expect(new Set(drops.map(({ location }) => location)).size).toBe(1);
      }
      expect(summary).toMatchObject({ lost: 0, unaccounted: 0 });
    });

    test('hist counts lengths', async () => {
      const { lines, summary } = await watch(['hist', '--attach', mode]);
      const [{ total, buckets }] = lines as unknown as [{ total: number; buckets: { low: number; count: number }[] }];
      expect(total).toBe(summary.passed);
      for (const length of Object.values(recipes)) {
        const low = 2 ** Math.floor(Math.log2(length));
        expect(buckets.find((bucket) => bucket.low === low)!.count).toBeGreaterThanOrEqual(COUNT);
      }
      expect(summary).toMatchObject({ lost: 0, unaccounted: 0 });
    });

    test('stacks counts the stacks of all drops', async () => {
      const { lines, summary } = await watch(['stacks', '--attach', mode]);
      const stacks = lines[0]!.stacks as { count: number; frames: string[] }[];
      const own = stacks.filter(({ frames }) => frames[0]!.startsWith('ip_rcv_core+'));
      expect(own.reduce((sum, { count }) => sum + count, 0)).toBe(COUNT);
      expect(stacks.every((stack) => !('reason' in stack))).toBe(true);
      expect(summary).toMatchObject({ lost: 0, unaccounted: 0, filtered: 0 });
    });

    test('-n is exact', async () => {
      const { summary, status } = await watch(['top', '--attach', mode, '-n', '7']);
      expect(status).toBe(0);
      expect(summary).toMatchObject({ passed: 7, reported: 7, lost: 0, unaccounted: 0 });
    });

    test('what a full buffer loses is counted, under no reason', async () => {
      const { summary } = await watch(
        ['trace', '--attach', mode, '--buffer-size', '4k'],
        ['sh', '-c', `${demo(['UNHANDLED_PROTO'], 50_000).join(' ')} >/dev/null`],
      );
      const { passed, reported, lost, unaccounted } = summary as Record<string, number>;
      expect(passed).toBeGreaterThanOrEqual(50_000);
      expect(unaccounted).toBe(0);
      expect(reported! + lost!).toBe(passed);
      expect(summary.losses).toEqual([{ way: 'ring_full', count: lost }]);
    });
  });

  test('text has no column for it', async () => {
    const ended = await run([...skbdrop, 'trace', ...btf(), '--', ...demo(['IP_CSUM'], 2)]);
    expect(ended.stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{6} +48 IPv4 +demo0 +ip_rcv_core\+0x[0-9a-f]+$/m);
  });

  test.each([
    [['top', '-r', 'NO_SOCKET'], 'so none can be chosen'],
    [['trace', '-R', 'TCP_*'], 'so none can be chosen'],
    [['stacks', '-r', 'NOT_SPECIFIED'], 'so none can be chosen'],
    [['hist', '--by', 'reason'], 'so lengths cannot be told apart by reason'],
    [['top', '-f', 'bpftrace'], 'and the bpftrace program that top follows prints args->reason'],
    [['trace', '-f', 'bpftrace'], 'and the bpftrace program that trace follows prints args->reason'],
  ])('%j ends with 3 and a sentence', async (words, so) => {
    const { status, stderr } = await run([...skbdrop, ...words, ...btf(), '-d', '10s']);
    expect(status).toBe(3);
    expect(stderr).toContain(`skbdrop: ${SAID}, ${so}\n         Without `);
  });

  test.each([[['stacks', '-r', '*']], [['stacks', '-f', 'bpftrace']], [['hist', '-f', 'bpftrace']]])(
    '%j works as ever',
    async (words) => {
      const { status } = await run([...skbdrop, ...words, ...btf(), '--', 'true']);
      expect(status).toBe(0);
    },
  );
});

describe.skipIf(!isRoot)('where nothing fetches atomically', () => {
  test('the limit is exact, also when two CPUs drop at once', async () => {
    const context = dropContext('raw_tp', openHost());
    const limit = 1000;
    const account = {
      context,
      filter: { kind: 'all' },
      limit,
      guardsReentry: false,
      fetchesAtomically: false,
    } as const;
    const probe = new PlaceProbe(account);
    using program = loadProgram(probe.spec);
    const link = attachRawTracepoint(program, TRACEPOINT.name);
    await Promise.all([run(demo(['IP_CSUM'], 2 * limit)), run(demo(['IP_INHDR'], 2 * limit))]);
    link.close();
    waitForRunningPrograms();
    const { seen, surplus } = probe.readBooks(program);
    const counted = [...probe.read(program).values()].reduce((sum, count) => sum + count, 0);
    expect(seen).toBeGreaterThanOrEqual(4 * limit);
    expect([seen - surplus, counted]).toEqual([limit, limit]);
  });
});

// Without BTF nothing can be made to look as if there were no reason: npm run vm -- 5.10 -- npm run test:kernel.
if (!pretends) {
  describe.skipIf(!isRoot)('where there is neither reason nor BTF', () => {
    const hideBtf = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', 'sh'];

    test.each(['raw_tp', 'tracepoint'])('%s finds out that there is none', async (mode) => {
      const words = [...hideBtf, ...skbdrop, 'top', '--attach', mode, '-n', '3', '--', ...demo(['IP_CSUM'], 5)];
      const { status, stdout, stderr } = await run(words);
      expect(stderr).toContain(SAID);
      expect(stdout).toMatch(/^ip_rcv_core\+0x[0-9a-f]+ +3 /m);
      expect(status).toBe(0);
    });
  });
}

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { recipes } from '../../src/demo/index.ts';
import { attachModes } from '../../src/probes/context.ts';
import { demo, jsonLines, run, Scratch, skbdrop } from '../helpers/cli.ts';
import { needRoot } from '../helpers/need.ts';
import { givesReasons } from '../helpers/reasonless.ts';

/** Reasons that nothing else on a host in its right mind produces, so that the numbers are the demo's alone. */
const reasons = ['IP_CSUM', 'UDP_CSUM', 'UNHANDLED_PROTO', 'IP_NOPROTO', 'PKT_TOO_SMALL', 'TCP_OLD_DATA'] as const;
const full = reasons.map((reason) => `SKB_DROP_REASON_${reason}`);
const filter = ['-r', reasons.join(',')];
const COUNT = 120;
const TOTAL = COUNT * reasons.length;

const lengths = new Map(
  reasons.map((reason) => [
    `SKB_DROP_REASON_${reason}`,
    recipes.find((recipe) => recipe.reasons.includes(reason))?.length ?? Number.NaN,
  ]),
);

const scratch = new Scratch();
afterAll(() => scratch.remove());

/** Runs a command on the drops of the demo; its JSON without the summary, and the summary. */
async function watch(command: readonly string[], mode: string, wanted: readonly string[] = reasons) {
  const file = scratch.file('out');
  const words = [...skbdrop, ...command, '--attach', mode, '-f', 'json', '-o', file, '--fail-on-loss'];
  const ended = await run([...words, '--', ...demo(wanted, COUNT)]);
  const lines = jsonLines(readFileSync(file, 'utf8'));
  return { ...ended, summary: lines.at(-1), lines: lines.slice(0, -1) };
}

describe.skipIf(!needRoot() || !givesReasons())('the four commands, on each way to attach', () => {
  describe.each(attachModes)('%s', (mode) => {
    test('trace prints each drop, with its reason, length, protocol, interface and function', async () => {
      const { lines, summary, status, stderr } = await watch(['trace', ...filter], mode);
      expect(stderr).toContain(`skbdrop: attached kfree_skb (${mode}), kernel `);
      expect(status).toBe(0);
      expect(summary).toMatchObject({ passed: TOTAL, reported: TOTAL, lost: 0, unaccounted: 0, missed: 0 });
      expect(lines).toHaveLength(TOTAL);
      for (const reason of full) {
        const drops = lines.filter((line) => line.reason === reason);
        expect(drops).toHaveLength(COUNT);
        for (const drop of drops) {
          expect(drop).toMatchObject({ type: 'drop', len: lengths.get(reason) });
          expect(drop.location).toMatch(/^[\w.]+\+0x[0-9a-f]+/);
          expect(drop.protocol).toBe(reason.endsWith('UNHANDLED_PROTO') ? 0x88b5 : 0x0800);
          // In a connection's queue the packet has forgotten its device, and only the index is left.
          if (reason.endsWith('TCP_OLD_DATA')) expect(drop).not.toHaveProperty('iface');
          else expect(drop).toMatchObject({ iface: 'demo0', ifindex: expect.any(Number) });
          expect(drop.iif).toBeGreaterThan(0);
        }
      }
      const times = lines.map((line) => Date.parse(String(line.time)));
      expect(times.every((time, i) => i === 0 || time >= times[i - 1]!)).toBe(true);
      expect(Math.abs(times[0]! - Date.now())).toBeLessThan(600_000);
    });

    test('top counts by reason', async () => {
      const { lines, summary, status } = await watch(
        // Reading maps keeps a program on the tracepoint itself from running: there it is read once, at the end.
        ['top', ...filter, '-i', mode === 'tracepoint' ? '1h' : '100ms'],
        mode,
      );
      expect(status).toBe(0);
      expect(summary).toMatchObject({ passed: TOTAL, reported: TOTAL, lost: 0, unaccounted: 0 });
      const last = lines.at(-1)!;
      expect(last).toMatchObject({ type: 'counts', total: TOTAL });
      const counts = last.counts as { reason: string; count: number }[];
      expect(counts.map(({ reason, count }) => [reason, count]).sort()).toEqual(
        full.map((reason) => [reason, COUNT]).sort(),
      );
      const totals = lines.map((line) => Number(line.total));
      expect(totals.every((total, i) => i === 0 || total >= totals[i - 1]!)).toBe(true);
    });

    test('hist counts lengths, together and by reason', async () => {
      const all = await watch(['hist', ...filter], mode);
      expect(all.summary).toMatchObject({ passed: TOTAL, reported: TOTAL, lost: 0, unaccounted: 0 });
      expect(all.lines).toHaveLength(1);
      const expected = new Map<number, number>();
      for (const length of lengths.values()) {
        const low = 2 ** Math.floor(Math.log2(length));
        expected.set(low, (expected.get(low) ?? 0) + COUNT);
      }
      const buckets = (line: Record<string, unknown> | undefined) =>
        ((line?.buckets ?? []) as { low: number; high: number; count: number }[]).filter(({ count }) => count > 0);
      expect(new Map(buckets(all.lines[0]).map(({ low, count }) => [low, count]))).toEqual(expected);

      const split = await watch(['hist', '--by', 'reason', ...filter], mode);
      expect(split.summary).toMatchObject({ passed: TOTAL, reported: TOTAL, lost: 0, unaccounted: 0 });
      expect(split.lines.map((line) => line.reason).sort()).toEqual([...full].sort());
      for (const line of split.lines) {
        const low = 2 ** Math.floor(Math.log2(lengths.get(String(line.reason))!));
        expect(buckets(line)).toEqual([{ low, high: 2 * low, count: COUNT }]);
      }
    });

    test('stacks counts stacks, from the function that dropped outwards', async () => {
      const { lines, summary } = await watch(['stacks', ...filter], mode);
      expect(summary).toMatchObject({ passed: TOTAL, reported: TOTAL, lost: 0, unaccounted: 0 });
      const stacks = lines[0]!.stacks as { reason: string; count: number; frames: string[] }[];
      for (const reason of full) {
        const own = stacks.filter((stack) => stack.reason === reason);
        expect(own.reduce((sum, { count }) => sum + count, 0)).toBe(COUNT);
        for (const { frames } of own) {
          expect(frames.length).toBeGreaterThan(3);
          // Neither the tracepoint's machinery nor our program is part of the story.
          expect(frames[0]).not.toMatch(/bpf|trace|kfree_skb|sk_skb_reason_drop/);
        }
      }
    });
  });

  test('a reason that is left out is counted as filtered, and nothing else of it', async () => {
    const wanted = ['IP_CSUM', 'UDP_CSUM'];
    const { lines, summary } = await watch(['top', '-r', 'IP_CSUM,UDP_CSUM', '-R', 'udp_*'], 'auto', wanted);
    const counts = lines.at(-1)!.counts as { reason: string; count: number }[];
    expect(counts.map(({ reason, count }) => [reason, count])).toEqual([['SKB_DROP_REASON_IP_CSUM', COUNT]]);
    const { seen, filtered, passed } = summary as Record<string, number>;
    expect(filtered).toBeGreaterThanOrEqual(COUNT);
    expect(seen).toBe(filtered! + passed!);
  });

  test.each(['trace', 'top', 'hist', 'stacks'])('%s stops after -n drops, no more and no fewer', async (command) => {
    const { summary, lines, status } = await watch([command, '-n', '7', '-r', 'IP_CSUM'], 'auto', ['IP_CSUM']);
    expect(status).toBe(0);
    expect(summary).toMatchObject({ passed: 7, reported: 7, lost: 0, unaccounted: 0 });
    if (command === 'trace') expect(lines).toHaveLength(7);
  });

  test('stacks without -r counts what has no reason', async () => {
    const { summary } = await watch(['stacks'], 'auto', ['IP_CSUM']);
    expect(Number(summary?.filtered)).toBeGreaterThanOrEqual(COUNT);
  });
});

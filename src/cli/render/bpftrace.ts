import type { DropCount } from '../../drops/count.ts';
import type { DropFacts } from '../../drops/drop.ts';
import type { Histogram } from '../../drops/histogram.ts';
import type { DropStack, StackFrame } from '../../drops/stacks.ts';

/**
 * What bpftrace 0.27 prints for the four programs that skbdrop grew from, to the byte. In them the counts are a map
 * without a name (`@`), the lengths one named `@skb_len`, and each report begins by clearing the screen.
 */

/** print("\033[H\033[J"); */
export const clearScreen = '\x1b[H\x1b[J\n';

/** What comes before the maps that are printed at the end of every program. */
export const beforeLastMaps = '\n\n';

/** print(args->reason), which has no time. */
export function reasonLine(facts: DropFacts): () => string {
  const line = `${coreName(facts)}\n`;
  return () => line;
}

/** bpftrace knows the core's enum, and prints the numbers of all other reasons. */
function coreName({ reason = '', reasonNumber }: Pick<DropFacts, 'reason' | 'reasonNumber'>): string {
  return /^SKB_/.test(reason) ? reason : String(reasonNumber);
}

/** `@[reason]: count`, the most frequent last. */
export function countsMap(counts: readonly DropCount[]): string {
  return [...counts]
    .sort((a, b) => a.count - b.count)
    .map((entry) => `@[${coreName(entry)}]: ${entry.count}\n`)
    .join('');
}

const BAR = 52;

/** hist(): for each reason, where they are told apart, the fullest last. */
export function histogramMap(histograms: readonly Histogram[]): string {
  return [...histograms]
    .sort((a, b) => a.total - b.total)
    .map(oneHistogram)
    .join('');
}

/** Every bucket from the first that is not empty to the last. */
function oneHistogram(histogram: Histogram): string {
  const most = Math.max(...histogram.buckets.map(({ count }) => count));
  const lines = histogram.buckets.map(({ low, high, count }) => {
    const range = high - low === 1 ? `[${low}]` : `[${power(low)}, ${power(high)})`;
    // In single precision, as bpftrace does it (src/output/text.cpp): 15 of 26 are 30 columns, not 29.
    const share = Math.fround(Math.fround(count) / Math.fround(most));
    const bar = '@'.repeat(Math.floor(Math.fround(share * BAR)));
    return `${range.padEnd(16)}${String(count).padStart(8)} |${bar.padEnd(BAR)}|\n`;
  });
  const { reason, reasonNumber } = histogram;
  const key = reason === undefined || reasonNumber === undefined ? '' : `[${coreName({ reason, reasonNumber })}]`;
  return `@skb_len${key}:\n${lines.join('')}\n`;
}

/** 1024 is `1K`. */
function power(value: number): string {
  for (const [size, suffix] of [
    [2 ** 30, 'G'],
    [2 ** 20, 'M'],
    [2 ** 10, 'K'],
  ] as const) {
    if (value >= size) return `${value / size}${suffix}`;
  }
  return String(value);
}

/** `@[kstack]: count`, the most frequent last. The reason is no part of the key: equal stacks are one. */
export function stacksMap(stacks: readonly DropStack[]): string {
  const counts = new Map<string, number>();
  for (const { head, frames, count } of stacks) {
    const lines = [...visibleHead(head), ...frames].map((frame) => `        ${frameText(frame)}\n`).join('');
    counts.set(lines, (counts.get(lines) ?? 0) + count);
  }
  return [...counts]
    .sort(([, a], [, b]) => a - b)
    .map(([lines, count]) => `@[\n${lines}]: ${count}\n`)
    .join('');
}

/**
 * A program on the tracepoint itself sees the stack from the function that called it; raw tracepoints begin with the
 * program and what ran it.
 */
function visibleHead(head: readonly StackFrame[]): readonly StackFrame[] {
  const machinery = /^(bpf_prog_[0-9a-f]{16}_|bpf_trace_run\d+$|__bpf_trace_)/;
  const last = head.findLastIndex(({ place }) => place === undefined || machinery.test(place.name));
  return head.slice(last + 1);
}

/** bpftrace's offsets are decimal, and it names no module. */
function frameText({ place, text }: StackFrame): string {
  return place === undefined ? text : `${place.name}+${place.offset}`;
}

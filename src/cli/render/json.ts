import type { DropCount } from '../../drops/count.ts';
import type { DropFacts } from '../../drops/drop.ts';
import type { Histogram } from '../../drops/histogram.ts';
import type { DropStack } from '../../drops/stacks.ts';
import type { Summary } from '../../drops/summary.ts';
import type { Rate } from './text.ts';
import { rfc3339 } from './time.ts';

/** What programs read: one object a line. docs/json.md has the schema, and a test holds every line against it. */

function line(object: Record<string, unknown>): string {
  return `${JSON.stringify(object)}\n`;
}

/** A line for each drop with these facts, given its time. */
export function dropJson({ reason, location, len, protocol, device, iif }: DropFacts): (time: number) => string {
  const rest = line({
    reason,
    len,
    protocol,
    iface: device?.name,
    ifindex: device?.ifindex,
    netns: device?.netns,
    iif,
    location,
  }).slice(1);
  return (time) => `{"type":"drop","time":"${rfc3339(time)}",${rest}`;
}

/** @param seconds since the last report, which the rates are for */
export function countsJson(time: number, seconds: number, counts: readonly Rate[]): string {
  return line({
    type: 'counts',
    time: rfc3339(time),
    interval: round(seconds),
    total: sum(counts),
    counts: counts.map(({ reason, location, count, rate }) => ({ reason, location, count, rate: round(rate) })),
  });
}

export function histogramJson(time: number, { reason, total, buckets }: Histogram): string {
  return line({ type: 'histogram', time: rfc3339(time), of: 'len', unit: 'bytes', reason, total, buckets });
}

export function stacksJson(time: number, stacks: readonly DropStack[]): string {
  return line({
    type: 'stacks',
    time: rfc3339(time),
    total: sum(stacks),
    stacks: stacks.map(({ reason, count, frames }) => ({ reason, count, frames: frames.map(({ text }) => text) })),
  });
}

export function summaryJson(summary: Summary): string {
  const { seen, filtered, surplus, passed, reported, lost, losses, missed, unaccounted } = summary;
  return line({ type: 'summary', seen, filtered, surplus, passed, reported, lost, losses, missed, unaccounted });
}

function sum(counts: readonly Pick<DropCount, 'count'>[]): number {
  return counts.reduce((total, { count }) => total + count, 0);
}

/** Three decimals are all that a clock of milliseconds gives. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

import { type DropCount, nameOf } from '../../drops/count.ts';
import type { DropFacts } from '../../drops/drop.ts';
import type { Histogram } from '../../drops/histogram.ts';
import type { DropStack } from '../../drops/stacks.ts';
import type { Summary } from '../../drops/summary.ts';
import { shortName } from '../../kernel/reasons.ts';
import { clockTime } from './time.ts';

/** What people read. Numbers have thousands separated by commas; what is not known is a dash. */

const UNKNOWN = '-';

/** @param hasReasons whether this kernel gives any: there is no column where there is nothing to put in it */
export function traceHeader(hasReasons: boolean): string {
  const reason = hasReasons ? 'REASON' : undefined;
  return `${'TIME'.padEnd(15)} ${traceColumns(reason, 'LEN', 'PROTO', 'IFACE', 'FUNCTION')}`;
}

/** A line for each drop with these facts, given its time: reason, length, protocol, interface, function. */
export function dropText(facts: DropFacts): (time: number) => string {
  const columns = traceColumns(
    facts.reason === undefined ? undefined : shortName(facts.reason),
    facts.len === undefined ? UNKNOWN : String(facts.len),
    protocolName(facts.protocol),
    interfaceName(facts),
    facts.location,
  );
  return (time) => `${clockTime(time)} ${columns}`;
}

function traceColumns(reason: string | undefined, len: string, protocol: string, iface: string, place: string): string {
  const first = reason === undefined ? '' : `${reason.padEnd(20)} `;
  return `${first}${len.padStart(6)} ${protocol.padEnd(6)} ${iface.padEnd(8)} ${place}\n`;
}

/** EtherTypes that have a name people know (include/uapi/linux/if_ether.h). */
const protocols: Readonly<Record<number, string>> = {
  1: '802.3',
  4: '802.2',
  2048: 'IPv4',
  2054: 'ARP',
  32821: 'RARP',
  33024: 'VLAN',
  34525: 'IPv6',
  34887: 'MPLS',
  34915: 'PPPoED',
  34916: 'PPPoE',
  34958: 'EAPOL',
  34984: 'QinQ',
  35020: 'LLDP',
  35045: 'MACsec',
  35063: 'PTP',
};

/** `IPv4`; `0x88b5` for one without a name. */
export function protocolName(protocol: number | undefined): string {
  if (protocol === undefined) return UNKNOWN;
  return protocols[protocol] ?? `0x${protocol.toString(16).padStart(4, '0')}`;
}

/** The interface's name; `if#3` where only the index of the one it came in by is known; else a dash. */
function interfaceName({ device, iif }: DropFacts): string {
  return device?.name ?? (iif === undefined ? UNKNOWN : `if#${iif}`);
}

/** A row of `top`. */
export interface Rate extends DropCount {
  /** Per second, over the last interval. */
  readonly rate: number;
}

/** The table of `top`: reason (or function), count, rate and share, in at most `rows` lines. */
export function countsText(counts: readonly Rate[], rows: number = Number.POSITIVE_INFINITY): string {
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const width = Math.max(24, ...counts.map((entry) => shortName(nameOf(entry)).length));
  if (counts.length === 0) return '';
  const [what, many] = counts[0]!.reason === undefined ? ['FUNCTION', 'functions'] : ['REASON', 'reasons'];
  const line = (name: string, count: string, rate: string, share: string): string =>
    `${name.padEnd(width)} ${count.padStart(13)} ${rate.padStart(11)} ${share.padStart(7)}\n`;
  const shown = counts.length <= rows - 1 ? counts : counts.slice(0, Math.max(rows - 2, 0));
  const text = shown.map((entry) =>
    line(shortName(nameOf(entry)), number(entry.count), rateText(entry.rate), percent(entry.count, total)),
  );
  const hidden = counts.slice(shown.length);
  if (hidden.length > 0) {
    const sum = hidden.reduce((sum, { count }) => sum + count, 0);
    const rate = hidden.reduce((sum, { rate }) => sum + rate, 0);
    text.push(line(`… ${hidden.length} more ${many}`, number(sum), rateText(rate), percent(sum, total)));
  }
  return line(what, 'COUNT', 'RATE/S', 'SHARE') + text.join('');
}

function rateText(rate: number): string {
  return rate > 0 && rate < 10 ? rate.toFixed(1) : number(Math.round(rate));
}

const BAR = 40;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A histogram with lengths in bytes; `unicode`: whether bars may use block characters. */
export function histogramText({ reason, buckets, total }: Histogram, unicode: boolean): string {
  const title = reason === undefined ? '' : `${shortName(reason)}: `;
  const most = Math.max(...buckets.map(({ count }) => count));
  const lines = buckets.map(({ low, high, count }) => {
    const range = high - low === 1 ? String(low) : `${low} - ${high - 1}`;
    const columns = `${range.padStart(23)} ${number(count).padStart(13)} ${percent(count, total).padStart(7)}`;
    return `${columns}  ${bar(count / most, unicode)}`.trimEnd();
  });
  const header = `${'BYTES'.padStart(23)} ${'COUNT'.padStart(13)} ${'SHARE'.padStart(7)}`;
  return `${title}skb->len of ${number(total)} ${total === 1 ? 'drop' : 'drops'}\n${header}\n${lines.join('\n')}\n`;
}

function bar(share: number, unicode: boolean): string {
  if (!unicode) return '#'.repeat(Math.round(share * BAR));
  const eighths = Math.round(share * BAR * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!;
}

/** A stack: how often, why where that is known, and the frames from the function that dropped outwards. */
export function stackText({ reason, count, frames }: DropStack, total: number): string {
  const lines = frames.map(({ text }) => `    ${text}\n`).join('');
  const why = reason === undefined ? '' : ` ${shortName(reason)}`;
  return `${number(count)} ×${why} (${percent(count, total)})\n${lines}`;
}

const lossNames = {
  ring_full: 'the buffer was full',
  map_full: 'the map was full',
  stack_collision: 'two stacks had one place',
  stack_unreadable: 'the stack could not be read',
  unread: 'nobody read them',
  output: 'the output did not take them',
} as const;

/** The books, in a sentence. */
export function summaryText(summary: Summary, verb: 'printed' | 'counted'): string {
  const { seen, filtered, surplus, reported, lost, losses, missed, unaccounted } = summary;
  const parts = [`${number(seen)} ${seen === 1 ? 'drop' : 'drops'} seen`];
  if (filtered > 0) parts.push(`${number(filtered)} filtered out`);
  if (surplus > 0) parts.push(`${number(surplus)} after the limit`);
  parts.push(`${number(reported)} ${verb}`, `${number(lost)} lost`);
  const ways = new Map<string, string[]>();
  for (const { way, reason, count } of losses) {
    const what = `${number(count)}${reason === undefined ? '' : ` ${shortName(reason)}`}`;
    ways.set(lossNames[way], [...(ways.get(lossNames[way]) ?? []), what]);
  }
  const because = [...ways].map(([way, counts]) => `${way}: ${counts.join(', ')}`);
  if (because.length > 0) parts.push(`(${because.join('; ')})`);
  let text = parts.join(', ').replace(', (', ' (');
  if (missed > 0) text += `; ${number(missed)} more were never shown to the probe, because it was running on that CPU`;
  if (unaccounted !== 0) text += `; ${number(unaccounted)} are not accounted for, which is a fault in skbdrop`;
  return text;
}

/** `1,234,567`. By hand: Intl takes longer to load than everything else in this file. */
export function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

function percent(part: number, whole: number): string {
  return whole === 0 ? UNKNOWN : `${((100 * part) / whole).toFixed(1)}%`;
}

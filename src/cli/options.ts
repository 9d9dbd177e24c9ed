import { type AttachMode, attachModes } from '../probes/attach-mode.ts';
import { SkbdropError } from '../sys/errors.ts';

/** What every command that watches drops was told, checked. */
export interface CommonOptions {
  /** A command to run while watching: `sh -c` of a line, or words as they are. */
  readonly child: readonly string[] | undefined;
  /** Milliseconds. */
  readonly duration: number | undefined;
  readonly interval: number | undefined;
  readonly count: number | undefined;
  readonly reasons: readonly string[];
  readonly notReasons: readonly string[];
  readonly format: Format;
  readonly output: string | undefined;
  readonly attach: AttachMode | 'auto';
  readonly btf: string | undefined;
  readonly readyFile: string | undefined;
  readonly failOnLoss: boolean;
  readonly verbose: boolean;
  readonly quiet: boolean;
}

export const formats = ['text', 'json', 'bpftrace'] as const;
export type Format = (typeof formats)[number];

export const attachChoices: readonly string[] = ['auto', ...attachModes];

/** As commander hands them over. */
export interface RawOptions {
  readonly cmd?: string;
  readonly duration?: string;
  readonly interval?: string;
  readonly count?: string;
  readonly reason?: readonly string[];
  readonly notReason?: readonly string[];
  readonly format?: string;
  readonly output?: string;
  readonly attach?: string;
  readonly btf?: string;
  readonly readyFile?: string;
  readonly failOnLoss?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

/**
 * Checks what the user wrote.
 *
 * @param words what stood behind `--`
 * @throws SkbdropError `usage`
 */
export function commonOptions(raw: RawOptions, words: readonly string[] | undefined): CommonOptions {
  if (raw.cmd !== undefined && words !== undefined) {
    throw new SkbdropError('usage', 'a command was given twice: with -c, and behind --');
  }
  if (words !== undefined && words.length === 0) throw new SkbdropError('usage', 'no command behind --');
  return {
    child: raw.cmd === undefined ? words : ['/bin/sh', '-c', raw.cmd],
    duration: raw.duration === undefined ? undefined : parseTime(raw.duration, '--duration'),
    interval: raw.interval === undefined ? undefined : parseTime(raw.interval, '--interval'),
    count: raw.count === undefined ? undefined : parseCount(raw.count, '--count'),
    reasons: names(raw.reason, '--reason'),
    notReasons: names(raw.notReason, '--not-reason'),
    format: (raw.format ?? 'text') as Format,
    output: raw.output,
    attach: (raw.attach ?? 'auto') as AttachMode | 'auto',
    btf: raw.btf,
    readyFile: raw.readyFile,
    failOnLoss: raw.failOnLoss ?? false,
    verbose: raw.verbose ?? false,
    quiet: raw.quiet ?? false,
  };
}

/** Lists may be repeated and separated by commas: `-r A,B -r C`. An empty one is a mistake, and not "all". */
function names(lists: readonly string[] | undefined, option: string): readonly string[] {
  if (lists === undefined) return [];
  const empty = lists.find((list) => !/[^,\s]/.test(list));
  if (empty !== undefined) throw new SkbdropError('usage', `${option} ${JSON.stringify(empty)} names no reason`);
  return lists
    .flatMap((list) => list.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** setTimeout() takes no more: 2^31 - 1 milliseconds, 24 days. */
const LONGEST = 2 ** 31 - 1;

/**
 * Milliseconds in `500ms`, `10s`, `1.5m`, `2h`; a number alone is seconds.
 *
 * @throws SkbdropError `usage`
 */
export function parseTime(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  const milliseconds = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2] ?? 's']!;
  if (!(milliseconds >= 1 && milliseconds <= LONGEST)) {
    throw new SkbdropError('usage', `${option} ${JSON.stringify(text)} is not a time`, {
      hint: 'Times are written 500ms, 10s, 5m or 2h; the shortest is 1ms, the longest 24 days',
    });
  }
  return milliseconds;
}

/** @throws SkbdropError `usage` for anything but a whole number from 1 on */
export function parseCount(text: string, option: string): number {
  const number = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(number >= 1 && number <= MAX_COUNT)) {
    throw new SkbdropError('usage', `${option} ${JSON.stringify(text)} is not a whole number from 1 to ${MAX_COUNT}`);
  }
  return number;
}

/** The limit is an immediate of a BPF instruction: 31 bits. */
const MAX_COUNT = 2 ** 31 - 1;

const SIZES: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const LARGEST_BUFFER = 2 ** 30;

/**
 * Bytes in `65536`, `512k`, `8M`.
 *
 * @throws SkbdropError `usage`
 */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+)([kmg]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = match === null ? Number.NaN : Number(match[1]) * SIZES[match[2]!.toLowerCase()]!;
  if (!(bytes >= 1 && bytes <= LARGEST_BUFFER)) {
    throw new SkbdropError('usage', `${option} ${JSON.stringify(text)} is not a size`, {
      hint: 'Sizes are written 65536, 512k or 8M; the largest is 1G',
    });
  }
  return bytes;
}

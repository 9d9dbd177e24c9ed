import { type ReasonTable, shortName } from '../kernel/reasons.ts';
import type { ReasonFilter } from '../probes/reason-filter.ts';
import { SkbdropError } from '../sys/errors.ts';

/** A name or pattern that no reason of this kernel matches. */
export class UnknownReasonError extends SkbdropError {
  readonly pattern: string;
  /** Reasons with similar names, the most similar first. */
  readonly nearest: readonly string[];

  constructor(pattern: string, nearest: readonly string[]) {
    super('usage', `this kernel has no drop reason ${JSON.stringify(pattern)}`, {
      ...(nearest.length === 0 ? {} : { hint: `Did you mean ${nearest.join(', ')}?` }),
    });
    this.pattern = pattern;
    this.nearest = nearest;
  }
}

/** Every reason, also those without a name. */
export const ALL = '*';

export interface Selection {
  readonly reasons?: readonly string[] | undefined;
  readonly notReasons?: readonly string[] | undefined;
}

/**
 * The numbers behind names and patterns, as a filter for the kernel. With both lists, a reason passes that is kept
 * and not left out.
 *
 * @throws UnknownReasonError where a pattern matches no reason of this kernel
 */
export function selectReasons(table: ReasonTable, { reasons = [], notReasons = [] }: Selection): ReasonFilter {
  if (table.all.length === 0 && [...reasons, ...notReasons].some((pattern) => pattern !== ALL)) {
    throw new SkbdropError('unsupported', 'drop reasons have no names here, so none can be chosen', {
      hint: "The names come from the kernel's BTF, or from tracefs, which root can read. -r '*' takes all",
    });
  }
  const named = numbers(table, reasons);
  const leave = numbers(table, notReasons);
  const keep = reasons.length === 0 || reasons.includes(ALL) ? undefined : named;
  if (keep !== undefined) return { kind: 'only', reasons: new Set([...keep].filter((number) => !leave.has(number))) };
  return leave.size === 0 ? { kind: 'all' } : { kind: 'not', reasons: leave };
}

function numbers(table: ReasonTable, patterns: readonly string[]): Set<number> {
  const found = new Set<number>();
  for (const pattern of patterns) {
    const matches = matcher(pattern);
    const reasons = table.all.filter(({ name }) => matches.test(name) || matches.test(shortName(name)));
    // On a kernel that names no reason at all, everything is still everything.
    if (reasons.length === 0 && pattern !== ALL) throw new UnknownReasonError(pattern, nearest(table, pattern));
    for (const { number } of reasons) found.add(number);
  }
  return found;
}

/** `*` stands for any characters, `?` for one; upper and lower case are the same. */
export function matcher(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 'i');
}

const SUGGESTIONS = 3;

/** Names like `pattern`, the most similar first. */
export function nearest(table: Pick<ReasonTable, 'all'>, pattern: string): string[] {
  const wanted = shortName(pattern.toUpperCase());
  return table.all
    .map(({ name }) => shortName(name))
    .map((name) => ({ name, distance: name.includes(wanted) ? 0 : editDistance(name, wanted) }))
    .filter(({ distance }) => distance <= Math.max(2, wanted.length / 2))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, SUGGESTIONS)
    .map(({ name }) => name);
}

/** Levenshtein's: insertions, deletions and replacements that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

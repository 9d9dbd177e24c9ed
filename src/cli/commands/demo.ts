import { Demo, type Recipe, recipes } from '../../demo/index.ts';
import { matcher, nearest } from '../../drops/select.ts';
import { NotSupportedError, SkbdropError } from '../../sys/errors.ts';

export interface DemoOptions {
  readonly list?: boolean | undefined;
  /** Names with or without `SKB_DROP_REASON_`, in any case, globs; each may be several, with commas. */
  readonly reason?: readonly string[] | undefined;
  /** Drops for each reason; without it, a few of each in turn until stopped. */
  readonly count?: number | undefined;
  /** Drops a second; without it and with a count, as fast as possible. */
  readonly rate?: number | undefined;
  readonly format?: 'text' | 'json' | undefined;
}

/** Where the command writes. */
export interface DemoOutput {
  write(text: string): void | Promise<void>;
}

const PREFIX = 'SKB_DROP_REASON_';
/** Drops a second, and of each reason in turn, when nobody says otherwise: fit to be watched. */
const GENTLE_RATE = 20;
const OF_EACH = 5;

/**
 * `skbdrop demo`: provokes drops for known reasons in a network namespace of its own.
 *
 * @param stop ends it early, and is the only end without a count
 * @throws SkbdropError `usage` for unknown reasons, `permission`, `unsupported`
 */
export async function runDemo(options: DemoOptions, output: DemoOutput, stop: AbortSignal): Promise<void> {
  const { count, format = 'text' } = options;
  const chosen = selectRecipes(options.reason ?? []);
  const report = format === 'json' ? jsonReport : textReport;
  if (options.list) {
    await output.write(report.list(chosen));
    return;
  }
  const rate = options.rate ?? (count === undefined ? GENTLE_RATE : undefined);
  let total = 0;
  const provoked = new Set<Recipe>();
  const skipped = new Set<Recipe>();
  using demo = Demo.open();
  do {
    for (const recipe of chosen) {
      if (stop.aborted) break;
      if (skipped.has(recipe)) continue;
      try {
        const done = await demo.run(recipe, count ?? OF_EACH, { rate, signal: stop });
        total += done;
        if (done > 0) {
          provoked.add(recipe);
          await output.write(report.provoked(recipe, done));
        }
      } catch (error) {
        if (!(error instanceof NotSupportedError)) throw error;
        skipped.add(recipe);
        await output.write(report.skipped(recipe, error.message));
      }
    }
    // Where nothing can be provoked, there is nothing to repeat.
  } while (count === undefined && !stop.aborted && skipped.size < chosen.length);
  await output.write(report.total(total, provoked.size, skipped.size));
}

/** @throws SkbdropError `usage`, with similar names, where a pattern matches no recipe */
export function selectRecipes(patterns: readonly string[]): readonly Recipe[] {
  const wanted = patterns.flatMap((list) => list.split(',')).filter((pattern) => pattern !== '');
  if (wanted.length === 0) return recipes;
  const found = new Set<Recipe>();
  for (const pattern of wanted) {
    const matches = matcher(pattern);
    const hits = recipes.filter(({ reasons }) =>
      reasons.some((name) => matches.test(name) || matches.test(PREFIX + name)),
    );
    if (hits.length === 0) throw unknown(pattern);
    for (const recipe of hits) found.add(recipe);
  }
  return recipes.filter((recipe) => found.has(recipe));
}

function unknown(pattern: string): SkbdropError {
  const all = recipes.flatMap(({ reasons }) => reasons.map((name, number) => ({ number, name })));
  const similar = nearest({ all }, pattern);
  const hint =
    similar.length === 0 ? 'skbdrop demo --list shows what it can provoke' : `Did you mean ${similar.join(', ')}?`;
  return new SkbdropError('usage', `the demo has no way to provoke ${JSON.stringify(pattern)}`, { hint });
}

/** How what happened is told. */
interface Report {
  list(chosen: readonly Recipe[]): string;
  provoked(recipe: Recipe, count: number): string;
  skipped(recipe: Recipe, why: string): string;
  total(drops: number, reasons: number, skipped: number): string;
}

const nameWidth = Math.max(...recipes.map(({ reasons }) => reasons[0]!.length));

function row(name: string, number: string, text: string): string {
  return `${name.padEnd(nameWidth)}  ${number.padStart(7)}  ${text}\n`;
}

const textReport: Report = {
  list: (chosen) =>
    row('REASON', 'LENGTH', 'WHAT IS SENT, AND WHY IT IS DROPPED') +
    chosen.map(({ reasons, length, description }) => row(reasons[0]!, String(length), description)).join(''),
  provoked: (recipe, count) => row(recipe.reasons[0]!, String(count), recipe.description),
  skipped: (recipe, why) => row(recipe.reasons[0]!, 'skipped', why),
  total: (drops, reasons, skipped) =>
    `${many(drops, 'drop')} provoked, for ${many(reasons, 'reason')}` +
    `${skipped === 0 ? '' : `; ${many(skipped, 'reason')} skipped`}\n`,
};

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

const full = ({ reasons }: Recipe): string => PREFIX + reasons[0]!;

const jsonReport: Report = {
  list: (chosen) =>
    chosen
      .map((recipe) => {
        const { length, description } = recipe;
        const also = recipe.reasons.slice(1).map((name) => PREFIX + name);
        return json({ type: 'recipe', reason: full(recipe), also, length, description });
      })
      .join(''),
  provoked: (recipe, count) => json({ type: 'provoked', reason: full(recipe), count, length: recipe.length }),
  skipped: (recipe, why) => json({ type: 'skipped', reason: full(recipe), why }),
  total: (drops, reasons, skipped) => json({ type: 'total', count: drops, reasons, skipped }),
};

function json(line: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(line)}\n`;
}

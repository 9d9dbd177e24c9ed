import { Demo, Expectation, type Recipe, recipes } from '../../demo/index.ts';
import { matcher, nearest } from '../../drops/select.ts';
import { openHost } from '../../kernel/host.ts';
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
 * @param expectation what this kernel says of what is provoked
 * @throws SkbdropError `usage` for unknown reasons, `permission`, `unsupported`
 */
export async function runDemo(
  options: DemoOptions,
  output: DemoOutput,
  stop: AbortSignal,
  expectation: Expectation = new Expectation(openHost().reasons),
): Promise<void> {
  const { count, format = 'text' } = options;
  const chosen = selectRecipes(options.reason ?? [], expectation);
  const report = (format === 'json' ? jsonReport : textReport)(expectation);
  if (options.list) {
    await output.write(report.list(chosen));
    return;
  }
  const rate = options.rate ?? (count === undefined ? GENTLE_RATE : undefined);
  let total = 0;
  const provoked = new Set<Recipe>();
  const skipped = new Set<Recipe>();
  using demo = Demo.open({ expectation });
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
  await output.write(report.total(total, [...provoked], skipped.size));
}

/**
 * Recipes go by what current kernels call the reason, and what this one does; where nothing goes by that name, by what
 * older kernels do.
 *
 * @throws SkbdropError `usage`, with similar names, where a pattern matches no recipe
 */
export function selectRecipes(patterns: readonly string[], expectation: Expectation): readonly Recipe[] {
  const wanted = patterns.flatMap((list) => list.split(',')).filter((pattern) => pattern !== '');
  if (wanted.length === 0) return recipes;
  const found = new Set<Recipe>();
  for (const pattern of wanted) {
    const matches = matcher(pattern);
    const called = (names: (recipe: Recipe) => readonly string[]): readonly Recipe[] =>
      recipes.filter((recipe) => names(recipe).some((name) => matches.test(name) || matches.test(PREFIX + name)));
    const today = called((recipe) => [nameOf(recipe), expectation.reason(recipe) ?? nameOf(recipe)]);
    const hits = today.length > 0 ? today : called(({ reasons }) => reasons);
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

/** A recipe's name: what current kernels call the reason. */
function nameOf({ reasons }: Recipe): string {
  return reasons[0]!;
}

/** How what happened is told. */
interface Report {
  list(chosen: readonly Recipe[]): string;
  provoked(recipe: Recipe, count: number): string;
  skipped(recipe: Recipe, why: string): string;
  total(drops: number, provoked: readonly Recipe[], skipped: number): string;
}

const nameWidth = Math.max(...recipes.map((recipe) => nameOf(recipe).length));

function row(name: string, number: string, text: string): string {
  return `${name.padEnd(nameWidth)}  ${number.padStart(7)}  ${text}\n`;
}

/** Rows go by what this kernel calls the reason. Where it has no word for any, what was sent has to do. */
function textReport(expectation: Expectation): Report {
  const told = (recipe: Recipe, number: string, text: string): string => {
    const reason = expectation.reason(recipe);
    return reason === undefined ? `${number.padStart(7)}  ${text}\n` : row(reason, number, text);
  };
  const elsewhere = (recipe: Recipe): string => {
    if (expectation.isTooOld(recipe)) return ` (not on this kernel; on Linux ${recipe.since} and later)`;
    const reason = expectation.reason(recipe);
    return reason === undefined || reason === nameOf(recipe) ? '' : ` (${reason} on this kernel)`;
  };
  return {
    list: (chosen) =>
      row('REASON', 'LENGTH', 'WHAT IS SENT, AND WHY IT IS DROPPED') +
      chosen
        .map((recipe) => row(nameOf(recipe), String(recipe.length), recipe.description + elsewhere(recipe)))
        .join(''),
    provoked: (recipe, count) => told(recipe, String(count), recipe.description),
    skipped: (recipe, why) => row(nameOf(recipe), 'skipped', why),
    total: (drops, provoked, skipped) => {
      const reasons = distinct(expectation, provoked);
      const how = expectation.hasReasons ? `for ${many(reasons, 'reason')}` : `in ${many(provoked.length, 'way')}`;
      return `${many(drops, 'drop')} provoked, ${how}${skipped === 0 ? '' : `; ${skipped} skipped`}\n`;
    },
  };
}

/** How many different reasons this kernel gave for what these provoked. */
function distinct(expectation: Expectation, provoked: readonly Recipe[]): number {
  return new Set(provoked.flatMap((recipe) => expectation.reason(recipe) ?? [])).size;
}

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function jsonReport(expectation: Expectation): Report {
  const who = (recipe: Recipe) => {
    const reason = expectation.reason(recipe);
    return { recipe: nameOf(recipe), reason: reason === undefined ? undefined : PREFIX + reason };
  };
  return {
    list: (chosen) =>
      chosen
        .map((recipe) => {
          const { length, description } = recipe;
          const also = recipe.reasons.slice(1).map((name) => PREFIX + name);
          return json({ type: 'recipe', ...who(recipe), also, length, description });
        })
        .join(''),
    provoked: (recipe, count) => json({ type: 'provoked', ...who(recipe), count, length: recipe.length }),
    skipped: (recipe, why) => json({ type: 'skipped', recipe: nameOf(recipe), why }),
    total: (drops, provoked, skipped) =>
      json({ type: 'total', count: drops, reasons: distinct(expectation, provoked), skipped }),
  };
}

function json(line: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(line)}\n`;
}

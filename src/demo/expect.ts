import { release } from 'node:os';
import { type ReasonTable, shortName } from '../kernel/reasons.ts';
import { isBefore } from '../sys/release.ts';
import type { Recipe } from './recipe.ts';

/** What a kernel says that knows no better reason. */
const NOT_SPECIFIED = 'NOT_SPECIFIED';

/** What to expect of recipes on the kernel whose reasons these are. */
export class Expectation {
  readonly #known: ReadonlySet<string>;
  readonly #release: string;

  /** @param running the release of that kernel */
  constructor(reasons: Pick<ReasonTable, 'all'>, running: string = release()) {
    this.#release = running;
    this.#known = new Set(reasons.all.map(({ name }) => shortName(name)));
  }

  /** Whether this kernel names reasons at all. */
  get hasReasons(): boolean {
    return this.#known.size > 0;
  }

  /** What this kernel says of the drops that the recipe provokes, without the prefix; undefined where it says nothing. */
  reason({ reasons }: Recipe): string | undefined {
    if (!this.hasReasons) return undefined;
    return reasons.find((name) => this.#known.has(name)) ?? NOT_SPECIFIED;
  }

  /** Whether this kernel is too old to drop by way of the tracepoint what the recipe sends. */
  isTooOld({ reasons, since }: Recipe): boolean {
    return since !== undefined && isBefore(since, this.#release) && !reasons.some((name) => this.#known.has(name));
  }
}

import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { explainPermission } from '../sys/capabilities.ts';
import { NotSupportedError, SyscallError } from '../sys/errors.ts';
import { errno } from '../sys/syscall.ts';
import { Expectation } from './expect.ts';
import { Ground, type GroundOptions } from './ground.ts';
import type { Recipe } from './recipe.ts';
import { filterRecipes } from './recipes/filter.ts';
import { forwardRecipes, ipRecipes } from './recipes/ip.ts';
import { ipv6Recipes } from './recipes/ipv6.ts';
import { socketRecipes } from './recipes/socket.ts';
import { tapRecipes } from './recipes/tap.ts';
import { tcpRecipes } from './recipes/tcp.ts';

export { Expectation } from './expect.ts';
export type { Recipe } from './recipe.ts';

/** Every reason that can be provoked, the plain ones first; no two recipes have the same first reason. */
export const recipes: readonly Recipe[] = [
  ...ipRecipes,
  ...tcpRecipes,
  ...socketRecipes,
  ...forwardRecipes,
  ...filterRecipes,
  ...tapRecipes,
  ...ipv6Recipes,
];

export interface DemoOptions extends GroundOptions {
  /** What this kernel is expected to say; without it nothing but its release is known. */
  readonly expectation?: Expectation | undefined;
}

export interface RunOptions {
  /** Drops a second; undefined: as fast as possible. */
  readonly rate?: number | undefined;
  /** Called as drops have happened, with how many since the last call. */
  readonly onDrops?: ((count: number) => void) | undefined;
  /** Ends the run early. */
  readonly signal?: AbortSignal | undefined;
}

/** Drops between two turns of the event loop, so that signals are heard in the middle of a flood. */
const PORTION = 65_536;
/** Portions a second where a rate is asked for. */
const BEATS = 50;

/** Provokes drops, in a network namespace that lasts from `open()` to `close()` and that the calling thread is in. */
export class Demo {
  readonly #ground: Ground;
  readonly #expectation: Expectation;

  private constructor(ground: Ground, expectation: Expectation) {
    this.#ground = ground;
    this.#expectation = expectation;
  }

  /** @throws PermissionError without CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF */
  static open({ expectation = new Expectation({ all: [] }), ...options }: DemoOptions = {}): Demo {
    return new Demo(Ground.open(options), expectation);
  }

  /** The inode of the namespace in which the drops happen. */
  get netns(): number {
    return this.#ground.inode;
  }

  /** Whether the kernel multiplies frames where there are many (Linux 5.18), or each is written by itself. */
  get canFlood(): boolean {
    return this.#ground.canFlood;
  }

  /**
   * Provokes `count` drops, or fewer if `signal` says so.
   *
   * @returns how many there were
   * @throws NotSupportedError where this kernel cannot, or what the recipe needs is not there; SkbdropError
   */
  async run(recipe: Recipe, count: number, options: RunOptions = {}): Promise<number> {
    const { rate, onDrops, signal } = options;
    if (this.#expectation.isTooOld(recipe)) throw tooOld(recipe);
    if (!recipe.withoutInterface) this.#ground.requireInterface();
    const portion = Math.min(recipe.portion ?? PORTION, rate === undefined ? PORTION : Math.ceil(rate / BEATS));
    const start = performance.now();
    let done = 0;
    while (done < count && signal?.aborted !== true) {
      const next = Math.min(portion, count - done);
      await this.#provoke(recipe, next);
      done += next;
      onDrops?.(next);
      const due = rate === undefined ? 0 : start + (done / rate) * 1000 - performance.now();
      await (due > 0 ? pause(due, signal) : nextTurn());
    }
    return done;
  }

  async #provoke(recipe: Recipe, count: number): Promise<void> {
    try {
      await explainPermission(`provoke ${recipe.reasons[0]}`, ['CAP_NET_ADMIN', 'CAP_NET_RAW'], () =>
        recipe.provoke(this.#ground, count),
      );
    } catch (error) {
      if (error instanceof SyscallError && missing.has(error.errno)) {
        throw new NotSupportedError(recipe.needs ?? error.call, { cause: error });
      }
      throw error;
    }
  }

  /** Ends the namespace. */
  close(): void {
    this.#ground.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What system calls say where the kernel was built without something. */
const missing: ReadonlySet<number> = new Set([
  errno.ENOPROTOOPT,
  errno.EOPNOTSUPP,
  errno.EPROTONOSUPPORT,
  errno.EAFNOSUPPORT,
  errno.ENOENT,
]);

function tooOld({ reasons, since }: Recipe): NotSupportedError {
  return new NotSupportedError(`drop for ${reasons[0]}`, { ...(since === undefined ? {} : { minimum: since }) });
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await wait(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch {
    // Stopped: who asked for it sees so at the signal.
  }
}

import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Probe } from '../drops/session.ts';
import type { Summary } from '../drops/summary.ts';
import type { Watch } from '../drops/watch.ts';
import { SkbdropError } from '../sys/errors.ts';
import { Child } from './child.ts';
import { exitFromTerminal, Status, toStandardError, whyNot } from './exit.ts';
import type { CommonOptions } from './options.ts';
import { type Output, type OutputEnd, openOutput } from './output.ts';
import { summaryJson } from './render/json.ts';
import { summaryText } from './render/text.ts';

/** What a command does with what it watches. */
export interface Job<W extends Watch<Probe>> {
  /** What becomes of a drop that passes, for the closing words. */
  readonly verb: 'printed' | 'counted';
  /** Attaches. */
  open(): W;
  /**
   * Runs before the world is told that the probe is attached.
   *
   * @returns what people should know of this run: sentences
   */
  prepare?(watch: W, output: Output): Promise<readonly string[]>;
  /** Writes as drops come, and returns when there are no more to come. */
  follow?(watch: W, output: Output): Promise<void>;
  /** Writes what there is so far, every `interval` milliseconds. */
  readonly interval?: number | undefined;
  tick?(watch: W, output: Output): Promise<void>;
  /** Writes the last report, when the probe is off. */
  finish?(watch: W, output: Output): Promise<void>;
}

/** Why a run ends. */
type End =
  | { readonly kind: 'signal' | 'duration' | 'limit' | 'followed' }
  | { readonly kind: 'child'; readonly status: number; readonly problem?: string }
  | { readonly kind: 'failed'; readonly error: unknown }
  | OutputEnd;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** How often to look whether the limit is reached, in milliseconds. */
const LIMIT_POLL_MS = 20;

/** The most that setInterval() takes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * One run from attaching to the exit status: every command goes through here, and every way to end it too.
 *
 * @throws SkbdropError where it could not begin
 */
export async function run<W extends Watch<Probe>>(options: CommonOptions, job: Job<W>): Promise<number> {
  const say = (text: string): void => {
    if (!options.quiet) tell(text);
  };
  const ends = new Ends();
  const readyFile = new ReadyFile(options.readyFile);
  let watch: W | undefined;
  let child: Child | undefined;
  try {
    // From the first moment on: a signal that comes while we attach ends the run too, in order.
    ends.onSignals(() => {
      readyFile.remove();
      child?.kill();
    });
    watch = job.open();
    const output = openOutput(options.output);
    const remarks = (await job.prepare?.(watch, output)) ?? [];
    say(`attached kfree_skb (${watch.mode}), kernel ${watch.kernel}`);
    for (const remark of remarks) say(remark);
    if (options.verbose) for (const note of watch.notes) say(note);
    readyFile.create();

    output.ended.then((end) => ends.end(end));
    if (options.duration !== undefined) ends.after(options.duration);
    if (options.count !== undefined) {
      const attached = watch;
      ends.every(LIMIT_POLL_MS, () => attached.limitReached && ends.end({ kind: 'limit' }));
    }
    if (options.child !== undefined) {
      child = new Child(options.child);
      child.ended.then((end) => ends.end({ kind: 'child', ...end }));
    }
    const following = job.follow?.(watch, output).then(
      () => ends.end({ kind: 'followed' }),
      (error: unknown) => ends.end({ kind: 'failed', error }),
    );
    const stopTicking = tickEvery(job, watch, output, ends);

    const end = await ends.first;
    watch.detach();
    await stopTicking();
    await output.settle(following);
    if (ends.failure === undefined) await output.settle(job.finish?.(watch, output));
    watch.close();
    const summary = withUnwritten(watch.summary(), output.unwrittenDrops);
    if (options.format === 'json') await output.settle(output.write(summaryJson(summary)));
    output.close();

    if (end.kind === 'child' && end.problem !== undefined) tell(end.problem);
    if (end.kind === 'closed') say('the reader of the output went away');
    say(summaryText(summary, job.verb));
    if (ends.failure !== undefined) throw ends.failure.error;
    return status(end, summary, options);
  } finally {
    watch?.close();
    await child?.stop();
    readyFile.remove();
    ends.clear();
  }
}

/** The first of the things that can end a run; the others are then forgotten. */
class Ends {
  readonly first: Promise<End>;
  /** What went wrong, also when it did so after the run had ended for another reason. */
  failure: { readonly error: unknown } | undefined;
  #resolve!: (end: End) => void;
  #over = false;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #handlers: (readonly [NodeJS.Signals, () => void])[] = [];

  constructor() {
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    // Waiting for a signal is not work that keeps Node running; a timer is.
    this.every(LONGEST_TIMER_MS, () => {});
  }

  /** Timers have no more to say then; signals have: a second one. */
  end(end: End): void {
    if (end.kind === 'failed') this.failure ??= end;
    this.#over = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#resolve(end);
  }

  /** The first signal ends the run; a second one, of any kind, means it, and the kernel cleans up after us. */
  onSignals(leave: () => void): void {
    let heardBefore = false;
    for (const signal of SIGNALS) {
      const heard = (): void => {
        if (heardBefore) {
          leave();
          exitFromTerminal(128 + constants.signals[signal]);
        }
        heardBefore = true;
        this.end({ kind: 'signal' });
      };
      process.on(signal, heard);
      this.#handlers.push([signal, heard]);
    }
  }

  after(milliseconds: number): void {
    if (!this.#over) this.#timers.push(setTimeout(() => this.end({ kind: 'duration' }), milliseconds));
  }

  every(milliseconds: number, look: () => void): void {
    if (!this.#over) this.#timers.push(setInterval(look, milliseconds));
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const [signal, heard] of this.#handlers) process.off(signal, heard);
  }
}

/** Calls `tick` at each interval, one at a time: an interval that finds the last one still writing is skipped. */
function tickEvery<W extends Watch<Probe>>(job: Job<W>, watch: W, output: Output, ends: Ends): () => Promise<void> {
  if (job.tick === undefined || job.interval === undefined) return async () => {};
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= job.tick!(watch, output)
      .catch((error: unknown) => ends.end({ kind: 'failed', error }))
      .finally(() => {
        running = undefined;
      });
  }, job.interval);
  return async () => {
    clearInterval(timer);
    await output.settle(running);
  };
}

/** Drops whose lines did not go out were not reported, after all. */
function withUnwritten(summary: Summary, drops: number): Summary {
  if (drops === 0) return summary;
  return {
    ...summary,
    reported: summary.reported - drops,
    lost: summary.lost + drops,
    losses: [...summary.losses, { way: 'output', reason: undefined, count: drops }],
  };
}

function status(end: End, summary: Summary, options: CommonOptions): number {
  if (end.kind === 'child' && end.status !== 0) return end.status;
  const loss = summary.lost + summary.missed > 0 || summary.unaccounted !== 0;
  return options.failOnLoss && loss ? Status.loss : Status.ok;
}

export function tell(text: string): void {
  toStandardError(`skbdrop: ${text}\n`);
}

/** The file that says that we are attached; removed at the end, and only if it is ours. */
class ReadyFile {
  readonly #path: string | undefined;
  #isOurs = false;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** A file left over from another run is replaced; anything else that stands there is not touched. */
  create(): void {
    if (this.#path === undefined) return;
    try {
      const before = lstatSync(this.#path, { throwIfNoEntry: false });
      if (before !== undefined && !before.isFile()) throw new Error('there is something else by that name');
      writeFileSync(this.#path, `${process.pid}\n`);
      this.#isOurs = true;
    } catch (error) {
      throw new SkbdropError('output', `cannot create the ready file ${this.#path}: ${whyNot(error)}`);
    }
  }

  remove(): void {
    if (this.#isOurs && this.#path !== undefined) rmSync(this.#path, { force: true });
    this.#isOurs = false;
  }
}

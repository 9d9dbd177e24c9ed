import type { AttachMode } from '../probes/context.ts';
import type { Probe, Session } from './session.ts';
import type { Summary } from './summary.ts';

/**
 * What all ways of watching drops have in common. Watching starts at once and ends with `detach()`; results can be
 * read until `close()`, which `using` calls by itself.
 */
export abstract class Watch<P extends Probe> {
  protected readonly session: Session<P>;
  #final: Summary | undefined;

  constructor(session: Session<P>) {
    this.session = session;
  }

  /** How it is attached. */
  get mode(): AttachMode {
    return this.session.mode;
  }

  /** `6.18.44`. */
  get kernel(): string {
    return this.session.host.release;
  }

  /** Whether this kernel says why it drops: since Linux 5.17, and in some backports. */
  get hasReasons(): boolean {
    return this.session.hasReasons;
  }

  /** What an expert may want to know of how it came to be attached. */
  get notes(): readonly string[] {
    return this.session.notes;
  }

  /**
   * Reads the kernel's symbols now, off the event loop, instead of at the first function that needs a name.
   *
   * @returns why functions will have no names, in a sentence; nothing where they will
   */
  async loadSymbols(): Promise<readonly string[]> {
    await this.session.host.symbols.load();
    const { problem } = this.session.host.symbols;
    return problem === undefined ? [] : [problem];
  }

  /** Stops counting. What was counted stays readable, and is final. */
  detach(): void {
    this.session.detach();
  }

  /** Whether as many drops have passed as `limit` asked for. */
  get limitReached(): boolean {
    const { limit } = this.session.options;
    return limit !== undefined && this.session.passed >= limit;
  }

  /** The books: what was seen, reported and lost. Final after `detach()`; still there after `close()`. */
  summary(): Summary {
    return this.#final ?? this.session.summary(this.reported(), this.unread());
  }

  /** How many drops were handed over, or stand in what `read()` returns. */
  protected abstract reported(): number;

  /** How many drops were recorded and will not be handed over any more. */
  protected unread(): number {
    return 0;
  }

  /** Detaches and frees everything in the kernel. May be called more than once. */
  close(): void {
    if (this.#final !== undefined) return;
    this.detach();
    this.#final = this.summary();
    this.session.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

import type { Output } from './output.ts';

const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CLEAR = '\x1b[2J';
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';

/** A report that is redrawn in place, without flicker: each line is overwritten, and what is left of it cleared. */
export class Screen {
  readonly #output: Output;
  #drawn = false;
  readonly #restore = (): void => {
    // Whatever ends the process, the terminal gets its cursor back; a terminal that is gone needs none.
    try {
      process.stdout.write(SHOW_CURSOR);
    } catch {
      // gone
    }
  };

  constructor(output: Output) {
    this.#output = output;
    process.once('exit', this.#restore);
  }

  /** What to write for `text` to be on the screen, from its upper left corner on; lines are cut at its width. */
  draw(text: string): string {
    const columns = this.#output.size?.columns ?? Number.POSITIVE_INFINITY;
    const lines = text.split('\n').map((line) => [...line].slice(0, columns).join(''));
    const start = this.#drawn ? HOME : HIDE_CURSOR + CLEAR + HOME;
    this.#drawn = true;
    return start + lines.join(`${CLEAR_LINE}\n`) + CLEAR_BELOW;
  }

  /** Leaves the last report where it is. */
  async leave(): Promise<void> {
    process.off('exit', this.#restore);
    if (this.#drawn) await this.#output.write(SHOW_CURSOR);
  }
}

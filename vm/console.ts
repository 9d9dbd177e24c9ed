import { randomBytes } from 'node:crypto';

/** How the machine ended. Anything but `exited` is a failure of the machine, not of the command. */
export type End =
  | { readonly kind: 'exited'; readonly status: number }
  /** It could not set its root up, and said why. */
  | { readonly kind: 'broken'; readonly why: string }
  /** It went off without a word: a panic, a crash of QEMU, or it was ended. */
  | { readonly kind: 'silent' };

/**
 * Reads a machine's console. The guest's own scripts write lines that begin with a mark made anew for each boot:
 *
 *     MARK started        what follows is the command's
 *     MARK exit 0         the command has ended, with this status
 *     MARK broken: why    there will be no command
 *
 * Nothing else counts as an end: a machine that stops without saying how has failed.
 */
export class MachineConsole {
  readonly mark: string = `vm-${randomBytes(8).toString('hex')}`;
  readonly #onOutput: (text: string) => void;
  readonly #tail: string[] = [];
  #line = '';
  /** How much of the line has been passed on. */
  #shown = 0;
  #started = false;
  /** A line end that was read but not passed on: the one before a mark belongs to the mark. */
  #lineEnd = '';
  end: End = { kind: 'silent' };

  /** @param onOutput what the command prints, as it comes; without what the machine prints before and after */
  constructor(onOutput: (text: string) => void) {
    this.#onOutput = onOutput;
  }

  /** More bytes from the console, as text. */
  write(text: string): void {
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop()!;
    for (const line of lines) this.#finish(line);
    // A prompt has no line end. What may become a mark has to wait for the rest of its line.
    if (this.#started && this.#line !== '' && !this.mark.startsWith(this.#line.slice(0, this.mark.length))) {
      this.#show(this.#line, '');
      this.#shown = this.#line.length;
    }
  }

  /** The last lines that were printed, by whomever. */
  get tail(): readonly string[] {
    return this.#line === '' ? this.#tail : [...this.#tail, this.#line];
  }

  #finish(line: string): void {
    if (!line.startsWith(`${this.mark} `)) {
      this.#tail.push(line.replace(/\r$/, ''));
      if (this.#tail.length > TAIL_LINES) this.#tail.shift();
      if (this.#started) this.#show(line, '\n');
      this.#shown = 0;
      return;
    }
    const said = line.slice(this.mark.length + 1).trimEnd();
    this.#lineEnd = '';
    if (said === 'started') {
      this.#started = true;
    } else if (said.startsWith('exit ')) {
      this.#started = false;
      this.end = { kind: 'exited', status: Number(said.slice('exit '.length)) };
    } else {
      this.end = { kind: 'broken', why: said.replace('broken: ', '') };
    }
  }

  #show(text: string, lineEnd: string): void {
    this.#onOutput(this.#lineEnd + text.slice(this.#shown));
    this.#lineEnd = lineEnd;
  }
}

const TAIL_LINES = 40;

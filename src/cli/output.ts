import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { SkbdropError } from '../sys/errors.ts';

/** Why nothing more can be written. `closed`: the reader went away, which is nobody's fault. */
export type OutputEnd = { readonly kind: 'closed' } | { readonly kind: 'failed'; readonly error: SkbdropError };

/**
 * Where the data goes. A write is accepted or it is not: `unwrittenLines` counts the lines that were not, so that the
 * books come out also when a disk is full or a pipe is closed.
 */
export interface Output {
  readonly isTerminal: boolean;
  /** Columns and rows of the terminal, where it is one that knows. */
  readonly size: { readonly columns: number; readonly rows: number } | undefined;
  /** Resolves when more can be taken; at once where the sink keeps up. */
  write(text: string): Promise<void>;
  /** Lines given to `write` that did not go out. */
  readonly unwrittenLines: number;
  /** Resolves when nothing more can be written. */
  readonly ended: Promise<OutputEnd>;
  /** Whether a write is waiting for its reader. */
  readonly blocked: boolean;
  /** Flushes and closes, if it is ours to close. */
  close(): Promise<void>;
}

/**
 * Standard output, or a file.
 *
 * @throws SkbdropError `output` where the file cannot be opened
 */
export function openOutput(file: string | undefined): Output {
  if (file !== undefined) {
    try {
      return new FileOutput(openSync(file, 'w'), file);
    } catch (error) {
      throw cannotWrite(file, error);
    }
  }
  // A regular file is written in step; whatever somebody reads at the other end is written as it takes it.
  const kind = statOf(STDOUT);
  return kind?.isFile() === true ? new FileOutput(STDOUT, 'standard output') : new StreamOutput();
}

const STDOUT = 1;

function statOf(fd: number): ReturnType<typeof fstatSync> | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined;
  }
}

function cannotWrite(what: string, error: unknown): SkbdropError {
  return new SkbdropError('output', `cannot write to ${what}: ${(error as Error).message}`, { cause: error });
}

class EndSignal {
  readonly promise: Promise<OutputEnd>;
  #resolve!: (end: OutputEnd) => void;
  over = false;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  end(end: OutputEnd): void {
    this.over = true;
    this.#resolve(end);
  }
}

function countLines(text: string | Buffer): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

/** A regular file: each write is complete when it returns. */
class FileOutput implements Output {
  readonly isTerminal = false;
  readonly size = undefined;
  readonly blocked = false;
  readonly #fd: number;
  readonly #name: string;
  readonly #end = new EndSignal();
  unwrittenLines = 0;

  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  get ended(): Promise<OutputEnd> {
    return this.#end.promise;
  }

  async write(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    let done = 0;
    try {
      while (!this.#end.over && done < bytes.length) done += writeSync(this.#fd, bytes, done);
    } catch (error) {
      this.#end.end({ kind: 'failed', error: cannotWrite(this.#name, error) });
    }
    if (done < bytes.length) this.unwrittenLines += countLines(bytes.subarray(done));
  }

  async close(): Promise<void> {
    if (this.#fd !== STDOUT) closeSync(this.#fd);
  }
}

/** Standard output with a reader: a terminal, a pipe, a socket. */
class StreamOutput implements Output {
  readonly #end = new EndSignal();
  #waiting: (() => void) | undefined;
  unwrittenLines = 0;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      const isClosed = error.code === 'EPIPE' || error.code === 'EIO' || error.code === 'ECONNRESET';
      this.#end.end(isClosed ? { kind: 'closed' } : { kind: 'failed', error: cannotWrite('standard output', error) });
      this.#release();
    });
    process.stdout.on('drain', () => this.#release());
  }

  get isTerminal(): boolean {
    return process.stdout.isTTY === true;
  }

  get size(): { columns: number; rows: number } | undefined {
    const { isTTY, columns, rows } = process.stdout;
    // A serial line does not know its size, and says 0.
    return isTTY && columns > 0 && rows > 0 ? { columns, rows } : undefined;
  }

  get ended(): Promise<OutputEnd> {
    return this.#end.promise;
  }

  get blocked(): boolean {
    return this.#waiting !== undefined;
  }

  async write(text: string): Promise<void> {
    if (this.#end.over) {
      this.unwrittenLines += countLines(text);
      return;
    }
    const keepsUp = process.stdout.write(text, (error) => {
      if (error) this.unwrittenLines += countLines(text);
    });
    if (!keepsUp)
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
  }

  #release(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  async close(): Promise<void> {
    if (this.#end.over) return;
    await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  }
}

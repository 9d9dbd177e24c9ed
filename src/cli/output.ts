import { constants, fstatSync, openSync, type Stats, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { OneShotWatch } from '../sys/epoll.ts';
import { errnoName, type SkbdropError } from '../sys/errors.ts';
import { Fd } from '../sys/fd.ts';
import { trySyscall } from '../sys/syscall.ts';
import { cannotWrite, isClosed, STDOUT } from './exit.ts';

/** Why nothing more can be written. `closed`: the reader went away, which is nobody's fault. */
export type OutputEnd = { readonly kind: 'closed' } | { readonly kind: 'failed'; readonly error: SkbdropError };

/** Hands bytes to the kernel and says how many it took; throws EAGAIN where that would have to wait. */
type Send = (fd: number, bytes: Buffer) => number;

/** How long a reader may take nothing before it is given up at the end of a run, in milliseconds. */
const PATIENCE_MS = 2000;

const NEWLINE = 0x0a;

/**
 * Where the data goes: standard output, or a file.
 *
 * Writes go straight to the kernel, which says how many bytes it took, so that the books come out to the line also
 * when a disk is full, a pipe is closed, or its reader has stopped reading. A slow reader never holds up the event
 * loop: the descriptor does not block, and who writes waits.
 */
export class Output {
  readonly isTerminal: boolean;
  /** Resolves when nothing more can be written. */
  readonly ended: Promise<OutputEnd>;
  readonly #fd: Fd;
  readonly #name: string;
  readonly #send: Send;
  #resolveEnd!: (end: OutputEnd) => void;
  #over = false;
  /** Drops whose lines were given to us, and those whose lines the kernel took to the end. */
  #given = 0;
  #taken = 0;
  /** Bytes that the kernel took. */
  #bytes = 0;
  /** The writes before, which the next one waits for. */
  #queue: Promise<void> = Promise.resolve();
  #watch: OneShotWatch | undefined;
  #waiting: (() => void) | undefined;

  constructor(fd: Fd, name: string, isTerminal: boolean, send: Send = writeSync) {
    this.#fd = fd;
    this.#send = send;
    this.#name = name;
    this.isTerminal = isTerminal;
    this.ended = new Promise((resolve) => {
      this.#resolveEnd = resolve;
    });
  }

  /** Columns and rows of the terminal, where it is one that knows. */
  get size(): { readonly columns: number; readonly rows: number } | undefined {
    if (!this.isTerminal) return undefined;
    const { columns, rows } = process.stdout;
    // A serial line does not know its size, and says 0.
    return columns > 0 && rows > 0 ? { columns, rows } : undefined;
  }

  /** Whether a write is waiting for its reader. */
  get blocked(): boolean {
    return this.#waiting !== undefined;
  }

  /**
   * Waits for `work`, which writes here, as long as the reader takes anything at all. A reader that takes nothing for
   * a while is given up: whatever it has not taken by then counts as not written, and nothing more is.
   */
  async settle(work: Promise<void> | undefined): Promise<void> {
    if (work === undefined) return;
    let done = false;
    const finished = work.finally(() => {
      done = true;
    });
    for (;;) {
      const before = this.#bytes;
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, PATIENCE_MS);
      });
      await Promise.race([finished, patience]);
      clearTimeout(timer);
      if (done) return finished;
      if (this.blocked && this.#bytes === before) {
        this.#stop();
        return;
      }
    }
  }

  /** Takes no more; who waits to write is told so. */
  #stop(): void {
    this.#over = true;
    this.#waiting?.();
  }

  /** Drops given to `writeDrops` whose lines did not go out, or not to the end. */
  get unwrittenDrops(): number {
    return this.#given - this.#taken;
  }

  /** Resolves when the kernel has taken the text, or will take no more. */
  write(text: string): Promise<void> {
    return this.#enqueue(Buffer.from(text), false);
  }

  /** As `write`, for text in which each line is a drop. */
  writeDrops(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    this.#given += countLines(bytes, bytes.length);
    return this.#enqueue(bytes, true);
  }

  #enqueue(bytes: Buffer, isDrops: boolean): Promise<void> {
    this.#queue = this.#queue.then(() => this.#sendAll(bytes, isDrops));
    return this.#queue;
  }

  async #sendAll(bytes: Buffer, isDrops: boolean): Promise<void> {
    let rest = bytes;
    while (rest.length > 0 && !this.#over) {
      const taken = this.#trySend(rest);
      this.#bytes += taken;
      if (isDrops) this.#taken += countLines(rest, taken);
      rest = rest.subarray(taken);
      if (taken === 0 && !this.#over) await this.#writable();
    }
  }

  /** How many bytes the kernel took; 0 where there is no room now, or never will be. */
  #trySend(bytes: Buffer): number {
    try {
      return this.#send(this.#fd.fd, bytes);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN') {
        this.#over = true;
        this.#resolveEnd(
          isClosed(error) ? { kind: 'closed' } : { kind: 'failed', error: cannotWrite(this.#name, error) },
        );
      }
      return 0;
    }
  }

  #writable(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = () => {
        this.#waiting = undefined;
        resolve();
      };
      if (this.#watch === undefined) this.#watch = new OneShotWatch(this.#fd, () => this.#waiting?.(), 'writable');
      else this.#watch.arm();
    });
  }

  close(): void {
    this.#stop();
    this.#watch?.close();
    if (this.#fd.fd !== STDOUT) this.#fd.close();
  }
}

/**
 * @param file undefined for standard output
 * @throws SkbdropError `output` where the file cannot be opened
 */
export function openOutput(file: string | undefined): Output {
  if (file === undefined) return openStdout();
  try {
    return new Output(unblocked(new Fd(openSync(file, 'w'), file)), file, false);
  } catch (error) {
    throw cannotWrite(file, error);
  }
}

/**
 * Standard output, writing to which does not wait for a reader. The flag for that belongs to what was opened, and
 * that is shared with the shell and with our child; so a pipe or a terminal is opened once more, for us alone. A
 * regular file is used as it is, because the place to write at is shared too, and should be; a socket, because each
 * write can say that it does not wait.
 */
function openStdout(): Output {
  const name = 'standard output';
  const kind = statOf(STDOUT);
  if (kind?.isSocket()) return new Output(new Fd(STDOUT, name), name, false, sendNow);
  return new Output(unblocked(new Fd(STDOUT, name)), name, isatty(STDOUT));
}

/** A pipe or a terminal opened once more, so that writing to it does not wait; anything else as it is. */
function unblocked(fd: Fd): Fd {
  const kind = statOf(fd.fd);
  if (!kind?.isFIFO() && !kind?.isCharacterDevice()) return fd;
  try {
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    const again = new Fd(openSync(`/proc/self/fd/${fd.fd}`, flags), fd.what);
    if (fd.fd !== STDOUT) fd.close();
    return again;
  } catch {
    return fd; // somebody else's: it has to do as it is
  }
}

function statOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined; // closed by whoever started us; the first write will say so
  }
}

// include/linux/socket.h
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

function sendNow(fd: number, bytes: Buffer): number {
  const sent = trySyscall('sendto', [fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0]);
  if (sent >= 0) return sent;
  const code = errnoName(-sent);
  throw Object.assign(new Error(`${code}, sendto`), { code });
}

/** Newlines in the first `length` bytes. */
function countLines(bytes: Buffer, length: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0 && at < length; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

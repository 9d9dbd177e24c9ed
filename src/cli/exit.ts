import { closeSync, openSync, writeSync } from 'node:fs';
import { type ErrorCode, SkbdropError } from '../sys/errors.ts';

/** Exit statuses, beside a child's own. */
export const Status = { ok: 0, fault: 1, usage: 2, unable: 3, loss: 4 } as const;

const statusOf: Readonly<Record<ErrorCode, number>> = {
  usage: Status.usage,
  unsupported: Status.unable,
  permission: Status.unable,
  rejected: Status.unable,
  system: Status.fault,
  output: Status.fault,
};

/** The status a program ends with after this error. */
export function exitStatus(error: unknown): number {
  return error instanceof SkbdropError ? statusOf[error.code] : Status.fault;
}

const FAULT = 'a fault in skbdrop itself: ';

/** What happened, in one sentence: the first line of `describeError`. A fault of ours that nobody foresaw says so. */
export function errorSentence(error: unknown): string {
  if (error instanceof SkbdropError) return error.message;
  return FAULT + (error instanceof Error ? error.message : String(error));
}

/**
 * An error for people: what happened, then what to do; with `verbose` the details. A fault of ours that nobody
 * foresaw says so, and only then does a stack trace help.
 */
export function describeError(error: unknown, verbose: boolean): string {
  if (!(error instanceof SkbdropError)) {
    const told = verbose && error instanceof Error ? `${FAULT}${error.stack}` : errorSentence(error);
    return `skbdrop: ${told}${verbose ? '' : ' (details: -v)'}\n`;
  }
  const { hint, details } = error;
  const lines = [`skbdrop: ${errorSentence(error)}`];
  if (hint !== undefined) lines.push(`         ${hint}`);
  if (verbose) {
    for (let cause: unknown = error; cause instanceof SkbdropError; cause = cause.cause) {
      if (cause.details !== undefined) lines.push(cause.details);
    }
  } else if (details !== undefined && error.code === 'rejected') {
    lines.push('         The whole verifier log: -v');
  }
  return `${lines.join('\n')}\n`;
}

/** What a failed file operation of Node's says, without the call and the path, which stand in our own sentence. */
export function whyNot(error: unknown): string {
  return (error as Error).message.replace(/, \w+(?: '.*)?$/, '');
}

/** Whether a write failed because nobody reads any more. EIO is what a terminal says whose other end is gone. */
export function isClosed(error: unknown): boolean {
  return ['EPIPE', 'EIO', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '');
}

export function cannotWrite(what: string, error: unknown): SkbdropError {
  return new SkbdropError('output', `cannot write to ${what}: ${whyNot(error)}`, { cause: error });
}

export const STDOUT = 1;
const STANDARD = [0, STDOUT, 2];
let isatty: (fd: number) => boolean = () => false;
let terminals: readonly number[] = [];

/** Notes which terminals we were started with: for what may run longer than they last. node:tty is slow to load. */
export async function noteTerminals(): Promise<void> {
  ({ isatty } = await import('node:tty'));
  terminals = STANDARD.filter((fd) => isatty(fd));
}

/**
 * Ends the process. On its way out Node restores the terminals it was started with, and aborts where one of them has
 * gone; so a terminal that has gone is replaced first, which Node sees and respects.
 */
export function exitFromTerminal(status: number | string | null | undefined): never {
  for (const fd of terminals) {
    if (isatty(fd)) continue;
    closeSync(fd);
    openSync('/dev/null', 'r+');
  }
  process.exit(status);
}

let hearsErrors = false;

/** Writes to standard error. A terminal that went away takes it along; then nobody listens, and that is no fault. */
export function toStandardError(text: string): void {
  try {
    if (!hearsErrors) process.stderr.on('error', () => {});
    hearsErrors = true;
    process.stderr.write(text);
  } catch {
    // nobody listens
  }
}

/**
 * Writes to standard output what is short and the last thing said. Straight, for Node's streams are slow to load.
 *
 * @throws SkbdropError `output` where it cannot be written; a reader that went away is no fault
 */
export function toStandardOutput(text: string): void {
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(STDOUT, rest));
  } catch (error) {
    // A pipe that is full just now: Node's stream waits for it.
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') process.stdout.write(rest);
    else if (!isClosed(error)) throw cannotWrite('standard output', error);
  }
}

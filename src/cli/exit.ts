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

/**
 * An error for people: what happened, then what to do; with `verbose` the details. A fault of ours that nobody
 * foresaw says so, and only then does a stack trace help.
 */
export function describeError(error: unknown, verbose: boolean): string {
  if (!(error instanceof SkbdropError)) {
    const text = error instanceof Error ? (verbose ? error.stack : error.message) : String(error);
    return `skbdrop: a fault in skbdrop itself: ${text}${verbose ? '' : ' (details: -v)'}\n`;
  }
  const { message, hint, details } = error;
  const lines = [`skbdrop: ${message}`];
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

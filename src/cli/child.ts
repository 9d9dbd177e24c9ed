import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';

/** How the child ended, as a shell would say it: 127 not found, 126 not executable, 128 + n killed by signal n. */
export interface ChildEnd {
  readonly status: number;
  /** Why it could not be started. */
  readonly problem?: string;
}

/** The command that is watched. */
export class Child {
  readonly #process: ChildProcess | undefined;
  readonly ended: Promise<ChildEnd>;
  #running = true;

  /** Starts it with our standard streams. A command that cannot be started is one that ended at once. */
  constructor(words: readonly string[]) {
    const [file = '', ...args] = words;
    const notStarted = ({ code = 'no name' }: NodeJS.ErrnoException): ChildEnd => {
      const status = code === 'ENOENT' || code === 'ENOTDIR' ? 127 : 126;
      const why = status === 127 ? 'there is no such command' : `it cannot be run (${code})`;
      return { status, problem: `cannot start ${JSON.stringify(file)}: ${why}` };
    };
    let child: ChildProcess;
    try {
      child = spawn(file, args, { stdio: 'inherit' });
    } catch (error) {
      // Some failures come as an event, others (ENOTDIR, ELOOP, E2BIG, an empty name) at once.
      this.#running = false;
      this.ended = Promise.resolve(notStarted(error as NodeJS.ErrnoException));
      return;
    }
    this.#process = child;
    this.ended = new Promise<ChildEnd>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => resolve(notStarted(error)));
      child.once('exit', (code, signal) => {
        resolve({ status: signal === null ? (code ?? 1) : 128 + constants.signals[signal] });
      });
    }).finally(() => {
      this.#running = false;
    });
  }

  /** Asks it to end, and makes it end where it does not within a few seconds. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#process?.kill('SIGTERM');
    const force = setTimeout(() => this.#process?.kill('SIGKILL'), PATIENCE_MS);
    await this.ended;
    clearTimeout(force);
  }
}

const PATIENCE_MS = 3000;

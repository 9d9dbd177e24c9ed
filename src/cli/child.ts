import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
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

  /** A shell dies alone, so what it has started is told too. */
  #signal(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    for (const each of [...descendants(pid), pid]) {
      try {
        process.kill(each, signal);
      } catch {
        // It has ended since.
      }
    }
  }

  /** Ends it at once, without waiting to see it. */
  kill(): void {
    if (this.#running) this.#signal('SIGKILL');
  }

  /** Asks it to end, and makes it end where it does not within a few seconds. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#signal('SIGTERM');
    const force = setTimeout(() => this.#signal('SIGKILL'), PATIENCE_MS);
    await this.ended;
    clearTimeout(force);
  }
}

const PATIENCE_MS = 3000;

/** All that `pid` has started, and they in turn, from /proc/PID/stat (proc(5): the fourth field is the parent). */
function descendants(pid: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      // The second field, the name in brackets, may hold anything.
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended since.
    }
  }
  const found = [pid];
  for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child);
  return found.slice(1);
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** How a run of skbdrop ended. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the demo says it has provoked in one way. */
export interface Provoked {
  /** What the kernel says of it; absent where it gives no reasons. */
  readonly reason?: string;
  readonly count: number;
  readonly length: number;
}

/** A machine that does nothing for so long has lost its way. */
const LIMIT_MS = 120_000;

/** Runs skbdrop in this machine: the commands as whom they are to be run, the demo always as root. */
export class Skbdrop {
  /** The words that run it as root. */
  readonly words: readonly string[];
  readonly #as: readonly string[];
  /** For ready files: whoever runs the commands must be able to write there. */
  readonly folder: string = mkdtempSync(join(tmpdir(), 'check-'));

  /** @param as words that run other words as somebody else; none for root */
  constructor(as: readonly string[]) {
    const main = fileURLToPath(new URL('../../bin/skbdrop.js', import.meta.url));
    this.words = process.env.SKBDROP?.split(' ') ?? [process.execPath, main];
    this.#as = as;
  }

  /** Runs it to its end. */
  async run(words: readonly string[]): Promise<Run> {
    return ended(this.#start(words));
  }

  /**
   * Has a command watch while something provokes drops, then ends it as ^C would.
   *
   * @param endsItself whether the command comes to an end without that
   * @returns how the command ended, and what `provoke` returned
   * @throws Error where the command ended before it was attached
   */
  async watch<T>(words: readonly string[], provoke: () => T, endsItself = false): Promise<Run & { provoked: T }> {
    const ready = join(this.folder, 'ready');
    rmSync(ready, { force: true });
    const child = this.#start([...words, '--ready-file', ready]);
    const run = ended(child);
    let over = false;
    run.then(() => {
      over = true;
    });
    while (!existsSync(ready) && !over) await sleep(20);
    if (over) throw new Error(`skbdrop ${words.join(' ')}: ${(await run).stderr}`);
    const provoked = provoke();
    if (!endsItself) child.kill('SIGINT');
    return { ...(await run), provoked };
  }

  /** Runs the demo to its end, as root. */
  demo(words: readonly string[]): readonly Provoked[] {
    const [program = '', ...rest] = [...this.words, 'demo', '--json', ...words];
    const { stdout, stderr, status } = spawnSync(program, rest, { encoding: 'utf8', timeout: LIMIT_MS });
    if (status !== 0) throw new Error(`the demo ended with ${status}: ${stderr}`);
    return lines(stdout).filter((line) => line.type === 'provoked') as unknown as Provoked[];
  }

  #start(words: readonly string[]): ChildProcess {
    const [program = '', ...rest] = [...this.#as, ...this.words, ...words];
    return spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
  }
}

async function ended(child: ChildProcess): Promise<Run> {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

/** JSON output, line by line; what is not JSON is left out. */
export function lines(output: string): Record<string, unknown>[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

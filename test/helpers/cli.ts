import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The program as users run it: `npm test` has built it. */
const MAIN = fileURLToPath(new URL('../../dist/bin/skbdrop.js', import.meta.url));

/** The words that run skbdrop. */
export const skbdrop: readonly string[] = [process.execPath, MAIN];

/** The words that provoke `count` drops of each reason. */
export function demo(reasons: readonly string[], count: number): readonly string[] {
  return [...skbdrop, 'demo', '-r', reasons.join(','), '-n', String(count)];
}

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status, or 128 + the signal's number. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program under test; it is killed where it does not end by itself. */
export class Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;

  constructor(words: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string; limitMs?: number } = {}) {
    const [file = '', ...args] = words;
    const { env = process.env, cwd, limitMs = 90_000 } = options;
    this.process = spawn(file, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    this.process.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    this.process.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    const limit = setTimeout(() => this.process.kill('SIGKILL'), limitMs);
    this.ended = once(this.process, 'close').then(([status, signal]) => {
      clearTimeout(limit);
      return {
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
        status,
        signal,
      };
    });
  }

  kill(signal: NodeJS.Signals): Promise<Ended> {
    this.process.kill(signal);
    return this.ended;
  }
}

/** Runs words to their end. */
export function run(words: readonly string[], options?: ConstructorParameters<typeof Running>[1]): Promise<Ended> {
  return new Running(words, options).ended;
}

/** A folder for one test file's files. */
export class Scratch {
  readonly path: string;

  /** Readable for other users too, so that they can be given something to run. */
  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'skbdrop-test-'));
    chmodSync(this.path, 0o755);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

/** The words that run a copy of skbdrop that other users can read, wherever the checkout lies. */
export function copyForOthers(scratch: Scratch): readonly string[] {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const folder = scratch.file('copy');
  mkdirSync(`${folder}/node_modules`, { recursive: true });
  cpSync(`${root}/dist/bin`, `${folder}/dist/bin`, { recursive: true });
  cpSync(`${root}/package.json`, `${folder}/package.json`);
  for (const name of ['koffi', '@koromix', 'elfy', 'endian-reader']) {
    if (existsSync(`${root}/node_modules/${name}`)) {
      cpSync(`${root}/node_modules/${name}`, `${folder}/node_modules/${name}`, { recursive: true });
    }
  }
  return [process.execPath, `${folder}/dist/bin/skbdrop.js`];
}

/** Waits until a file is there. */
export async function appears(file: string, limitMs = 30_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!existsSync(file)) {
    if (Date.now() > end) throw new Error(`${file} did not appear`);
    await sleep(10);
  }
}

/** Waits until something holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(10);
  }
}

/** The lines of JSON output, parsed. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

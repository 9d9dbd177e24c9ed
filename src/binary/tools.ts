import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { SkbdropError } from '../sys/errors.ts';

/** What keeps the one file from being built, for people. */
export class BuildError extends SkbdropError {
  constructor(message: string) {
    super('system', message);
  }
}

/** Runs a program to its end. @throws BuildError with what it said where it fails */
export function runTool(words: readonly string[], cwd?: string): void {
  const [file = '', ...args] = words;
  const { status, stderr, error } = spawnSync(file, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  if (error !== undefined) throw new BuildError(`cannot run ${file}: ${error.message}`);
  if (status !== 0) throw new BuildError(`${words.join(' ')} failed:\n${stderr}`);
}

/** The programs in PATH that are called so, each by its name. */
export function inPath(pattern: RegExp): string[] {
  const names = (process.env.PATH ?? '').split(delimiter).flatMap((folder) => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  });
  return [...new Set(names.filter((name) => pattern.test(name)))].sort();
}

/** Has `make` fill a new file or folder, and gives it its name when that is done: it is there whole or not at all. */
export async function whole(path: string, make: (unfinished: string) => void | Promise<void>): Promise<void> {
  const unfinished = `${path}.new.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  try {
    await make(unfinished);
    rmSync(path, { recursive: true, force: true });
    renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

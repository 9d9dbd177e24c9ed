import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Runs `body` while the named files, or links, read as these texts (undefined: as if they were not there); others as
 * they are.
 */
export function withFiles<T>(files: Readonly<Record<string, string | Buffer | undefined>>, body: () => T): T {
  const { readFileSync, existsSync, statSync, readlinkSync } = fs;
  const read = (path: unknown, options?: unknown): unknown => {
    if (typeof path !== 'string' || !(path in files)) return readFileSync(path as string, options as 'utf8');
    const content = files[path];
    if (content === undefined)
      throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' });
    return options === undefined ? Buffer.from(content) : String(content);
  };
  fs.readFileSync = read as typeof readFileSync;
  fs.existsSync = (path) => (typeof path === 'string' && path in files ? files[path] !== undefined : existsSync(path));
  const stat = (path: unknown, options?: unknown): unknown => {
    if (typeof path !== 'string' || !(path in files)) return statSync(path as string, options as undefined);
    if (files[path] === undefined) throw Object.assign(new Error(`ENOENT: '${path}'`), { code: 'ENOENT', errno: -2 });
    return statSync('.');
  };
  const readlink = (path: unknown): string =>
    typeof path === 'string' && path in files ? String(read(path, 'latin1')) : readlinkSync(path as string);
  Object.assign(fs, { statSync: stat, readlinkSync: readlink });
  syncBuiltinESMExports();
  try {
    return body();
  } finally {
    Object.assign(fs, { readFileSync, existsSync, statSync, readlinkSync });
    syncBuiltinESMExports();
  }
}

/** Runs `body` with a fresh folder, and removes it. */
export function withFolder<T>(body: (folder: string) => T): T {
  const folder = fs.mkdtempSync(join(tmpdir(), 'skbdrop-test-'));
  const remove = (): void => fs.rmSync(folder, { recursive: true, force: true });
  let result: T;
  try {
    result = body(folder);
  } catch (error) {
    remove();
    throw error;
  }
  if (result instanceof Promise) return result.finally(remove) as T;
  remove();
  return result;
}

export function fixture(name: string): string {
  return fs.readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8');
}

import { getAsset, getRawAsset } from 'node:sea';
import { Script } from 'node:vm';
import { loader, PROGRAM } from './loader.ts';

/**
 * Where the one file begins. The program's modules lie inside it as text and are compiled when they are first
 * required, from V8's code cache where there is one: so a start costs little more than that of Node itself.
 */
const cached = new Set(JSON.parse(getAsset('cached', 'utf8')) as string[]);

const load = loader((name) => {
  // V8 refuses a cache that does not fit, and compiles.
  const cache = cached.has(name) ? { cachedData: new Uint8Array(getRawAsset(`${name}.cache`) as ArrayBuffer) } : {};
  return new Script(getAsset(name, 'utf8'), { filename: name, ...cache });
});

load(PROGRAM);

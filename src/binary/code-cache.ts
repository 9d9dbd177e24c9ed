import { readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/**
 * `node code-cache.js FILE...`: compiles each file with all its functions, not only those that V8 believes are called
 * at once, and writes what V8 wants to read next time into FILE.cache. Run by the very Node that will read it.
 */
for (const file of process.argv.slice(2)) {
  // In this order, because V8 compares the flags too.
  setFlagsFromString('--no-lazy');
  const script = new Script(readFileSync(file, 'utf8'));
  setFlagsFromString('--lazy');
  writeFileSync(`${file}.cache`, script.createCachedData());
}

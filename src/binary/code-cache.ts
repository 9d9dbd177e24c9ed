import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { loader, PROGRAM } from './loader.ts';

/**
 * `node code-cache.js FOLDER`: for each module there writes beside it, as NAME.cache, what V8 wants to read next time.
 * For the modules that every start loads these are the functions that a start calls, for the others all functions.
 * Run by the very Node that will read it.
 */
const [, , folder = ''] = process.argv;
const names = readdirSync(folder).map((name) => `./${name}`);
const scripts = new Map<string, Script>();

const compile = (name: string): Script => new Script(readFileSync(`${folder}/${name}`, 'utf8'), { filename: name });

function compileWhole(name: string): Script {
  // Back again before the cache is made, because V8 compares the flags too.
  setFlagsFromString('--no-lazy');
  const script = compile(name);
  setFlagsFromString('--lazy');
  return script;
}

const load = loader((name) => {
  const script = compile(name);
  scripts.set(name, script);
  return script;
});

process.argv = [process.execPath, 'skbdrop', '--version'];
process.on('exit', () => {
  for (const name of names) {
    writeFileSync(`${folder}/${name}.cache`, (scripts.get(name) ?? compileWhole(name)).createCachedData());
  }
});
load(PROGRAM);

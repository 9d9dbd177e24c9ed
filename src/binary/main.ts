import { getAsset, getRawAsset } from 'node:sea';
import { Script } from 'node:vm';

/**
 * Where the one file begins. The program's modules lie inside it as text, each a function as bundle.ts cuts it, and
 * are compiled when they are first required, from V8's code cache where there is one: so a start costs no more than
 * that of Node itself.
 */
interface Module {
  exports: object;
}

/** The module of which everything is a part. */
const PROGRAM = './skbdrop.js';

const modules = new Map<string, Module>();
const cached = new Set(JSON.parse(getAsset('cached', 'utf8')) as string[]);

/** `require` for the modules: the program's own by their names, Node's by Node. */
function load(name: string): object {
  if (!name.startsWith('./')) return require(name);
  let module = modules.get(name);
  if (module === undefined) {
    module = { exports: {} };
    modules.set(name, module);
    // V8 refuses a cache that does not fit, and compiles.
    const cache = cached.has(name) ? { cachedData: new Uint8Array(getRawAsset(`${name}.cache`) as ArrayBuffer) } : {};
    new Script(getAsset(name, 'utf8'), { filename: name, ...cache }).runInThisContext()(load, module, module.exports);
  }
  return module.exports;
}

load(PROGRAM);

import type { Script } from 'node:vm';

interface Module {
  exports: object;
}

/** The module of which everything is a part. */
export const PROGRAM = './skbdrop.js';

/**
 * `require` for the program's modules, which call one another by their names; what is not one of them is Node's.
 * `compile` gives a module's script: the function that bundle.ts has made of it.
 */
export function loader(compile: (name: string) => Script): (name: string) => object {
  const modules = new Map<string, Module>();
  return function load(name) {
    if (!name.startsWith('./')) return process.getBuiltinModule(name) as object;
    let module = modules.get(name);
    if (module === undefined) {
      module = { exports: {} };
      modules.set(name, module);
      compile(name).runInThisContext()(load, module, module.exports);
    }
    return module.exports;
  };
}

import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin, transform } from 'esbuild';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const here = `${root}src/binary`;

/** What is JavaScript inside the one file. */
export interface Bundle {
  /** The script that Node runs. */
  readonly main: string;
  /** The program's modules by the names they require each other by: functions of (require, module, exports). */
  readonly modules: ReadonlyMap<string, string>;
}

/**
 * Bundles the program as `npm run bundle` does, in modules that load one another when they are needed, and makes each
 * a function: a single executable can neither import nor require what is inside it.
 */
export async function bundle(): Promise<Bundle> {
  const common = { bundle: true, write: false, platform: 'node', target: 'node24', logLevel: 'warning' } as const;
  const [program, main] = await Promise.all([
    build({
      ...common,
      entryPoints: [`${root}src/cli/main.ts`],
      entryNames: 'skbdrop',
      chunkNames: '[name]-[hash]',
      splitting: true,
      format: 'esm',
      outdir: root,
      plugins: [replacements],
    }),
    build({ ...common, entryPoints: [`${here}/main.ts`], format: 'cjs' }),
  ]);
  const modules = new Map<string, string>();
  for (const { path, text } of program.outputFiles) modules.set(`./${basename(path)}`, await asFunction(text));
  return { main: main.outputFiles[0]!.text, modules };
}

async function asFunction(esm: string): Promise<string> {
  const { code } = await transform(esm, {
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    supported: { 'dynamic-import': false },
    // Names stay: a fault of ours is told with a stack trace that somebody has to read.
    minifyWhitespace: true,
    minifySyntax: true,
  });
  return `(function (require, module, exports) {${code.replace(/^#!.*/, '')}\n})`;
}

/** What stands in the place of something else inside the one file; each file there says why. */
const replacements: Plugin = {
  name: 'replacements',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^koffi$/ }, () => ({ path: `${here}/koffi.ts` }));
    onResolve({ filter: /^node:module$/ }, () => ({ path: `${here}/module.ts` }));
    // commander wants it for subcommands that are programs, of which we have none; Node takes long to load it.
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('/node_modules/commander/') ? { path: 'nothing', namespace: 'nothing' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: '' }));
  },
};

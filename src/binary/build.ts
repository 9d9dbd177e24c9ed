import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Bundle, bundle } from './bundle.ts';
import { type Arch, arches, koffiLibrary, node, nodeVersion, strippedNode } from './ingredients.ts';
import { companions, packTarball } from './tarball.ts';
import { BuildError, runTool, whole } from './tools.ts';

/**
 * `npm run build:binary [-- x64 arm64] [-- --no-tarball]` makes dist/skbdrop-linux-ARCH, the program in one file with
 * Node inside, and dist/skbdrop-linux-ARCH.tar.gz, the same with all libraries it needs. What is as it was last time
 * is left as it is.
 */
const root = fileURLToPath(new URL('../../..', import.meta.url));
const dist = `${root}dist`;
const CODE_CACHE = fileURLToPath(new URL('code-cache.js', import.meta.url));

/** How Node runs inside; nothing of it can be changed from outside, by NODE_OPTIONS or by arguments. */
const options = [
  // Deprecations and experiments of Node's are not the user's concern.
  '--no-warnings',
  // SIGUSR1 would open the inspector's port.
  '--disable-sigusr1',
  // A host's or a user's OpenSSL configuration that Node cannot read would end the program before it begins.
  '--openssl-config=/dev/null',
];

/** What makes Node look for a program inside itself: nodejs.org/api/single-executable-applications.html. */
const RESOURCE = 'NODE_SEA_BLOB';
const SENTINEL = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

async function build(arch: Arch, program: Bundle, withTarball: boolean): Promise<void> {
  const binary = `${dist}/skbdrop-linux-${arch}`;
  const koffi = await koffiLibrary(arch);
  const scripts = [program.main, ...[...program.modules].flat(), readFileSync(CODE_CACHE)];
  const recipe = digest(nodeVersion, ...options, ...scripts, readFileSync(koffi));
  await unlessMade(binary, recipe, () => makeBinary(arch, program, koffi, binary));
  if (!withTarball) return;
  const beside = await companions(arch);
  const archive = `${binary}.tar.gz`;
  await unlessMade(archive, digest(recipe, JSON.stringify(beside)), () => packTarball(arch, binary, beside));
}

async function makeBinary(arch: Arch, program: Bundle, koffi: string, binary: string): Promise<void> {
  const blob = await makeBlob(arch, program, koffi);
  const stripped = await strippedNode(arch);
  await whole(binary, (unfinished) => {
    copyFileSync(stripped, unfinished);
    // Not as a library, which would warn of sections without a name on our standard error.
    const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js');
    runTool([process.execPath, postject, unfinished, RESOURCE, blob, '--sentinel-fuse', SENTINEL]);
    chmodSync(unfinished, 0o755);
  });
}

/** Makes the file that Node finds inside itself: the script it runs, how it runs, and files for the script. */
async function makeBlob(arch: Arch, { main, modules }: Bundle, koffi: string): Promise<string> {
  const folder = `${root}.cache/binary/blob-${arch}`;
  await whole(folder, async (unfinished) => {
    mkdirSync(`${unfinished}/modules`, { recursive: true });
    const file = (name: string, text: string): string => {
      writeFileSync(`${unfinished}/${name}`, text);
      return `${unfinished}/${name}`;
    };
    const builder = `${await node(process.arch as Arch)}/bin/node`;
    const assets: Record<string, string> = { 'koffi.node': koffi };
    for (const [name, text] of modules) assets[name] = file(`modules/${name}`, text);
    const cached: string[] = [];
    if (arch === process.arch) {
      // Only the Node that will read it can say what V8 makes of a function.
      runTool([builder, CODE_CACHE, `${unfinished}/modules`]);
      for (const name of modules.keys()) {
        assets[`${name}.cache`] = `${assets[name]}.cache`;
        cached.push(name);
      }
    }
    assets.cached = file('cached.json', JSON.stringify(cached));
    const config = {
      main: file('main.cjs', main),
      output: `${unfinished}/blob`,
      disableExperimentalSEAWarning: true,
      execArgv: options,
      execArgvExtension: 'none',
      assets,
    };
    runTool([builder, '--experimental-sea-config', file('config.json', JSON.stringify(config))]);
  });
  return `${folder}/blob`;
}

/** Has a file made, unless it is there and was made by this recipe. */
async function unlessMade(file: string, recipe: string, make: () => Promise<void>): Promise<void> {
  const note = `${root}.cache/binary/${file.slice(dist.length + 1)}.recipe`;
  const made = existsSync(file) && existsSync(note) && readFileSync(note, 'utf8') === recipe;
  if (!made) {
    await make();
    writeFileSync(note, recipe);
  }
  const size = (statSync(file).size / 1e6).toFixed(1);
  process.stderr.write(`${file.slice(root.length)}: ${size} MB${made ? ', up to date' : ''}\n`);
}

function digest(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
}

const words = process.argv.slice(2);
const withTarball = !words.includes('--no-tarball');
const wanted = words.filter((word) => word !== '--no-tarball');
try {
  for (const word of wanted) {
    if (!arches.includes(word as Arch))
      throw new BuildError(`there is no ${word}; there are ${arches} and --no-tarball`);
  }
  const program = await bundle();
  for (const arch of wanted.length > 0 ? (wanted as Arch[]) : arches) await build(arch, program, withTarball);
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  process.stderr.write(`build:binary: ${error.message}\n`);
  process.exitCode = 1;
}

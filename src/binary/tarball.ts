import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';
import { elfSection } from '../kernel/elf.ts';
import { type Arch, debianNames, gnuNames, node } from './ingredients.ts';
import { BuildError, inPath, runTool, whole } from './tools.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Debian's release whose libraries go along. It is newer than what Node and koffi ask for (glibc 2.28). */
const SUITE = 'trixie';
const PACKAGES = ['libc6', 'libgcc-s1', 'libstdc++6', 'gcc-14-base'];

/** What a tarball holds beside the program: what changes, changes it. */
export interface Companions {
  readonly launcher: string;
  /** The loader and all libraries, by the names they are loaded by. */
  readonly libraries: readonly string[];
  readonly licences: readonly string[];
  /** Which versions. */
  readonly manifest: string;
}

/**
 * Debian's libraries that Node needs and they in turn, with the loader among them.
 *
 * @throws BuildError where apt is not here, or one is in none of the packages
 */
export async function companions(arch: Arch): Promise<Companions> {
  if (inPath(/^apt-get$/).length === 0) {
    throw new BuildError('the libraries for the tarball come from Debian packages, which takes apt-get');
  }
  const tree = `${root}.cache/binary/${SUITE}-${arch}`;
  runTool([`${root}vm/debian.sh`, SUITE, debianNames[arch], tree, ...PACKAGES]);
  const folder = `${tree}/usr/lib/${gnuNames[arch]}`;
  const libraries = new Map<string, string>();
  const visit = (file: string): void => {
    for (const name of neededBy(file)) {
      if (libraries.has(name)) continue;
      const library = `${folder}/${name}`;
      if (!existsSync(library)) throw new BuildError(`${basename(file)} needs ${name}, which is not in ${PACKAGES}`);
      libraries.set(name, library);
      visit(library);
    }
  };
  visit(`${await node(arch)}/bin/node`);
  const loader = [...libraries.keys()].find((name) => name.startsWith('ld-linux'));
  if (loader === undefined) throw new BuildError('no library names the loader');
  const documents = `${tree}/usr/share/doc`;
  return {
    launcher: readFileSync(`${root}src/binary/launcher.sh`, 'utf8').replace('LOADER', loader),
    libraries: [...libraries.values()],
    licences: readdirSync(documents)
      .map((name) => `${documents}/${name}/copyright`)
      .filter(existsSync),
    manifest: readFileSync(`${tree}/.packages`, 'utf8'),
  };
}

/** A folder with the program, its libraries and a launcher, packed: the same bytes from the same files. */
export async function packTarball(
  arch: Arch,
  binary: string,
  { launcher, libraries, licences }: Companions,
): Promise<void> {
  const name = `skbdrop-linux-${arch}`;
  await whole(`${root}.cache/binary/${arch}`, async (unfinished) => {
    const folder = `${unfinished}/${name}`;
    mkdirSync(`${folder}/lib`, { recursive: true });
    mkdirSync(`${folder}/licences`);
    writeFileSync(`${folder}/skbdrop`, launcher);
    copyFileSync(binary, `${folder}/lib/skbdrop`);
    for (const library of libraries) copyFileSync(library, `${folder}/lib/${basename(library)}`);
    for (const file of [`${folder}/skbdrop`, ...readdirSync(`${folder}/lib`).map((each) => `${folder}/lib/${each}`)]) {
      chmodSync(file, 0o755);
    }
    copyFileSync(`${root}LICENSE`, `${folder}/licences/skbdrop`);
    copyFileSync(`${await node(arch)}/LICENSE`, `${folder}/licences/node`);
    copyFileSync(`${root}node_modules/koffi/LICENSE.txt`, `${folder}/licences/koffi`);
    for (const licence of licences)
      copyFileSync(licence, `${folder}/licences/${basename(licence.replace(/\/copyright$/, ''))}`);
    await whole(`${root}dist/${name}.tar.gz`, async (archive) => {
      const order = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
      const tar = spawn('tar', [...order, '-C', unfinished, '-cf', '-', name], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(tar, 'exit');
      await pipeline(tar.stdout, createGzip({ level: 9 }), createWriteStream(archive));
      const [status] = await ended;
      if (status !== 0) throw new BuildError(`tar ended with ${status}`);
    });
  });
}

/** What an ELF program or library names as DT_NEEDED in its dynamic section (elf.h; 64 bits, little-endian). */
function neededBy(file: string): string[] {
  const bytes = readFileSync(file);
  const section = (name: string): Buffer => Buffer.from(elfSection(bytes, name, file));
  const strings = section('.dynstr');
  const dynamic = section('.dynamic');
  const names: string[] = [];
  for (let at = 0; at < dynamic.length; at += 16) {
    const tag = dynamic.readBigInt64LE(at);
    if (tag === DT_NULL) break;
    const start = Number(dynamic.readBigUInt64LE(at + 8));
    if (tag === DT_NEEDED) names.push(strings.toString('latin1', start, strings.indexOf(0, start)));
  }
  return names;
}

const DT_NULL = 0n;
const DT_NEEDED = 1n;

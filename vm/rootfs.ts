import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { koffiLibrary, node } from '../src/binary/ingredients.ts';
import { companions } from '../src/binary/tarball.ts';
import { SkbdropError } from '../src/sys/errors.ts';
import type { Arch } from './config.ts';
import { directory, type Entry, file, link, tree } from './cpio.ts';
import { DEBIAN_ARCH, debian } from './kernel.ts';
import { cache, project } from './paths.ts';

/** Where the machines' userlands come from. */
const SUITE = 'bookworm';
const NODE_ARCH = { x86_64: 'x64', aarch64: 'arm64' } as const;

/** Path of a busybox that needs no library, for the architecture. */
export function staticBusybox(arch: Arch): string {
  const folder = join(cache, 'packages', `busybox-${arch}`);
  debian(SUITE, DEBIAN_ARCH[arch], folder, 'busybox-static');
  return join(folder, 'bin/busybox');
}

/** The roots that this project can make, by the beginning of their names. */
const kinds: Readonly<Record<string, (root: string, arch: Arch) => Promise<void>>> = {
  /** Node, its libraries and the project: for an architecture that is not this host's. */
  node: async (root, arch) => {
    const { libraries } = await companions(NODE_ARCH[arch]);
    mkdirSync(join(root, 'lib'));
    for (const library of libraries) cpSync(library, join(root, 'lib', basename(library)), { dereference: true });
    cpSync(join(await node(NODE_ARCH[arch]), 'bin/node'), join(root, 'bin/node'));
    const home = join(root, 'skbdrop');
    const parts = ['package.json', 'dist', 'vm', 'node_modules/koffi', 'node_modules/commander'];
    for (const part of parts) {
      cpSync(join(project, part), join(home, part), { recursive: true, filter: (path) => !isArtefact(path) });
    }
    const native = dirname(dirname(await koffiLibrary(NODE_ARCH[arch])));
    cpSync(native, join(home, `node_modules/@koromix/koffi-linux-${NODE_ARCH[arch]}`), { recursive: true });
  },
  /** busybox, and the program in the form that brings everything else along. */
  busybox: async (root, arch) => {
    const archive = join(project, 'dist', `skbdrop-linux-${NODE_ARCH[arch]}.tar.gz`);
    if (!existsSync(archive)) {
      throw new SkbdropError('usage', `there is no ${archive}`, { hint: 'Make it: npm run build:binary' });
    }
    execFileSync('tar', ['-xzf', archive, '-C', root]);
    mkdirSync(join(root, 'vm'), { recursive: true });
    cpSync(join(project, 'vm/guest/minimal.sh'), join(root, 'vm/minimal.sh'));
  },
};

/**
 * Makes a machine's root anew, as `KIND-ARCH` in `.cache/vm/rootfs`.
 *
 * @throws SkbdropError `usage` where the path is not there and is none of ours
 */
export async function buildRootfs(path: string, arch: Arch): Promise<void> {
  const build = kinds[basename(path).replace(`-${arch}`, '')];
  if (build === undefined || dirname(path) !== join(cache, 'rootfs')) {
    if (existsSync(path)) return;
    throw new SkbdropError('usage', `there is no root ${path}`);
  }
  rmSync(path, { recursive: true, force: true });
  mkdirSync(join(path, 'bin'), { recursive: true });
  const busybox = staticBusybox(arch);
  cpSync(busybox, join(path, 'bin/busybox'));
  for (const applet of applets) symlinkSync('busybox', join(path, 'bin', applet));
  await build(path, arch);
}

/** What the machines' commands and scripts call. */
const applets = [
  'sh',
  'cat',
  'ls',
  'mount',
  'umount',
  'mkdir',
  'rm',
  'grep',
  'sed',
  'awk',
  'sort',
  'uname',
  'sleep',
  'kill',
];

/** What of this host's root the checks use, beside the project itself. */
const PROJECT_PARTS = [
  'package.json',
  'dist',
  'vm',
  ...['koffi', '@koromix', 'commander', 'elfy'].map((name) => `node_modules/${name}`),
];

/**
 * This host's root, as far as the matrix needs it, with everything where it is here: Node, its libraries, the project.
 * A whole root would have to be shared, and reading through that takes a translated machine three times as long.
 */
export function* sliceOfThisRoot(): Generator<Entry> {
  const programs = [process.execPath, '/usr/bin/setpriv'];
  const files = new Set(programs.flatMap((path) => [path, ...librariesOf(path)]));
  const made = new Set<string>();
  function* parents(path: string): Generator<Entry> {
    const parts = path
      .split('/')
      .filter((part) => part !== '')
      .slice(0, -1);
    for (let n = 1; n <= parts.length; n++) {
      const folder = parts.slice(0, n).join('/');
      if (!made.has(folder)) yield directory(folder);
      made.add(folder);
    }
  }
  for (const path of files) {
    yield* parents(path);
    yield file(path.slice(1), readFileSync(path), 0o755);
  }
  yield* parents('/bin/.');
  for (const applet of applets) yield link(`bin/${applet}`, '/vm/busybox');
  for (const part of PROJECT_PARTS) {
    const path = join(project, part);
    yield* parents(path);
    if (statSync(path).isDirectory()) {
      yield directory(path.slice(1));
      for (const entry of tree(path, path.slice(1))) {
        if (!isArtefact(`/${entry.path}`) || entry.path.endsWith(`-${process.arch}`)) yield entry;
      }
    } else {
      yield file(path.slice(1), readFileSync(path));
    }
  }
}

/** Absolute paths of the shared libraries and the loader that a program needs here. */
function librariesOf(program: string): string[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

/** What `npm run build:binary` makes. */
function isArtefact(path: string): boolean {
  return /\/dist\/skbdrop-linux-/.test(path);
}

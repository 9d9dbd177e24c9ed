import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SkbdropError } from '../src/sys/errors.ts';
import type { Arch } from './config.ts';
import { DEBIAN_ARCH, debian } from './kernel.ts';
import { cache, project } from './paths.ts';

/** Where the machines' userlands come from. */
const SUITE = 'bookworm';
const NODE_ARCH: Record<Arch, string> = { x86_64: 'x64', aarch64: 'arm64' };
/** An LTS release that npm has for both architectures. */
const NODE_VERSION: Record<Arch, string> = { x86_64: '24.21.0', aarch64: '24.22.0' };

/** Path of a busybox that needs no library, for the architecture. */
export function staticBusybox(arch: Arch): string {
  const folder = join(cache, 'packages', `busybox-${arch}`);
  debian(SUITE, DEBIAN_ARCH[arch], folder, 'busybox-static');
  return join(folder, 'bin/busybox');
}

/** The roots that this project can make, by the beginning of their names. */
const kinds: Readonly<Record<string, (root: string, arch: Arch) => void>> = {
  /** Node, its libraries and the project: for an architecture that is not this host's. */
  node: (root, arch) => {
    const libraries = join(cache, 'packages', `libraries-${arch}`);
    debian(SUITE, DEBIAN_ARCH[arch], libraries, 'libc6', 'libstdc++6', 'libgcc-s1');
    cpSync(join(libraries, 'lib'), join(root, 'lib'), { recursive: true, verbatimSymlinks: true });
    cpSync(join(libraries, 'usr/lib'), join(root, 'usr/lib'), { recursive: true, verbatimSymlinks: true });
    if (existsSync(join(libraries, 'lib64'))) {
      cpSync(join(libraries, 'lib64'), join(root, 'lib64'), { recursive: true, verbatimSymlinks: true });
    }
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    cpSync(
      join(npmPackage(`node-linux-${NODE_ARCH[arch]}`, NODE_VERSION[arch]), 'bin/node'),
      join(root, 'usr/bin/node'),
    );

    const home = join(root, 'skbdrop');
    const modules = join(home, 'node_modules');
    for (const part of ['package.json', 'dist', 'vm', 'node_modules/koffi', 'node_modules/commander']) {
      cpSync(join(project, part), join(home, part), { recursive: true, filter: (path) => !isArtefact(path) });
    }
    const native = `@koromix/koffi-linux-${NODE_ARCH[arch]}`;
    cpSync(npmPackage(native, versionOf('koffi')), join(modules, native), { recursive: true });
  },
  /** busybox, and the program in the form that brings everything else along. */
  busybox: (root, arch) => {
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
export function buildRootfs(path: string, arch: Arch): void {
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
  build(path, arch);
}

/** What the guests' scripts call. */
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

function isArtefact(path: string): boolean {
  return /\/dist\/skbdrop-linux-/.test(path);
}

/** The folder of a package from npm's registry, fetched once. */
function npmPackage(name: string, version: string): string {
  const folder = join(cache, 'packages', `${name.replaceAll(/[@/]/g, '_')}-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  try {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', work, `${name}@${version}`], { cwd: project });
    execFileSync('sh', ['-c', 'tar -xzf *.tgz && rm *.tgz'], { cwd: work });
    renameSync(join(work, 'package'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

function versionOf(name: string): string {
  const { dependencies } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  return dependencies[name];
}

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  lutimesSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SkbdropError } from '../src/sys/errors.ts';
import type { Arch } from './config.ts';
import { cache, project } from './paths.ts';

/** A kernel to boot: Debian's own, in the flavour for virtual machines, unpacked below the cache. */
export interface Kernel {
  /** `6.12.107+deb13-cloud-amd64`. */
  readonly release: string;
  readonly arch: Arch;
  /** Absolute path of its image. */
  readonly image: string;
  /** Absolute path of the directory with its modules, `…/lib/modules/RELEASE`. */
  readonly moduleTree: string;
  /** Absolute paths of the files of these modules and all they need, in loading order; those built in need none. */
  modules(names: readonly string[]): readonly string[];
}

/** Which Debian brings which kernel. */
const SUITES: Readonly<Record<string, string>> = {
  '5.10': 'bullseye',
  '6.1': 'bookworm',
  '6.12': 'trixie',
  '7.2': 'sid',
};
export const DEBIAN_ARCH: Record<Arch, string> = { x86_64: 'amd64', aarch64: 'arm64' };

/** The image of a series, `6.12` for one, where `vm/vmtest.toml` names it. */
export function imagePath(series: string, arch: Arch): string {
  return join(cache, 'kernels', `${series}-${DEBIAN_ARCH[arch]}`, 'vmlinuz');
}

/**
 * The kernel that an image's path names. One below the cache is fetched where it is not there, or where a day has gone
 * by and Debian has a newer one.
 *
 * @throws SkbdropError `usage` for a path that does not exist, `unsupported` where it cannot be fetched
 */
export function openKernel(image: string, arch: Arch): Kernel {
  const folder = dirname(image);
  const ours = /^([\d.]+)-(amd64|arm64)$/.exec(basename(folder));
  if (ours !== null && dirname(folder) === join(cache, 'kernels')) {
    if (ours[2] !== DEBIAN_ARCH[arch]) throw new SkbdropError('usage', `${image} is no kernel for ${arch}`);
    if (!fresh(folder)) refresh(ours[1]!, arch, folder);
  }
  if (!existsSync(image)) throw new SkbdropError('usage', `there is no kernel ${image}`);
  return new UnpackedKernel(image, arch);
}

/** Yesterday's kernel is better than none, but it is said. */
function refresh(series: string, arch: Arch, folder: string): void {
  try {
    fetchKernel(series, arch, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    process.stderr.write(`vm: going on with the Linux ${series} of before: ${(error as Error).message}\n`);
    // Not again for a day.
    lutimesSync(folder, new Date(), new Date());
  }
}

/** Whether the link was made within the last day. */
function fresh(folder: string): boolean {
  const link = lstatSync(folder, { throwIfNoEntry: false });
  return link !== undefined && existsSync(folder) && Date.now() - link.mtimeMs < 24 * 3600 * 1000;
}

/** Makes `folder` a link to the directory of the newest release. Each release is unpacked once and kept. */
function fetchKernel(series: string, arch: Arch, folder: string): void {
  const suite = SUITES[series];
  if (suite === undefined) {
    throw new SkbdropError('usage', `there is no known source of Linux ${series}`, {
      hint: `The kernels are ${Object.keys(SUITES).join(', ')}; the path of any other image will do as well`,
    });
  }
  const flavour = `cloud-${DEBIAN_ARCH[arch]}`;
  const unpacked = `${folder}.new.${process.pid}`;
  rmSync(unpacked, { recursive: true, force: true });
  // The package that everybody installs only names the newest; newer Debian splits the image from its modules.
  debian('-d', 'linux-*-cloud-*', suite, DEBIAN_ARCH[arch], unpacked, `linux-image-${flavour}`);
  const trees = ['lib/modules', 'usr/lib/modules']
    .map((path) => join(unpacked, path))
    .filter((path) => existsSync(path));
  const release = trees.flatMap((path) => readdirSync(path))[0];
  if (release === undefined || !release.startsWith(`${series}.`)) {
    throw new SkbdropError('unsupported', `Debian's ${suite} has Linux ${release}, and no longer ${series}`);
  }
  const target = join(cache, 'kernels', release);
  if (!existsSync(target)) {
    arrange(unpacked, release);
    renameSync(unpacked, target);
  }
  rmSync(unpacked, { recursive: true, force: true });
  const link = `${folder}.link.${process.pid}`;
  symlinkSync(release, link);
  renameSync(link, folder);
}

/** Puts the image where every release has it, and writes the list of what each module needs. */
function arrange(folder: string, release: string): void {
  const trees = ['lib/modules', 'usr/lib/modules'].map((path) => join(folder, path, release));
  const tree = trees.find((path) => existsSync(path))!;
  const images = [join(folder, 'boot', `vmlinuz-${release}`), join(tree, 'vmlinuz')];
  const image = images.find((path) => existsSync(path))!;
  symlinkSync(image.slice(folder.length + 1), join(folder, 'vmlinuz'));
  symlinkSync(tree.slice(folder.length + 1), join(folder, 'modules'));
  try {
    const base = tree.slice(0, -`/lib/modules/${release}`.length);
    execFileSync('depmod', ['-b', base, release], {
      stdio: 'pipe',
      env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
  } catch (cause) {
    throw new SkbdropError('unsupported', `depmod cannot list the modules of ${release}: ${(cause as Error).message}`, {
      hint: 'Install it: apt-get install kmod',
      cause,
    });
  }
}

/** Runs `vm/debian.sh`, and returns what it prints. */
export function debian(...words: readonly string[]): string {
  try {
    return execFileSync(join(project, 'vm/debian.sh'), words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (cause) {
    const details = String((cause as { stderr?: string }).stderr ?? (cause as Error).message).trim();
    throw new SkbdropError('unsupported', `cannot get packages from Debian: ${details.split('\n').at(-1)}`, {
      details,
      cause,
    });
  }
}

class UnpackedKernel implements Kernel {
  readonly image: string;
  readonly arch: Arch;
  readonly release: string;
  readonly moduleTree: string;

  constructor(image: string, arch: Arch) {
    this.image = image;
    this.arch = arch;
    // A kernel of the user's own may have everything built in, and then no directory of modules beside it.
    this.moduleTree = join(dirname(image), 'modules');
    this.release = existsSync(this.moduleTree) ? basename(realpathSync(this.moduleTree)) : basename(image);
  }

  modules(names: readonly string[]): readonly string[] {
    const list = join(this.moduleTree, 'modules.dep');
    if (!existsSync(list)) return [];
    // Each line: a module's path, and the paths of those it needs, the last to be loaded first.
    const needs = new Map<string, readonly string[]>();
    for (const line of readFileSync(list, 'utf8').split('\n')) {
      const [path, others] = line.split(':');
      if (path)
        needs.set(
          path,
          others!.split(' ').filter((other) => other !== ''),
        );
    }
    const wanted = new Set<string>();
    for (const name of names) {
      const path = [...needs.keys()].find((each) => new RegExp(`/${name.replaceAll('_', '[-_]')}\\.ko`).test(each));
      if (path !== undefined) for (const each of [...needs.get(path)!].reverse().concat(path)) wanted.add(each);
    }
    return [...wanted].map((path) => join(this.moduleTree, path));
  }
}

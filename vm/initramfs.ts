import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { directory, type Entry, file, newc } from './cpio.ts';
import type { Kernel } from './kernel.ts';
import { project } from './paths.ts';

/** What one boot is about; `guest/init` and `guest/run` read it. */
export interface Boot {
  /** What starts the lines that the machine writes for the runner alone. */
  readonly mark: string;
  /** Shell commands. */
  readonly script: string;
  /** What the machine's root holds; without it the host's root is shared. */
  readonly root?: Iterable<Entry> | undefined;
  /** Give the command the console as its terminal, with this many columns and rows. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
}

/** What the machine cannot mount its root or run a demo without, where the kernel has not built it in. */
const MODULES = ['virtio_pci', 'virtiofs', 'overlay', 'tun'] as const;
/** A machine whose root is in its memory needs no driver for it. */
const MODULES_WITHOUT_SHARE = ['tun'] as const;

/** Writes the archive that the kernel unpacks into its first root. */
export function writeInitramfs(path: string, kernel: Kernel, busybox: string, boot: Boot): void {
  const fd = openSync(path, 'w');
  try {
    for (const piece of newc(entries(kernel, busybox, boot))) writeSync(fd, piece);
  } finally {
    closeSync(fd);
  }
}

function* entries(kernel: Kernel, busybox: string, boot: Boot): Generator<Entry> {
  if (boot.root !== undefined) yield* boot.root;
  const modules = kernel.modules(boot.root === undefined ? MODULES : MODULES_WITHOUT_SHARE);
  // busybox's switch_root wants to see that it is in an initramfs before it empties it.
  if (boot.root === undefined) yield file('init', '');
  yield directory('vm');
  yield file('vm/busybox', readFileSync(busybox), 0o755);
  yield file('vm/init', guest('init'), 0o755);
  yield file('vm/run', guest('run'), 0o755);
  yield file('vm/command', boot.script);
  yield file('vm/config', settings(kernel, modules, boot));
  yield directory('vm/modules');
  for (const module of modules) yield file(`vm/modules/${moduleName(module)}.ko`, uncompressed(module));
}

/** For a shell to read; every value in single quotes. */
function settings(kernel: Kernel, modules: readonly string[], boot: Boot): string {
  const { terminal } = boot;
  const values = {
    MARK: boot.mark,
    MODULES: modules.map(moduleName).join(' '),
    MODULE_TREE: kernel.moduleTree,
    SHARED_ROOT: boot.root === undefined ? 'yes' : '',
    INTERACTIVE: terminal === undefined ? '' : 'yes',
    TERMINAL_SIZE: terminal === undefined ? '' : `cols ${terminal.columns} rows ${terminal.rows}`,
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`)
    .join('');
}

function guest(name: string): Buffer {
  return readFileSync(join(project, 'vm/guest', name));
}

/** `…/overlay.ko.xz` is `overlay`. */
function moduleName(path: string): string {
  return path.replace(/^.*\//, '').replace(/\.ko(\.\w+)?$/, '');
}

function uncompressed(path: string): Buffer {
  const options = { maxBuffer: 64 * 1024 * 1024 };
  if (path.endsWith('.xz')) return execFileSync('xz', ['-dc', path], options);
  if (path.endsWith('.zst')) return execFileSync('zstd', ['-dc', path], options);
  return readFileSync(path);
}

import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';

/**
 * Files without a name, for code that is to be loaded from memory: nobody else sees them, and the kernel frees them
 * with the process, however it ends. O_TMPFILE makes them (open(2), Linux 3.11); Node's constants lack it. What it is
 * made of is from asm-generic/fcntl.h, the part that differs between architectures is O_DIRECTORY. O_EXCL says that
 * the file shall never have a name.
 */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/**
 * Gives `use` the path of an unnamed file with these bytes, in one folder after the other until it succeeds.
 *
 * @returns what `use` returned, or undefined where nothing worked; `failures` then holds a line for each try
 */
export function withUnnamedFile<T>(bytes: Uint8Array, failures: string[], use: (path: string) => T): T | undefined {
  const attempt = (folder: string): T | undefined => {
    let fd: number | undefined;
    try {
      fd = openSync(folder, O_TMPFILE | constants.O_EXCL | constants.O_RDWR, 0o600);
      writeFileSync(fd, bytes);
      return use(`/proc/self/fd/${fd}`);
    } catch (error) {
      failures.push(`${folder}: ${(error as Error).message}`);
      return undefined;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  };
  for (const folder of usualFolders) {
    const result = attempt(folder);
    if (result !== undefined) return result;
  }
  for (const folder of mountedFolders()) {
    const result = attempt(folder);
    if (result !== undefined) return result;
  }
  return inFolderOfOurOwn(attempt);
}

/** In memory first. They are tried without a look at how they are mounted: mostly the first one does. */
const usualFolders = ['/dev/shm', '/run', '/tmp', '/var/tmp'];

/** File systems that the kernel itself keeps. One kept by a process or by another host could change what we wrote. */
const trusted = new Set(['tmpfs', 'devtmpfs', 'ramfs', 'ext4', 'xfs', 'btrfs', 'f2fs', 'overlay']);

/** Where else a file system is mounted from which code can be loaded; proc(5) describes /proc/self/mounts. */
function mountedFolders(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type = '', options = '']) => {
      const words = options.split(',');
      return trusted.has(type) && words.includes('rw') && !words.includes('noexec');
    })
    .map(([, folder = '']) =>
      folder.replace(/\\(\d{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8))),
    );
}

/**
 * The last resort, where nothing can be written or nothing of it loaded: a child mounts a tmpfs in a mount namespace
 * of its own, which is reached through the child. It waits at a pipe from us, so it ends when we do, and the mount with
 * it; nobody else has seen it.
 */
function inFolderOfOurOwn<T>(attempt: (folder: string) => T | undefined): T | undefined {
  const flags = process.geteuid?.() === 0 ? '-m' : '-rm';
  const script = 'mount -t tmpfs -o mode=0700 skbdrop /dev && : >/dev/mounted && read -r _';
  const child = spawn('unshare', [flags, 'sh', '-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  try {
    if (child.pid === undefined) return undefined;
    const folder = `/proc/${child.pid}/root/dev`;
    const end = Date.now() + PATIENCE_MS;
    // Not through the event loop: modules are loaded in one go.
    const clock = new Int32Array(new SharedArrayBuffer(4));
    while (!existsSync(`${folder}/mounted`)) {
      if (Date.now() > end || !existsSync(`/proc/${child.pid}/exe`)) return undefined;
      Atomics.wait(clock, 0, 0, 2);
    }
    return attempt(folder);
  } finally {
    child.stdin.destroy();
  }
}

const PATIENCE_MS = 2000;

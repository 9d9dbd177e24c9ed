import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SkbdropError } from '../src/sys/errors.ts';
import type { Accelerator } from './accel.ts';
import type { Arch } from './config.ts';
import { type End, MachineConsole } from './console.ts';
import { type Boot, writeInitramfs } from './initramfs.ts';
import type { Kernel } from './kernel.ts';

export interface MachineSpec extends Omit<Boot, 'mark'> {
  readonly kernel: Kernel;
  readonly accelerator: Accelerator;
  readonly cpus: number;
  /** As QEMU's `-m` takes it. */
  readonly memory: string;
  readonly kernelArgs?: string | undefined;
  readonly extraArgs?: readonly string[] | undefined;
  /** A static busybox for the machine's architecture. */
  readonly busybox: string;
  /** The machine is ended after so long. */
  readonly seconds: number;
  /** What the command prints, as it comes. */
  readonly onOutput: (text: string) => void;
  /** Ends the machine. */
  readonly signal?: AbortSignal | undefined;
}

export interface Outcome {
  readonly end: End;
  /** The time was up before there was an end. */
  readonly timedOut: boolean;
  /** The last lines on the console. */
  readonly tail: readonly string[];
  /** How long it took, in seconds. */
  readonly seconds: number;
}

/**
 * Boots a machine, runs one command in it, and waits until it is off. Whatever happens, its processes and files are
 * gone afterwards; if this process is killed, the kernel ends them, and the next boot removes the files.
 *
 * @throws SkbdropError `unsupported` where QEMU is not there, or the host's root cannot be shared
 */
export async function boot(spec: MachineSpec): Promise<Outcome> {
  const began = performance.now();
  sweep();
  const folder = mkdtempSync(join(tmpdir(), `skbdrop-vm-${process.pid}-`));
  const children: ChildProcess[] = [];
  const screen = new MachineConsole(spec.onOutput);
  let timedOut = false;
  try {
    const initramfs = join(folder, 'initramfs');
    writeInitramfs(initramfs, spec.kernel, spec.busybox, { ...spec, mark: screen.mark });
    const share = spec.root === undefined ? join(folder, SOCKET) : undefined;
    if (share !== undefined) {
      const server = start(virtiofsd(), [`--socket-path=${share}`, ...virtiofsdOptions()], 'ignore');
      children.push(server);
      await appears(share, server);
    }
    const program = `qemu-system-${spec.kernel.arch}`;
    const interactive = spec.terminal !== undefined;
    const qemu = start(program, qemuArguments(spec, initramfs, share), interactive ? 'inherit' : 'ignore');
    children.push(qemu);
    qemu.stdout!.setEncoding('utf8').on('data', (text: string) => screen.write(text));
    let said = '';
    qemu.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const timer = setTimeout(() => {
      timedOut = true;
      qemu.kill('SIGKILL');
    }, spec.seconds * 1000);
    const stop = (): void => void qemu.kill('SIGKILL');
    spec.signal?.addEventListener('abort', stop);
    if (spec.signal?.aborted) stop();
    try {
      await closed(qemu, program);
    } finally {
      clearTimeout(timer);
      spec.signal?.removeEventListener('abort', stop);
    }
    const tail = said === '' ? screen.tail : [...screen.tail, ...said.trimEnd().split('\n')];
    return { end: screen.end, timedOut, tail, seconds: (performance.now() - began) / 1000 };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    remove(folder);
  }
}

/** Why there is no status to trust; undefined where there is one. */
export function whyNoEnd({ end, timedOut, seconds }: Outcome): string | undefined {
  if (end.kind === 'exited') return undefined;
  if (end.kind === 'broken') return end.why;
  return timedOut
    ? `the machine did not come to an end within ${Math.round(seconds)} s`
    : 'the machine went off without saying how its command ended';
}

const SHARE_SECONDS = 10;
const SOCKET = 'root.sock';
const SERIAL: Record<Arch, string> = { x86_64: 'ttyS0', aarch64: 'ttyAMA0' };

function qemuArguments(spec: MachineSpec, initramfs: string, share: string | undefined): string[] {
  const { kernel, accelerator, cpus, memory } = spec;
  const root =
    share === undefined
      ? ['-m', memory]
      : [
          // The file server reads and writes the machine's memory, so both must map it.
          ...['-m', memory, '-object', `memory-backend-memfd,id=memory,size=${memory},share=on`],
          ...['-numa', 'node,memdev=memory'],
          ...['-chardev', `socket,id=root,path=${share}`, '-device', 'vhost-user-fs-pci,chardev=root,tag=hostroot'],
        ];
  const machine: Record<Arch, string[]> = {
    // Now and then the flags are wrong after a CMPXCHG16B that QEMU 7.2 translates, and a kernel that allocates memory
    // with it (6.12 does) panics: one boot in eight. Without the feature the kernel takes a lock.
    x86_64: ['-cpu', accelerator === 'kvm' ? 'host' : 'max,-cx16'],
    // The pointers' signatures of -cpu max are real cryptography, which takes a translator most of its time.
    aarch64: ['-machine', 'virt', '-cpu', accelerator === 'kvm' ? 'host' : 'max,pauth-impdef=on'],
  };
  const append = [`console=${SERIAL[kernel.arch]}`, 'quiet', 'panic=-1', 'rdinit=/vm/init', spec.kernelArgs ?? ''];
  return [
    ...machine[kernel.arch],
    ...['-accel', accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'],
    ...['-smp', String(cpus)],
    ...root,
    ...['-nodefaults', '-display', 'none', '-no-reboot'],
    // Keys such as ^C are the machine's, not QEMU's.
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-kernel', kernel.image, '-initrd', initramfs, '-append', append.join(' ').trim()],
    ...(spec.extraArgs ?? []),
  ];
}

/** The server of the host's root. QEMU 7 and before brought one in C; newer ones are a package of their own, in Rust. */
function virtiofsd(): string {
  const found = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd'].find((path) => existsSync(path));
  if (found === undefined) {
    throw new SkbdropError('unsupported', 'there is no virtiofsd, which shares this root with a machine', {
      hint: 'Install it: apt-get install virtiofsd (it comes with qemu-system-common before Debian 13)',
    });
  }
  return found;
}

function virtiofsdOptions(): string[] {
  return virtiofsd().includes('libexec')
    ? ['--shared-dir=/', '--cache=always', '--sandbox=none']
    : ['-o', 'source=/', '-o', 'cache=always', '-o', 'sandbox=chroot'];
}

/** Removes what runners of this user left that were killed: their folders carry the number of their process. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = /^skbdrop-vm-(\d+)-/.exec(name)?.[1];
    const folder = join(tmpdir(), name);
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    if (lstatSync(folder, { throwIfNoEntry: false })?.uid === process.getuid!()) remove(folder);
  }
}

/** Removes a machine's folder, and what QEMU 7's virtiofsd leaves in the place of a lock on the socket in it. */
function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  rmSync(join('/run/virtiofsd', `${join(folder, SOCKET).replaceAll('/', '.')}.pid`), { force: true });
}

/** Starts a process that does not outlive this one. */
function start(program: string, words: readonly string[], input: 'inherit' | 'ignore'): ChildProcess {
  return spawn('setpriv', ['--pdeathsig=KILL', '--', program, ...words], { stdio: [input, 'pipe', 'pipe'] });
}

/** @throws SkbdropError with the server's own words where it ends before its socket is there */
async function appears(socket: string, server: ChildProcess): Promise<void> {
  let said = '';
  server.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  server.stdout!.resume();
  let over = false;
  server.once('error', () => {
    over = true;
  });
  server.once('exit', () => {
    over = true;
  });
  const end = Date.now() + SHARE_SECONDS * 1000;
  while (!existsSync(socket)) {
    if (over || Date.now() > end) {
      const hint = 'It wants root, and setpriv (util-linux) starts it';
      throw new SkbdropError('unsupported', 'virtiofsd does not share this root', { hint, details: said.trim() });
    }
    await sleep(10);
  }
}

function closed(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('close', (status) => {
      // setpriv's own word for a program that it cannot run.
      if (status === 127) reject(missing(program));
      else resolve();
    });
    child.once('error', () => reject(missing('setpriv')));
  });
}

function missing(program: string): SkbdropError {
  const packages: Record<string, string> = {
    'qemu-system-x86_64': 'qemu-system-x86',
    'qemu-system-aarch64': 'qemu-system-arm',
    setpriv: 'util-linux',
  };
  return new SkbdropError('unsupported', `there is no ${program} on this host`, {
    hint: `Install it: apt-get install ${packages[program]}`,
  });
}

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { SkbdropError } from '../src/sys/errors.ts';

/** As vmtest and `uname -m` call them. */
export type Arch = 'x86_64' | 'aarch64';

export function hostArch(): Arch | undefined {
  return ({ x64: 'x86_64', arm64: 'aarch64' } as const)[process.arch as 'x64' | 'arm64'];
}

/** A machine to boot and what to run in it: a `[[target]]` of vmtest's configuration file, with its defaults. */
export interface Target {
  readonly name: string;
  /** Absolute path of the kernel's image. */
  readonly kernel: string;
  readonly kernelArgs: string;
  /** Absolute path: `/` is this host's own root, shared; any other directory is packed into the machine's memory. */
  readonly rootfs: string;
  readonly arch: Arch;
  /** For the shell. */
  readonly command: string;
  readonly cpus: number;
  /** As QEMU's `-m` takes it. */
  readonly memory: string;
  readonly extraArgs: readonly string[];
}

/** What of vmtest's format (danobi/vmtest, docs/config.md) says something about machines of another kind. */
const NOT_OURS = ['image', 'uefi', 'qemu_command', 'kvm_cpu_args'];

/** @throws SkbdropError `usage` where the file is not one that this runner can follow */
export function readTargets(path: string): readonly Target[] {
  const fail = (what: string): SkbdropError => new SkbdropError('usage', `${path}: ${what}`);
  let config: Record<string, unknown>;
  try {
    config = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw fail((error as Error).message);
  }
  const targets = config.target;
  if (!Array.isArray(targets)) throw fail('there is no [[target]]');
  return targets.map((entry: Record<string, unknown>, index) => {
    const where = typeof entry.name === 'string' ? `target "${entry.name}"` : `target ${index + 1}`;
    const text = (key: string, fallback?: string): string => {
      const value = entry[key] ?? fallback;
      if (typeof value !== 'string' || value === '') throw fail(`${where}: ${key} must be a text`);
      return value;
    };
    for (const key of NOT_OURS) {
      if (key in entry) throw fail(`${where}: ${key} is vmtest's; this runner boots kernels with their own defaults`);
    }
    const arch = text('arch', 'x86_64');
    if (arch !== 'x86_64' && arch !== 'aarch64') throw fail(`${where}: arch "${arch}" is neither x86_64 nor aarch64`);
    const { num_cpus = 2, memory = '4G', extra_args = [] } = (entry.vm ?? {}) as Record<string, unknown>;
    if (typeof num_cpus !== 'number' || num_cpus < 1) throw fail(`${where}: num_cpus must be a number above 0`);
    if (typeof memory !== 'string') throw fail(`${where}: memory must be a text`);
    if (!isTexts(extra_args)) throw fail(`${where}: extra_args must be texts`);
    return {
      name: text('name'),
      kernel: resolve(dirname(path), text('kernel')),
      kernelArgs: entry.kernel_args === undefined ? '' : text('kernel_args'),
      rootfs: resolve(dirname(path), text('rootfs', '/')),
      arch,
      command: text('command'),
      cpus: num_cpus,
      memory,
      extraArgs: extra_args,
    };
  });
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

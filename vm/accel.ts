import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Arch, hostArch } from './config.ts';
import { directory, link } from './cpio.ts';
import type { Kernel } from './kernel.ts';
import { boot } from './machine.ts';
import { cache } from './paths.ts';

/** What runs the machine's instructions: the processor itself, or QEMU's translator, which works everywhere. */
export type Accelerator = 'kvm' | 'tcg';

const PROBE_SECONDS = 20;

/**
 * KVM where it works, which takes more than a device that opens: on some nested machines KVM creates machines whose
 * kernels then never get anywhere. So the smallest possible machine is booted, once for each boot of this host.
 *
 * @param kernel one for this host's own architecture
 */
export async function accelerator(arch: Arch, kernel: Kernel, busybox: string): Promise<Accelerator> {
  if (arch !== hostArch() || !existsSync('/dev/kvm')) return 'tcg';
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  const answer = join(cache, `accelerator-${bootId}-${process.getuid!()}`);
  if (existsSync(answer)) return readFileSync(answer, 'latin1') as Accelerator;
  const { end } = await boot({
    kernel,
    busybox,
    accelerator: 'kvm',
    cpus: 1,
    memory: '256M',
    root: [directory('bin'), link('bin/sh', '/vm/busybox')],
    script: 'true',
    seconds: PROBE_SECONDS,
    onOutput: () => {},
  });
  const works = end.kind === 'exited' && end.status === 0;
  writeFileSync(`${answer}.${process.pid}`, works ? 'kvm' : 'tcg');
  renameSync(`${answer}.${process.pid}`, answer);
  return works ? 'kvm' : 'tcg';
}

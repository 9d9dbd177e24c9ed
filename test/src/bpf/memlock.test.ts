import { describe, expect, test } from 'vitest';
import { chargingMemory } from '../../../src/bpf/memlock.ts';
import { SkbdropError, SyscallError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { UNLIMITED } from '../../../src/sys/rlimit.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { FakeNative } from '../../helpers/fake-native.ts';
import { withFiles } from '../../helpers/files.ts';

const OLD = '5.10.0-32-cloud-amd64';
const WANTED = ['CAP_BPF', 'CAP_PERFMON'] as const;
const KIB = 1024n;

/** A process with limits, and what it may do about them. */
class Process {
  soft: bigint;
  hard: bigint;
  readonly mayRaise: boolean;
  readonly history: bigint[] = [];

  constructor(soft: bigint, hard: bigint, mayRaise: boolean) {
    this.soft = soft;
    this.hard = hard;
    this.mayRaise = mayRaise;
  }

  readonly native: FakeNative = new FakeNative(({ name, args: [pid, resource, wanted, current] }, kernel) => {
    expect([name, pid, resource]).toEqual(['prlimit64', 0n, 8n]);
    if (current !== 0n) {
      const limit = kernel.at(current!, 16);
      limit.writeBigUInt64LE(this.soft, 0);
      limit.writeBigUInt64LE(this.hard, 8);
    }
    if (wanted === 0n) return 0;
    const limit = kernel.at(wanted!, 16);
    const [soft, hard] = [limit.readBigUInt64LE(0), limit.readBigUInt64LE(8)];
    if (soft > hard) return -errno.EINVAL;
    if (hard > this.hard && !this.mayRaise) return -errno.EPERM;
    [this.soft, this.hard] = [soft, hard];
    this.history.push(soft);
    return 0;
  });

  /** Makes a map of so many bytes, as a kernel does that counts it. */
  charge(bytes: bigint, running = OLD, capabilities = '000001ffffffffff'): string {
    const make = (): string => {
      if (bytes > this.soft) throw new SyscallError('bpf(BPF_MAP_CREATE)', errno.EPERM);
      return 'made';
    };
    const files = { '/proc/self/status': `CapEff:\t${capabilities}\n` };
    return withNative(this.native, () =>
      withFiles(files, () => chargingMemory('create the map ring', WANTED, make, running)),
    );
  }
}

describe('a limit of locked memory', () => {
  test('that is not in the way is not looked at', () => {
    const process = new Process(64n * KIB, 64n * KIB, true);
    expect(process.charge(4n * KIB)).toBe('made');
    expect(process.native.calls).toEqual([]);
  });

  test('that is in the way is raised, and put back', () => {
    const process = new Process(64n * KIB, 128n * KIB, true);
    expect(process.charge(16n * KIB * KIB)).toBe('made');
    expect(process.history).toEqual([UNLIMITED, 64n * KIB]);
    expect([process.soft, process.hard]).toEqual([64n * KIB, 128n * KIB]);
  });

  test('is raised as far as one may', () => {
    const process = new Process(64n * KIB, 8n * KIB * KIB, false);
    expect(process.charge(KIB * KIB)).toBe('made');
    expect(process.history).toEqual([8n * KIB * KIB, 64n * KIB]);
  });

  test('that may not be raised far enough is an error that says what to do', () => {
    const process = new Process(64n * KIB, 512n * KIB, false);
    const error = thrown(SkbdropError, () => process.charge(KIB * KIB));
    expect(error).toMatchObject({
      code: 'permission',
      message: 'cannot create the map ring: over the limit of locked memory, 512 KiB, which counts before Linux 5.11',
      hint: expect.stringContaining('ulimit -l unlimited'),
    });
    expect(process.soft).toBe(64n * KIB);
  });

  test.each([
    // what else it is          kernel   capabilities
    ['another kernel', '5.11.0', '000001ffffffffff'],
    ['another kernel', '6.18.44', '000001ffffffffff'],
    ['capabilities', OLD, '0000000000000000'],
  ])('is not the reason: %s %s', (_, running, capabilities) => {
    const process = new Process(64n * KIB, 64n * KIB, true);
    expect(() => process.charge(KIB * KIB, running, capabilities)).toThrow('bpf(BPF_MAP_CREATE): EPERM');
    expect(process.native.calls).toEqual([]);
  });
});

import { describe, expect, test } from 'vitest';
import {
  hasFetchAtomics,
  hasJit,
  hasLiveFrames,
  hasMapBatch,
  hasPerfEventLink,
  hasRingBuffer,
  rawTracepointArguments,
} from '../../../src/bpf/features.ts';
import { PermissionError } from '../../../src/sys/capabilities.ts';
import { SyscallError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';
import { withFiles } from '../../helpers/files.ts';

noLeaks();

/** enum bpf_cmd, include/uapi/linux/bpf.h. */
const cmd = { MAP_CREATE: 0, PROG_LOAD: 5, TEST_RUN: 10, INFO: 15, RAW_OPEN: 17, LOOKUP_BATCH: 24, LINK_CREATE: 28 };

type Answers = Partial<Record<keyof typeof cmd, (attr: Buffer, kernel: FakeNative) => number>>;

/** A kernel that makes every map and program, except where it is told what to answer. */
function kernel(answers: Answers): FakeNative {
  return new FakeNative(({ name, args }, kernel) => {
    if (name !== 'bpf') return -errno.ENODEV;
    const [command = ''] = Object.entries(cmd).find(([, number]) => BigInt(number) === args[0]) ?? [];
    const answer = answers[command as keyof typeof cmd];
    return answer === undefined ? realFd() : answer(kernel.at(args[1]!, 168), kernel);
  });
}

/** Privileged, wherever the test runs. */
const files = {
  '/proc/self/status': 'CapEff:\t000001ffffffffff\nSeccomp:\t0\n',
  '/proc/self/ns/user': 'user:[4026531837]',
  '/sys/kernel/security/lsm': 'capability',
  '/sys/kernel/security/lockdown': undefined,
  '/sys/devices/system/cpu/possible': '0-1\n',
};

const ask = <T>(answers: Answers, question: () => T): T =>
  withFiles(files, () => withNative(kernel(answers), question));

const ok = (): number => 0;
const fails = (name: keyof typeof errno) => (): number => -(errno[name] ?? 0);

describe.each<[string, () => boolean, keyof typeof cmd, (() => number) | undefined, (() => number)[]]>([
  // feature            asked by        command         there        not there
  ['ring buffer', hasRingBuffer, 'MAP_CREATE', undefined, [fails('EINVAL')]],
  ['map batches', hasMapBatch, 'LOOKUP_BATCH', fails('ENOENT'), [fails('EINVAL'), () => -524]],
  ['fetch atomics', hasFetchAtomics, 'PROG_LOAD', undefined, [fails('EINVAL')]],
  ['perf event links', hasPerfEventLink, 'LINK_CREATE', fails('EBADF'), [fails('EINVAL')]],
  ['live frames', hasLiveFrames, 'TEST_RUN', fails('E2BIG'), [fails('EINVAL'), () => -524, ok]],
])('%s', (_, question, command, there, notThere) => {
  test('there', () => {
    expect(ask(there === undefined ? {} : { [command]: there }, question)).toBe(true);
  });

  test.each(notThere)('not there (%#)', (answer) => {
    expect(ask({ [command]: answer }, question)).toBe(false);
  });

  test('without rights nothing is known', () => {
    expect(() => ask({ MAP_CREATE: fails('EPERM'), PROG_LOAD: fails('EPERM') }, question)).toThrow(PermissionError);
  });
});

test('what is short of memory is not taken for missing', () => {
  expect(() => ask({ MAP_CREATE: fails('ENOMEM') }, hasRingBuffer)).toThrow(SyscallError);
});

test('frames are never sent: the batch is larger than any kernel takes', () => {
  const TEST_XDP_MAX_BATCH = 256; // v6.12 net/bpf/test_run.c
  let seen = 0;
  const refuse = (attr: Buffer): number => {
    seen = attr.readUInt32LE(72); // batch_size
    return -errno.E2BIG;
  };
  ask({ TEST_RUN: refuse }, hasLiveFrames);
  expect(seen).toBeGreaterThan(TEST_XDP_MAX_BATCH);
});

test.each([
  [0, false],
  [64, true],
])('a program of %i bytes of machine code: JIT %s', (length, answer) => {
  const info = (attr: Buffer, kernel: FakeNative): number => {
    const address = attr.readBigUInt64LE(8);
    const bytes = kernel.at(address, 232);
    bytes.writeUInt32LE(length, 16);
    return 0;
  };
  expect(ask({ INFO: info }, hasJit)).toBe(answer);
});

describe('arguments of the tracepoint', () => {
  /** Attaches programs that read no argument after these; remembers what the last loaded one reads. */
  const having = (most: number): Answers => {
    let read = 0;
    return {
      PROG_LOAD: (attr, kernel) => {
        // The first instruction: r0 = *(u64 *)(r1 + offset).
        read = kernel.at(attr.readBigUInt64LE(8), 8).readInt16LE(2) / 8 + 1;
        return realFd();
      },
      RAW_OPEN: () => (read > most ? -errno.EINVAL : realFd()),
    };
  };

  test.each([0, 2, 3, 4, 12])('%i', (count) => {
    expect(ask(having(count), () => rawTracepointArguments('kfree_skb'))).toBe(count);
  });

  test('a tracepoint that is not there', () => {
    const answers = { ...having(4), RAW_OPEN: fails('ENOENT') };
    expect(() => ask(answers, () => rawTracepointArguments('kfree_skb'))).toThrow(SyscallError);
  });
});

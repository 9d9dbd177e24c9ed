import { describe, expect, test } from 'vitest';
import { alu64, call, exit, fp, jump, label, mapFd, mov, r0, r1, r2, store } from '../../../asm/index.ts';
import { loadProgram, type ProgramSpec, VerifierError } from '../../../src/bpf/program.ts';
import { PermissionError } from '../../../src/sys/capabilities.ts';
import { SyscallError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';
import { fixture } from '../../helpers/files.ts';

noLeaks();

const map = (name: string) => ({ name, type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 1 }) as const;
const spec: ProgramSpec = {
  name: 'test',
  type: 'TRACING',
  attachBtfId: 99,
  maps: [map('one'), map('two')],
  code: [
    store.u32(fp, -4, 0),
    mapFd(r1, { name: 'two' }),
    mov(r2, fp),
    alu64.add(r2, -4),
    call(1, 'bpf_map_lookup_elem'),
    jump.eq(r0, 0, 'out'),
    label('out'),
    mov(r0, 0),
    exit(),
  ],
};

/** One attempt to load, as the kernel saw it. */
interface Attempt {
  readonly level: number;
  readonly size: number;
  readonly type: number;
  readonly attachType: number;
  readonly attachBtfId: number;
  readonly name: string;
  readonly mapFd: number;
}

/** A kernel that makes every map and answers loads like this: a negative errno, or 0 for success; may write a log. */
function loading(answer: (attempt: Attempt, log: Buffer | undefined, n: number) => number): {
  fake: FakeNative;
  attempts: Attempt[];
  maps: number[];
} {
  const attempts: Attempt[] = [];
  const maps: number[] = [];
  const fake = new FakeNative(({ args }, kernel) => {
    const attr = kernel.at(args[1]!, 168);
    if (args[0] === 0n) {
      const fd = realFd();
      maps.push(fd);
      return fd;
    }
    expect(args[0]).toBe(5n);
    const size = attr.readUInt32LE(28);
    const attempt = {
      level: attr.readUInt32LE(24),
      size,
      type: attr.readUInt32LE(0),
      attachType: attr.readUInt32LE(68),
      attachBtfId: attr.readUInt32LE(108),
      name: attr.toString('latin1', 48, 64).replace(/\0+$/, ''),
      mapFd: kernel.at(attr.readBigUInt64LE(8)).readInt32LE(8 + 4),
    };
    attempts.push(attempt);
    const log = size === 0 ? undefined : kernel.at(attr.readBigUInt64LE(32), size);
    const result = answer(attempt, log, attempts.length);
    return result === 0 ? realFd() : result;
  });
  return { fake, attempts, maps };
}

const FIRST_LOG = 64 * 1024;

describe('loadProgram', () => {
  test('without a log where the kernel takes it', () => {
    const { fake, attempts, maps } = loading(() => 0);
    using program = withNative(fake, () => loadProgram(spec));
    expect(attempts).toEqual([
      { level: 0, size: 0, type: 26, attachType: 23, attachBtfId: 99, name: 'skbdrop_test', mapFd: maps[1] },
    ]);
    expect(program.map('one').fd.fd).toBe(maps[0]);
    expect(program.map('two').fd.fd).toBe(maps[1]);
    expect(() => program.map('three')).toThrow(new TypeError('the program test has no map three'));
  });

  test.each([
    ['RAW_TRACEPOINT', 17],
    ['TRACEPOINT', 5],
    ['XDP', 6],
  ] as const)('%s has no attach type of its own', (type, number) => {
    const { fake, attempts } = loading(() => 0);
    const { attachBtfId: _, ...rest } = spec;
    withNative(fake, () => loadProgram({ ...rest, type })).close();
    expect(attempts[0]).toMatchObject({ type: number, attachType: 0, attachBtfId: 0 });
  });

  test('close() closes the program and its maps, twice without harm', () => {
    const { fake } = loading(() => 0);
    const program = withNative(fake, () => loadProgram(spec));
    program.close();
    program.close();
    expect([program.fd, program.map('one').fd, program.map('two').fd].map(({ isOpen }) => isOpen)).toEqual([
      false,
      false,
      false,
    ]);
  });

  test('refused: once more with a log, and the log is in the error', () => {
    const { fake, attempts } = loading((_, log) => {
      log?.write(fixture('verifier/null-map-value.log'));
      return -errno.EACCES;
    });
    const error = thrown(VerifierError, () => withNative(fake, () => loadProgram(spec)));
    expect(attempts.map(({ level, size }) => [level, size])).toEqual([
      [0, 0],
      [1, FIRST_LOG],
    ]);
    expect(error.log).toBe(fixture('verifier/null-map-value.log'));
    expect(error.cause).toMatchObject({ call: 'bpf(BPF_PROG_LOAD)', errnoName: 'EACCES' });
  });

  test('the log grows until it fits', () => {
    const { fake, attempts } = loading((_, log, n) => {
      if (n > 1 && n < 5) return -errno.ENOSPC;
      log?.write('R2 !read_ok\n');
      return -errno.EINVAL;
    });
    expect(() => withNative(fake, () => loadProgram(spec))).toThrow(VerifierError);
    expect(attempts.map(({ size }) => size)).toEqual([0, 1, 4, 16, 64].map((n) => n * FIRST_LOG));
  });

  test('a log that never fits ends with the first word of the kernel', () => {
    const { fake, attempts } = loading((_, log) => (log === undefined ? -errno.E2BIG : -errno.ENOSPC));
    const error = thrown(SyscallError, () => withNative(fake, () => loadProgram(spec)));
    expect(error.errnoName).toBe('E2BIG');
    expect(attempts.at(-1)!.size).toBe(64 * 1024 * 1024);
  });

  test('no log, no verifier: what the kernel said', () => {
    const { fake } = loading(() => -errno.EINVAL);
    const error = thrown(SyscallError, () => withNative(fake, () => loadProgram(spec)));
    expect(error.message).toBe('bpf(BPF_PROG_LOAD): EINVAL (invalid argument)');
  });

  test('loads after all when the log is asked for', () => {
    const { fake } = loading((_, log) => (log === undefined ? -errno.EINVAL : 0));
    withNative(fake, () => loadProgram(spec)).close();
  });

  test('a signal in the middle: tried again', () => {
    const { fake, attempts } = loading((_, __, n) => (n < 4 ? -errno.EAGAIN : 0));
    withNative(fake, () => loadProgram(spec)).close();
    expect(attempts).toHaveLength(4);
  });

  test('a signal each time: not for ever', () => {
    const { fake } = loading(() => -errno.EAGAIN);
    expect(() => withNative(fake, () => loadProgram(spec))).toThrow('EAGAIN');
  });

  test('not permitted: no second try', () => {
    const { fake, attempts } = loading(() => -errno.EPERM);
    const error = thrown(PermissionError, () => withNative(fake, () => loadProgram(spec)));
    expect(error.message).toMatch(/^cannot load the program test: /);
    expect(attempts).toHaveLength(1);
  });

  test('a map that cannot be made: those before it are closed', () => {
    let maps = 0;
    const fake = new FakeNative(() => (++maps === 2 ? -errno.ENOMEM : realFd()));
    expect(() => withNative(fake, () => loadProgram(spec))).toThrow('BPF_MAP_CREATE): ENOMEM');
  });

  test('code that names a map it does not have', () => {
    const { fake } = loading(() => 0);
    expect(() => withNative(fake, () => loadProgram({ ...spec, maps: [map('one')] }))).toThrow(/two/);
  });
});

describe('VerifierError', () => {
  const said = "the kernel's verifier refused the program count: ";

  test.each([
    // log                        the last word
    ['uninitialised-register', 'R2 !read_ok (3 lines before it: -v)'],
    ['null-map-value', "R0 invalid mem access 'map_value_or_null' (11 lines before it: -v)"],
    ['unreachable', 'unreachable insn 2'],
  ])('%s', (name, verdict) => {
    const log = fixture(`verifier/${name}.log`);
    const error = new VerifierError('count', log, undefined);
    expect(error.message).toBe(said + verdict);
    expect(error).toMatchObject({ name: 'VerifierError', code: 'rejected', log, details: log.trimEnd() });
  });

  test('a log with statistics at the end, and one without a word', () => {
    const log = 'math between fp pointer and register\nverification time 12 usec\nstack depth 8\nprocessed 3 insns\n';
    expect(new VerifierError('count', log, undefined).message).toContain('refused the program count: ');
    expect(new VerifierError('count', 'processed 3 insns (limit 1)\n', undefined).message).toBe(
      `${said}it gave no reason`,
    );
  });
});

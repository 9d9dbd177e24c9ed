import { describe, expect, test } from 'vitest';
import {
  Capability,
  type CapabilityName,
  explainPermission,
  hasCapability,
  lockdownMode,
  PermissionError,
} from '../../../src/sys/capabilities.ts';
import { SyscallError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { FakeNative } from '../../helpers/fake-native.ts';
import { withFiles } from '../../helpers/files.ts';

const STATUS = '/proc/self/status';
const LOCKDOWN = '/sys/kernel/security/lockdown';
/** Where securityfs is mounted, it has this. */
const LSM = '/sys/kernel/security/lsm';
const USER_NAMESPACE = '/proc/self/ns/user';
const INITIAL = 'user:[4026531837]';

/** What /proc/self/status says of a process with these effective capabilities. */
function status(...names: readonly CapabilityName[]): string {
  const mask = names.reduce((bits, name) => bits | (1n << BigInt(Capability[name])), 0n);
  const all = '000001ffffffffff';
  return [
    'Name:\tnode',
    'Umask:\t0022',
    `CapInh:\t${'0'.repeat(16)}`,
    `CapPrm:\t${all}`,
    `CapEff:\t${mask.toString(16).padStart(16, '0')}`,
    `CapBnd:\t${all}`,
    '',
  ].join('\n');
}

describe('hasCapability', () => {
  test.each<[CapabilityName, readonly CapabilityName[], boolean]>([
    // asked            effective             answer
    ['CAP_BPF', [], false],
    ['CAP_BPF', ['CAP_BPF'], true],
    ['CAP_BPF', ['CAP_PERFMON'], false],
    ['CAP_BPF', ['CAP_SYS_ADMIN'], true],
    ['CAP_PERFMON', ['CAP_SYS_ADMIN'], true],
    ['CAP_PERFMON', ['CAP_BPF'], false],
    ['CAP_SYSLOG', ['CAP_SYS_ADMIN'], false],
    ['CAP_NET_ADMIN', ['CAP_SYS_ADMIN'], false],
    ['CAP_NET_ADMIN', ['CAP_NET_ADMIN'], true],
    ['CAP_SYS_ADMIN', ['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'], false],
    ['CAP_SYS_RESOURCE', ['CAP_SYS_ADMIN'], false],
    ['CAP_NET_RAW', ['CAP_NET_RAW'], true],
  ])('%s with %j: %s', (name, effective, answer) => {
    expect(hasCapability(name, status(...effective))).toBe(answer);
  });

  test('reads the effective set, not the permitted one', () => {
    expect(hasCapability('CAP_BPF', status())).toBe(false);
  });

  test('a status without the line has none', () => {
    expect(hasCapability('CAP_BPF', 'Name:\tnode\n')).toBe(false);
  });

  test('bits beyond 32 and the numbers of the header', () => {
    expect(hasCapability('CAP_BPF', 'CapEff:\t0000008000000000\n')).toBe(true);
    expect(hasCapability('CAP_PERFMON', 'CapEff:\t0000004000000000\n')).toBe(true);
    expect(hasCapability('CAP_SYSLOG', 'CapEff:\t0000000400000000\n')).toBe(true);
    expect(hasCapability('CAP_SYS_ADMIN', 'CapEff:\t0000000000200000\n')).toBe(true);
    expect(hasCapability('CAP_NET_ADMIN', 'CapEff:\t0000000000001000\n')).toBe(true);
  });
});

describe('explainPermission', () => {
  /** The error that a refusal becomes for a process with these capabilities, on a kernel locked down like this. */
  function refused(
    has: readonly CapabilityName[],
    lockdown: string | undefined,
    { errno = 1, namespace = INITIAL, seccomp = 0 } = {},
  ): PermissionError {
    const files = {
      [STATUS]: `${status(...has)}Seccomp:\t${seccomp}\n`,
      ...{ [LOCKDOWN]: lockdown, [LSM]: 'capability', [USER_NAMESPACE]: namespace },
    };
    return withFiles(files, () =>
      thrown(PermissionError, () =>
        explainPermission('load the program count', ['CAP_BPF', 'CAP_PERFMON'], () => {
          throw new SyscallError('bpf(BPF_PROG_LOAD)', errno);
        }),
      ),
    );
  }

  const LOAD = 'cannot load the program count: ';

  test.each<[string, readonly CapabilityName[], string | undefined, readonly CapabilityName[], string]>([
    // what                effective                                 lockdown file
    [
      'none',
      [],
      undefined,
      ['CAP_BPF', 'CAP_PERFMON'],
      'the kernel wants CAP_BPF and CAP_PERFMON, this process has none of them',
    ],
    ['one', ['CAP_BPF'], undefined, ['CAP_PERFMON'], 'the kernel wants CAP_PERFMON, this process has CAP_BPF only'],
    [
      'the other and one more',
      ['CAP_PERFMON', 'CAP_NET_ADMIN'],
      undefined,
      ['CAP_BPF'],
      'the kernel wants CAP_BPF, this process has CAP_PERFMON and CAP_NET_ADMIN only',
    ],
    [
      'all, in a container',
      ['CAP_BPF', 'CAP_PERFMON'],
      '[none] integrity confidentiality\n',
      [],
      'not permitted, although this process has the capabilities for it',
    ],
    [
      'all, no lockdown file',
      ['CAP_SYS_ADMIN'],
      undefined,
      [],
      'not permitted, although this process has the capabilities for it',
    ],
    [
      'all, locked down',
      ['CAP_SYS_ADMIN'],
      'none integrity [confidentiality]\n',
      [],
      'the kernel is locked down (confidentiality)',
    ],
    [
      'all, locked down in a way that forbids nothing of ours',
      ['CAP_SYS_ADMIN'],
      'none [integrity] confidentiality\n',
      [],
      'not permitted, although this process has the capabilities for it',
    ],
    [
      'missing ones count before lockdown',
      [],
      'none [integrity] confidentiality\n',
      ['CAP_BPF', 'CAP_PERFMON'],
      'the kernel wants CAP_BPF and CAP_PERFMON, this process has none of them',
    ],
  ])('%s', (_, has, lockdown, missing, message) => {
    const error = refused(has, lockdown);
    expect(error.message).toBe(LOAD + message);
    expect(error.missing).toEqual(missing);
    expect(error).toMatchObject({ name: 'PermissionError', code: 'permission' });
    expect(error.cause).toBeInstanceOf(SyscallError);
  });

  test.each<[readonly CapabilityName[], string | undefined, string]>([
    [[], undefined, 'Run as root, or give the program the capabilities: setcap cap_bpf,cap_perfmon+ep FILE'],
    [['CAP_BPF'], undefined, 'Run as root, or give the program the capabilities: setcap cap_perfmon+ep FILE'],
    [['CAP_SYS_ADMIN'], 'none integrity [confidentiality]', 'Lockdown is lifted only by booting without it'],
    [['CAP_SYS_ADMIN'], undefined, 'A security module (SELinux, AppArmor) may forbid it'],
    [['CAP_SYS_ADMIN'], undefined, 'ulimit -l unlimited'],
  ])('what to do with %j', (has, lockdown, hint) => {
    expect(refused(has, lockdown).hint).toContain(hint);
  });

  test('EACCES is explained as EPERM is', () => {
    expect(refused(['CAP_BPF'], undefined, { errno: 13 }).missing).toEqual(['CAP_PERFMON']);
  });

  test('in a user namespace no capability counts', () => {
    const error = refused(['CAP_SYS_ADMIN'], undefined, { namespace: 'user:[4026532177]' });
    expect(error.missing).toEqual(['CAP_BPF', 'CAP_PERFMON']);
    expect(error.message).toBe(
      `${LOAD}the kernel wants the host's CAP_BPF and CAP_PERFMON, and this process is in a user namespace, ` +
        'where they count for nothing',
    );
    expect(error.hint).toContain('Run it as root of the host');
  });

  test('a filter of system calls is suspected where nothing else is in the way', () => {
    expect(refused(['CAP_SYS_ADMIN'], undefined, { seccomp: 2 }).hint).toMatch(/^A seccomp filter is in force/);
    expect(refused([], undefined, { seccomp: 2 }).hint).toMatch(/^Run as root/);
  });

  test('three and more are listed', () => {
    const files = { [STATUS]: status(), [USER_NAMESPACE]: INITIAL, [LSM]: '' };
    const error = withFiles(files, () =>
      thrown(PermissionError, () =>
        explainPermission('x', ['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'], () => {
          throw new SyscallError('bpf', 1);
        }),
      ),
    );
    expect(error.message).toContain('CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, this');
  });

  test('other errors pass as they are, and results too', () => {
    const busy = new SyscallError('bpf(BPF_PROG_LOAD)', 16);
    const fault = new TypeError('ours');
    for (const error of [busy, fault]) {
      expect(() =>
        explainPermission('x', ['CAP_BPF'], () => {
          throw error;
        }),
      ).toThrow(error);
    }
    expect(explainPermission('x', ['CAP_BPF'], () => 7)).toBe(7);
  });
});

describe('lockdownMode', () => {
  test.each([
    ['[none] integrity confidentiality\n', 'none'],
    ['none [integrity] confidentiality\n', 'integrity'],
    ['none integrity [confidentiality]\n', 'confidentiality'],
    ['none integrity [martial]\n', 'unknown'],
    [undefined, 'absent'],
    ['', 'unknown'],
  ])('%j is %j', (file, mode) => {
    expect(withFiles({ [LOCKDOWN]: file, [LSM]: 'capability' }, lockdownMode)).toBe(mode);
  });

  test.each([
    ['ENODEV', 'absent'],
    ['EPERM', 'unknown'],
    ['ENOSYS', 'unknown'],
  ] as const)('where securityfs is not mounted, and may not be for %s: %s', (name, mode) => {
    const kernel = new FakeNative(() => -errno[name]);
    const hidden = { [LOCKDOWN]: undefined, [LSM]: undefined };
    expect(withFiles(hidden, () => withNative(kernel, lockdownMode))).toBe(mode);
    expect(kernel.calls.map(({ name }) => name)).toEqual(['fsopen']);
  });
});

import { describe, expect, test } from 'vitest';
import { type Check, type CheckName, type Circumstances, checkNames, checks } from '../../../src/doctor/checks.ts';
import { UNLIMITED } from '../../../src/sys/rlimit.ts';
import { fakeHost } from '../../helpers/fake-host.ts';
import { withFiles } from '../../helpers/files.ts';

/** A process that may do everything, on a host that hides nothing. */
const files = {
  '/proc/self/status': 'CapEff:\t000001ffffffffff\nSeccomp:\t0\n',
  '/proc/self/ns/user': 'user:[4026531837]',
  '/proc/self/cgroup': '0::/\n',
  '/proc/self/mountinfo': '35 25 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
  '/proc/sys/kernel/kptr_restrict': '0\n',
  '/proc/sys/kernel/perf_event_paranoid': '2\n',
  '/proc/sys/net/core/bpf_jit_harden': '0\n',
  '/sys/kernel/security/lsm': 'lockdown,capability',
  '/sys/kernel/security/lockdown': '[none] integrity confidentiality\n',
  '/sys/kernel/tracing/events': '',
};

const names = ['skb', 'location', 'reason', 'rx_sk'];
const circumstances: Circumstances = {
  host: fakeHost(),
  btfFile: '/some/vmlinux',
  tracepoint: { arguments: 4, names, hasReason: true, hasReceiver: true },
  hasJit: true,
  lockedMemory: { soft: 65_536n, hard: 65_536n },
  allWork: true,
};

type Files = Readonly<Record<string, string | undefined>>;

/** One check, where these files and circumstances are different. */
function check(name: CheckName, changed: Files = {}, other: Partial<Circumstances> = {}): Check {
  const all = withFiles({ ...files, ...changed }, () => checks({ ...circumstances, ...other }));
  return all.find((check) => check.name === name)!;
}

test('every check is made, once, and what is wrong can be put right', () => {
  const all = withFiles(files, () => checks(circumstances));
  expect(all.map(({ name }) => name).sort()).toEqual([...checkNames].sort());
});

describe.each<[CheckName, [string, Files, Partial<Circumstances>, Partial<Check>][]]>([
  [
    'tracepoint',
    [
      ['all arguments', {}, {}, { value: 'kfree_skb(skb, location, reason, rx_sk)', ok: true }],
      [
        'without BTF',
        {},
        { tracepoint: { arguments: 4, names: undefined, hasReason: true, hasReceiver: true } },
        { value: 'kfree_skb(4 arguments)', ok: true },
      ],
      [
        'old',
        {},
        { tracepoint: { arguments: 2, names: names.slice(0, 2), hasReason: false, hasReceiver: false } },
        {
          value: 'kfree_skb(skb, location): no reason',
          ok: false,
          fix: 'Linux 5.17 and later say why they drop a packet',
        },
      ],
      [
        'nobody says',
        {},
        { tracepoint: { arguments: undefined, names: undefined, hasReason: undefined, hasReceiver: undefined } },
        { value: 'kfree_skb(an unknown number of arguments)', ok: undefined },
      ],
    ],
  ],
  [
    'reasons',
    [
      ['from BTF', {}, {}, { value: '7 have names, from BTF', ok: true }],
      ['from tracefs', {}, { host: fakeHost({ btf: false }) }, { ok: true }],
      [
        'none',
        {},
        { tracepoint: { arguments: 2, names: undefined, hasReason: false, hasReceiver: false } },
        { value: 'none: drops are told apart by function', ok: false },
      ],
      ['no names', {}, { host: fakeHost({ reasons: [] }) }, { ok: false }],
    ],
  ],
  [
    'jit',
    [
      ['on', {}, {}, { value: 'on', ok: true }],
      ['hardened', { '/proc/sys/net/core/bpf_jit_harden': '2\n' }, {}, { ok: true }],
      ['off', {}, { hasJit: false }, { ok: false }],
      ['not known', {}, { hasJit: undefined }, { ok: undefined }],
    ],
  ],
  [
    'lockdown',
    [
      ['none', {}, {}, { value: 'none', ok: true }],
      [
        'absent',
        { '/sys/kernel/security/lockdown': undefined },
        {},
        { value: 'none: this kernel has no lockdown', ok: true },
      ],
      ['integrity', { '/sys/kernel/security/lockdown': 'none [integrity] confidentiality' }, {}, { ok: true }],
      ['confidentiality', { '/sys/kernel/security/lockdown': 'none integrity [confidentiality]' }, {}, { ok: false }],
      ['odd', { '/sys/kernel/security/lockdown': '' }, {}, { ok: undefined }],
    ],
  ],
  [
    'btf',
    [
      ['of a file', {}, {}, { value: '/some/vmlinux', ok: true }],
      [
        'none',
        { '/sys/kernel/btf/vmlinux': undefined },
        { btfFile: undefined, host: fakeHost({ btf: false }) },
        { value: '/sys/kernel/btf/vmlinux is not there', ok: false },
      ],
      [
        'damaged',
        { '/sys/kernel/btf/vmlinux': 'no BTF' },
        { btfFile: undefined, host: fakeHost({ btf: false }) },
        { value: expect.stringContaining('is not understood: '), ok: false },
      ],
    ],
  ],
  [
    'tracefs',
    [
      ['mounted', {}, {}, { value: '/sys/kernel/tracing', ok: true }],
      [
        'mounted within debugfs',
        { '/sys/kernel/tracing/events': undefined, '/sys/kernel/debug/tracing/events': '' },
        {},
        { value: '/sys/kernel/debug/tracing', ok: true },
      ],
      [
        'not mounted',
        { '/sys/kernel/tracing/events': undefined, '/sys/kernel/debug/tracing/events': undefined },
        {},
        { value: "not mounted; read through a mount of skbdrop's own", ok: true },
      ],
    ],
  ],
  [
    'memory',
    [
      ['no limit', {}, {}, { ok: true, minor: true }],
      [
        'a limit',
        { '/sys/fs/cgroup/memory.max': String(512 * 2 ** 20) },
        {},
        { value: 'limited to 512 MiB by a cgroup, with what the maps take', ok: true },
      ],
    ],
  ],
  [
    'locked_memory',
    [
      ['that does not count', {}, {}, { ok: true, minor: true }],
      ['without BTF', {}, { host: fakeHost({ btf: false }) }, { ok: undefined, minor: true }],
      ['nobody says', {}, { lockedMemory: undefined }, { value: 'not known', ok: undefined, minor: true }],
    ],
  ],
  ['perf_event_paranoid', [['is told', {}, {}, { value: 'kernel.perf_event_paranoid = 2', ok: true, minor: true }]]],
  ['user', [['in a namespace', { '/proc/self/ns/user': 'user:[4026532177]' }, {}, { ok: false }]]],
  [
    'capabilities',
    [
      ['all', {}, {}, { value: 'all that any command wants', ok: true }],
      [
        'two',
        { '/proc/self/status': 'CapEff:\t000000c000000000\n' },
        {},
        {
          value: 'CAP_BPF, CAP_PERFMON; not CAP_SYSLOG, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW',
          ok: false,
        },
      ],
      [
        'none',
        { '/proc/self/status': 'CapEff:\t0000000000000000\n' },
        {},
        { value: expect.stringMatching(/^none; not/) },
      ],
    ],
  ],
  [
    'seccomp',
    [
      ['off', {}, {}, { value: 'off', ok: true }],
      ['harmless', { '/proc/self/status': 'CapEff:\t0\nSeccomp:\t2\n' }, {}, { ok: true }],
      ['suspect', { '/proc/self/status': 'CapEff:\t0\nSeccomp:\t2\n' }, { allWork: false }, { ok: undefined }],
    ],
  ],
])('%s', (name, rows) => {
  test.each(rows)('%s', (_, changed, other, expected) => {
    expect(check(name, changed, other)).toMatchObject(expected);
  });
});

describe('locked memory, where it counts', () => {
  const host = fakeHost({ locksMaps: true });
  const [KIB, MIB] = [2n ** 10n, 2n ** 20n];
  const [all, few] = ['000001ffffffffff', '000000c000000000'];
  test.each<[string, Circumstances['lockedMemory'], capabilities: string, allWork: boolean, Partial<Check>]>([
    ['no limit', { soft: UNLIMITED, hard: UNLIMITED }, few, false, { value: 'no limit', ok: true }],
    ['much', { soft: 64n * MIB, hard: 64n * MIB }, few, false, { value: 'limited to 64 MiB', ok: true }],
    [
      'little, which root may raise',
      { soft: 64n * KIB, hard: 64n * KIB },
      all,
      false,
      { value: 'limited to 64 KiB, and raised where that is in the way', ok: true },
    ],
    [
      'little, with a hard limit that is far away',
      { soft: 64n * KIB, hard: 64n * MIB },
      few,
      false,
      { value: 'limited to 64 KiB, and raised where that is in the way', ok: true },
    ],
    [
      'little, and yet enough',
      { soft: 64n * KIB, hard: 64n * MIB - 1n },
      few,
      true,
      { value: 'limited to 64 KiB, which is enough', ok: true },
    ],
    [
      'too little',
      { soft: 64n * KIB, hard: 64n * MIB - 1n },
      few,
      false,
      { value: 'limited to 64 KiB, which counts for BPF on this kernel', ok: false, fix: expect.any(String) },
    ],
  ])('%s', (_, lockedMemory, capabilities, allWork, expected) => {
    const status = { '/proc/self/status': `CapEff:\t${capabilities}\n` };
    const found = check('locked_memory', status, { host, lockedMemory, allWork });
    expect(found).toMatchObject(expected);
    // Nobody is told to put right what is well.
    expect([found.fix === undefined, found.minor ?? false]).toEqual([expected.ok, expected.ok]);
  });

  test("root of a user namespace may not raise the host's limit", () => {
    const lockedMemory = { soft: 64n * KIB, hard: 64n * KIB };
    const inside = { '/proc/self/ns/user': 'user:[4026532177]' };
    expect(check('locked_memory', inside, { host, lockedMemory, allWork: false }).ok).toBe(false);
  });
});

describe('hidden symbols', () => {
  const hidden = { problem: 'hidden', hidden: true, count: 3 };
  const host = { ...fakeHost(), symbols: hidden } as unknown as Circumstances['host'];
  const nobody = { '/proc/self/status': 'CapEff:\t0\n' };
  const strict = { '/proc/sys/kernel/kptr_restrict': '2\n' };
  test.each<[string, Files, string]>([
    ['no capability', nobody, 'Run as root of the host, or with CAP_SYSLOG (setcap cap_syslog+ep FILE)'],
    ['kptr_restrict', strict, 'Show them to root: sysctl kernel.kptr_restrict=1'],
    [
      'both',
      { ...nobody, ...strict },
      'Show them to root: sysctl kernel.kptr_restrict=1. Run as root of the host, or with CAP_SYSLOG (setcap cap_syslog+ep FILE)',
    ],
    ['neither', {}, 'Show this process the real /proc/kallsyms'],
  ])('%s', (_, changed, fix) => {
    expect(check('kallsyms', changed, { host })).toMatchObject({ ok: false, fix });
  });
});

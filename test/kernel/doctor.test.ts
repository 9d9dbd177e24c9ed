import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examine } from '../../src/doctor/index.ts';
import { countDrops, type DropCounter } from '../../src/drops/count.ts';
import { disagreements, type Report } from '../helpers/agreement.ts';
import { isThere, objectsOf } from '../helpers/bpf-objects.ts';
import { copyForOthers, type Ended, run, Scratch, skbdrop } from '../helpers/cli.ts';
import { jsonSchema } from '../helpers/docs.ts';
import { Validator } from '../helpers/json-schema.ts';
import { needRoot, needTool } from '../helpers/need.ts';
import { withoutBpf } from '../helpers/without-bpf.ts';

/** What the doctor says of a place, beside what the commands then do there. */

const scratch = new Scratch();
let copy: readonly string[];
beforeAll(() => {
  copy = copyForOthers(scratch);
});
afterAll(() => scratch.remove());

/** What is looked at in a report, beside its agreement with the commands. */
interface Expected {
  /** Of trace, top, hist, stacks and demo. */
  readonly works: readonly string[];
  readonly without?: readonly string[];
  /** Names of checks that are not well. */
  readonly complains: readonly string[];
  /** Where the ways to attach are as elsewhere, they are not all tried again. */
  readonly ways?: false;
}

const ALL = ['trace', 'top', 'hist', 'stacks', 'demo'];

interface Finding {
  readonly name: string;
  readonly ok?: boolean;
  readonly value: string;
  readonly fix?: string;
}
type WholeReport = Report & {
  readonly checks: readonly Finding[];
  readonly tracepoint: object;
  readonly features: Readonly<Record<string, boolean>>;
};

/** Words that make a place and then run the words behind them there. */
type Place = readonly string[];

const HERE: Place = [];
const withCapabilities = (list: string): Place => ['setpriv', `--bounding-set=${list}`, '--inh-caps=-all'];
const NOBODY: Place = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
/** A mount namespace of its own, prepared by a shell. */
const mounts = (script: string): Place => ['unshare', '-m', 'sh', '-c', `${script} && exec "$@"`, 'sh'];

async function reportFrom(place: Place): Promise<{ ended: Ended; report: WholeReport }> {
  const ended = await run([...place, ...copy, 'doctor', '--json']);
  expect([ended.stderr, ended.stdout.split('\n').length]).toEqual(['', 2]);
  const report = JSON.parse(ended.stdout) as WholeReport;
  expect(new Validator(jsonSchema()).check(report)).toEqual([]);
  return { ended, report };
}

async function expectAgreement(place: Place, { ways, ...expected }: Expected): Promise<void> {
  const { ended, report } = await reportFrom(place);
  const { commands, columns, checks } = report;
  expect({
    works: ALL.filter((name) => commands[name]?.works),
    without: Object.keys(columns).filter((name) => !columns[name]?.works),
    complains: checks.filter(({ ok }) => ok === false).map(({ name }) => name),
  }).toEqual({ without: [], ...expected });
  expect(ended.status).toBe(report.status);
  for (const { name, ok, fix } of checks) expect([name, ok === false && fix === undefined]).toEqual([name, false]);
  // What the demo provokes without an interface has few of the columns.
  const self = checks.some(({ name, ok }) => name === 'tun' && ok) ? copy : undefined;
  expect(await disagreements(report, (words) => run([...place, ...copy, ...words]), self, ways)).toEqual([]);
}

/** What each descriptor of this process leads to. */
function descriptors(): readonly string[] {
  return readdirSync('/proc/self/fd')
    .flatMap((fd) => {
      try {
        return [`${fd}: ${readlinkSync(`/proc/self/fd/${fd}`)}`];
      } catch {
        return []; // the one that this folder was read through
      }
    })
    .sort();
}

const COLUMNS = ['time', 'reason', 'function', 'length', 'protocol', 'interface', 'namespace'];
const BY_BTF = ['length', 'protocol', 'interface', 'namespace'];

describe.skipIf(!needRoot())('the doctor and the commands agree', () => {
  test('as root', async () => {
    await expectAgreement(HERE, { works: ALL, complains: [] });
  });

  test.each<[string, Place, Expected]>([
    ['as nobody', NOBODY, { works: [], without: COLUMNS, complains: ['tracefs', 'kallsyms', 'tun', 'capabilities'] }],
    [
      'with CAP_BPF alone',
      withCapabilities('-all,+bpf'),
      { ways: false, works: [], without: COLUMNS, complains: ['tracefs', 'kallsyms', 'capabilities'] },
    ],
    [
      'with CAP_BPF and CAP_PERFMON',
      withCapabilities('-all,+bpf,+perfmon'),
      {
        works: ['trace', 'top', 'hist', 'stacks'],
        without: ['function'],
        complains: ['tracefs', 'kallsyms', 'capabilities'],
      },
    ],
    [
      'with CAP_SYSLOG too',
      withCapabilities('-all,+bpf,+perfmon,+syslog'),
      { ways: false, works: ['trace', 'top', 'hist', 'stacks'], complains: ['tracefs', 'capabilities'] },
    ],
    [
      'with CAP_SYS_ADMIN, which shows no symbols',
      withCapabilities('-all,+sys_admin'),
      {
        ways: false,
        works: ['trace', 'top', 'hist', 'stacks'],
        without: ['function'],
        complains: ['kallsyms', 'capabilities'],
      },
    ],
    [
      'without CAP_NET_RAW, which only some of the demo wants',
      withCapabilities('-net_raw'),
      { ways: false, works: ['trace', 'top', 'hist', 'stacks'], complains: ['capabilities'] },
    ],
    [
      'as root of a user namespace',
      ['unshare', '-Ur'],
      { works: [], without: COLUMNS, complains: ['tracefs', 'kallsyms', 'user'] },
    ],
    [
      'without BTF',
      mounts('mount -t tmpfs none /sys/kernel/btf'),
      { works: ['trace', 'top', 'stacks', 'demo'], without: BY_BTF, complains: ['btf'] },
    ],
    [
      'without BTF and tracefs',
      [...mounts('mount -t tmpfs none /sys/kernel/btf'), ...withCapabilities('-all,+bpf,+perfmon,+syslog')],
      {
        works: ['trace', 'top'],
        without: ['reason', ...BY_BTF],
        complains: ['reasons', 'btf', 'tracefs', 'capabilities'],
      },
    ],
    [
      'where tracefs is mounted, which only its owner may read',
      [
        ...mounts('mount -t tracefs none /sys/kernel/tracing'),
        ...NOBODY,
        ...['--inh-caps=+bpf,+perfmon,+syslog', '--ambient-caps=+bpf,+perfmon,+syslog'],
      ],
      { works: ['trace', 'top', 'hist', 'stacks'], complains: ['tracefs', 'tun', 'capabilities'] },
    ],
    [
      'with symbols that have no addresses',
      mounts(
        'sed "s/^[0-9a-f]*/0000000000000000/" /proc/kallsyms >"$symbols" && mount --bind "$symbols" /proc/kallsyms',
      ),
      { ways: false, works: ALL, without: ['function'], complains: ['kallsyms'] },
    ],
    [
      'with symbols that nobody may read',
      [
        ...mounts(
          'mount -t tmpfs none /mnt && >/mnt/secret && chmod 0 /mnt/secret && mount --bind /mnt/secret /proc/kallsyms',
        ),
        ...withCapabilities('-all,+bpf,+perfmon'),
      ],
      {
        ways: false,
        works: ['trace', 'top', 'hist', 'stacks'],
        without: ['function'],
        complains: ['tracefs', 'kallsyms', 'capabilities'],
      },
    ],
    [
      'without /dev/net/tun',
      mounts('mount -t tmpfs none /dev/net'),
      // The demo still has what it does with UNIX sockets.
      { ways: false, works: ALL, complains: ['tun'] },
    ],
  ])('%s', async (_, place, expected) => {
    const symbols = scratch.file('symbols');
    await expectAgreement(['env', `symbols=${symbols}`, ...place], expected);
  });

  test('where bpf() is forbidden by a filter', async () => {
    const koffi = createRequire(import.meta.url).resolve('koffi');
    const place = [process.execPath, '-e', withoutBpf, koffi];
    const { report } = await reportFrom(place);
    const seccomp = report.checks.find(({ name }) => name === 'seccomp');
    expect(seccomp).toMatchObject({ value: expect.stringContaining('filter'), fix: expect.stringContaining('bpf()') });
    expect(report.commands.top?.hint).toMatch(/^A seccomp filter is in force/);
    expect(await disagreements(report, (words) => run([...place, ...copy, ...words]), undefined, false)).toEqual([]);
  });
});

describe.skipIf(!needRoot())('the doctor', () => {
  test("takes BTF from a file, where the kernel's own is hidden", async () => {
    const file = scratch.file('vmlinux.btf');
    writeFileSync(file, readFileSync('/sys/kernel/btf/vmlinux'));
    const hidden = mounts('mount -t tmpfs none /sys/kernel/btf');
    const ended = await run([...hidden, ...skbdrop, 'doctor', '--json', '--btf', file]);
    expect(ended.status).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      works: true,
      commands: { hist: { works: true, attach: 'tp_btf' } },
    });
  });

  test('agrees with bpftool on what this kernel has', async ({ skip }) => {
    const bpftool = needTool('bpftool');
    if (bpftool === undefined) return skip('bpftool is not installed');
    const probed = await run([bpftool, 'feature', 'probe', '-j']);
    const { map_types: maps = {}, program_types: programs = {} } = JSON.parse(probed.stdout) as Record<string, object>;
    const { report } = await reportFrom(HERE);
    expect(report.features.ring_buffer).toBe(Reflect.get(maps, 'have_ringbuf_map_type'));
    // It loads a program of the TRACING type without saying what for, so it knows nothing of that.
    expect(report.attach.raw_tp?.top?.works).toBe(Reflect.get(programs, 'have_raw_tracepoint_prog_type'));
    expect(report.attach.tracepoint?.top?.works).toBe(Reflect.get(programs, 'have_tracepoint_prog_type'));
  });

  test('counts the arguments of the tracepoint as BTF names them', async () => {
    const { report } = await reportFrom(HERE);
    const { arguments: count, names } = report.tracepoint as { arguments: number; names: readonly string[] };
    expect(names.slice(0, 2)).toEqual(['skb', 'location']);
    expect(count).toBe(names.length);
  });

  test('leaves no descriptor open, and nothing in the kernel', async () => {
    const before = descriptors();
    const made = await objectsOf(() => examine());
    expect(descriptors()).toEqual(before);
    expect(new Set(made.map(({ kind }) => kind))).toEqual(new Set(['prog', 'map', 'link']));
    // What is closed last, the kernel may put away a moment later.
    await expect.poll(() => made.filter(isThere), { timeout: 10_000 }).toEqual([]);
  });

  test('would be seen to leave something', async () => {
    const before = descriptors();
    let drops: DropCounter | undefined;
    const made = await objectsOf(async () => {
      drops = countDrops();
    });
    try {
      expect(descriptors().length).toBeGreaterThan(before.length);
      expect(made.filter(isThere)).toEqual(made);
      expect(made.length).toBeGreaterThan(0);
    } finally {
      drops?.close();
    }
  });

  test('writes to a file, and fails where it cannot', async () => {
    const file = scratch.file('report');
    expect(await run([...skbdrop, 'doctor', '-o', file])).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(readFileSync(file, 'utf8')).toMatch(/^skbdrop .*\n\nKERNEL\n/);
    const full = await run([...skbdrop, 'doctor', '-o', '/dev/full']);
    expect(full).toMatchObject({
      status: 1,
      stderr: 'skbdrop: cannot write to /dev/full: ENOSPC: no space left on device\n',
    });
  });

  test.each<[string[], RegExp]>([
    [['--btf', '/etc/passwd'], /neither BTF nor an ELF file/],
    [['word'], /doctor takes no argument "word"/],
    [['--', 'true'], /doctor runs no command/],
    [['-f', 'xml'], /Allowed choices are text, json/],
  ])('%j ends with 2', async (words, text) => {
    const ended = await run([...skbdrop, 'doctor', ...words]);
    expect(ended.stderr).toMatch(text);
    expect([ended.status, ended.stdout]).toEqual([2, '']);
  });

  test('has colours on a terminal that wants them, and lines as wide as it', async ({ skip }) => {
    if (needTool('script') === undefined) return skip('script (bsdutils) is not installed');
    const words = `stty cols 60 rows 30; ${[...skbdrop, 'doctor'].join(' ')}`;
    // Node takes a terminal in CI for one without colours.
    const { CI: _, NO_COLOR: __, FORCE_COLOR: ___, ...rest } = process.env;
    const onTerminal = (env: NodeJS.ProcessEnv): Promise<Ended> =>
      run(['script', '-qefc', words, '/dev/null'], { env: { ...rest, TERM: 'xterm', ...env } });
    const { stdout } = await onTerminal({});
    expect(stdout).toContain('\x1b[32mok  \x1b[39m');
    const plain = await onTerminal({ NO_COLOR: '1' });
    expect(plain.stdout).not.toContain('\x1b[3');
    expect(Math.max(...plain.stdout.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(60);
  });
});

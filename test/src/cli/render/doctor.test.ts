import { machine } from 'node:os';
import { describe, expect, test } from 'vitest';
import { doctorJson, doctorStatus, doctorText, verdict, wrap } from '../../../../src/cli/render/doctor.ts';
import type { Diagnosis } from '../../../../src/doctor/index.ts';
import { version } from '../../../../src/version.ts';
import { healthy, hopeless, withoutBtf } from './diagnoses.ts';

const plain = { width: 80, verbose: false, paint: (_: string, text: string): string => text };

const text = (diagnosis: Diagnosis, options: Partial<Parameters<typeof doctorText>[1]> = {}): string =>
  doctorText(diagnosis, { ...plain, ...options });

/** Without the title, which names the machine that the test runs on. */
const body = (report: string): string => report.slice(report.indexOf('\n') + 1);

describe('for people', () => {
  test('all is well', () => {
    expect(text(healthy).split('\n')[0]).toBe(
      `skbdrop ${version} on Linux 6.18.44, ${machine()}, Node ${process.versions.node}`,
    );
    expect(body(text(healthy))).toBe(`
KERNEL
  ok    JIT           on
  ok    BPF features  ring buffer

PROCESS
  ok    user          root

HOST

WAYS TO ATTACH
  ok    tp_btf        trace, top, hist, stacks
  ok    raw_tp        trace, top, hist, stacks
  ok    tracepoint    trace, top, hist, stacks

COLUMNS OF TRACE
  ok    all drops     time, reason, function, length, protocol, interface,
                      namespace

COMMANDS
  ok    trace         works, by tp_btf
  ok    top           works, by tp_btf
  ok    hist          works, by tp_btf
  ok    stacks        works, by tp_btf
  ok    -n            works, by tp_btf
  ok    demo          works

Everything works here.
`);
  });

  test('nothing works: a sentence that several commands would say stands once', () => {
    expect(body(text(hopeless))).toBe(`
KERNEL
  ?     JIT           not known
  ?     BPF features  not known: ring buffer

PROCESS
  part  capabilities  none
                        Run as root

HOST

WAYS TO ATTACH
  no    tp_btf        cannot create the map: the kernel wants CAP_BPF
  no    raw_tp        cannot create the map: the kernel wants CAP_BPF
  no    tracepoint    cannot create the map: the kernel wants CAP_BPF

COLUMNS OF TRACE
  no    none          trace does not work

COMMANDS
  no    trace         cannot create the map books: the kernel wants CAP_BPF
                        Run as root
  no    top           the same
  no    hist          the same
  no    stacks        the same
  no    -n            the same
  no    demo          a fault in skbdrop itself: x is not a function

Nothing works here; what to do stands above.
`);
  });

  test('something works', () => {
    expect(body(text(withoutBtf))).toBe(`
KERNEL
  ok    BPF features  ring buffer
  part                without live frames (Linux 5.18; for fast floods)
  ?                   not known: recursion guard

PROCESS

HOST
  part  BTF           not there
                        Boot a kernel that has it

WAYS TO ATTACH
  no    tp_btf        this kernel has no BTF for the tracepoint (Linux 5.5 and
                      later have it)
  part  raw_tp        trace, top, stacks
                      not hist: this kernel has no BTF, which says where the
                      length stands
  part  tracepoint    trace, top, stacks
                      not hist: this kernel has no BTF, which says where the
                      length stands

COLUMNS OF TRACE
  ok    all drops     time, reason, function, interface, namespace
  part  missing       length, protocol: nothing says where

COMMANDS
  part  trace         works, by raw_tp
  ok    top           works, by raw_tp
  no    hist          this kernel has no BTF, which says where the length stands
                        Give it with --btf FILE
  ok    stacks        works, by raw_tp
  ok    -n            works, by raw_tp
  ok    demo          works

Trace, top, stacks and demo work, hist does not. Drops are shown without length
and protocol.
`);
  });

  test('-v: what is of minor interest, and details', () => {
    expect(text(healthy, { verbose: true })).toContain('  ok    sysctl        kernel.perf_event_paranoid = 2\n');
    expect(text(hopeless, { verbose: true })).toContain('                      bpf(BPF_MAP_CREATE) returned EPERM\n');
    expect(text(hopeless)).not.toContain('returned EPERM');
  });

  test.each([40, 50, 60, 80, 100, 300])('fits %i columns', (width) => {
    for (const diagnosis of [healthy, hopeless, withoutBtf]) {
      const longest = Math.max(
        ...text(diagnosis, { width })
          .split('\n')
          .map((line) => line.length),
      );
      expect(longest).toBeLessThanOrEqual(Math.min(Math.max(width, 46), 100));
    }
  });

  test('colours do not move anything', () => {
    const paint = (style: string, text: string): string => `<${style}>${text}</>`;
    const painted = text(withoutBtf, { paint });
    expect(painted).toContain('<green>ok  </>  BPF features');
    expect(painted).toContain('<red>no  </>  hist');
    expect(painted).toContain('<bold>KERNEL</>');
    expect(painted.replace(/<\w+>|<\/>/g, '')).toBe(text(withoutBtf));
  });
});

describe('the verdict', () => {
  const { columns, commands } = healthy;
  test.each<[string, Partial<Diagnosis>, string]>([
    ['all', {}, 'Everything works here.'],
    [
      'all, with a restriction',
      { checks: [{ name: 'jit', about: 'kernel', value: 'off', ok: false, fix: 'x' }] },
      'All commands work. What could be better stands above.',
    ],
    [
      'all, and what is not known',
      { checks: [{ name: 'jit', about: 'kernel', value: '?', ok: undefined }] },
      'Everything works here.',
    ],
    [
      'columns are missing',
      { columns: { ...columns, reason: 'x', function: 'x' } },
      'All commands work, but drops are shown without names of reasons and names of functions.',
    ],
    [
      'no demo',
      { commands: { ...commands, demo: { works: false, error: undefined } } },
      'Trace, top, hist and stacks work, demo does not.',
    ],
    [
      'demo alone',
      { commands: { ...hopeless.commands, demo: { works: true } } },
      'Demo works, trace, top, hist and stacks do not.',
    ],
  ])('%s', (_, difference, sentence) => {
    expect(verdict({ ...healthy, ...difference })).toBe(sentence);
  });
});

describe('for programs', () => {
  test('what the commands would end with, and say', () => {
    const report = JSON.parse(doctorJson(hopeless));
    expect(report.commands.trace).toEqual({
      works: false,
      status: 3,
      error: 'cannot create the map books: the kernel wants CAP_BPF',
      hint: 'Run as root',
    });
    expect(report.commands.demo).toEqual({
      works: false,
      status: 1,
      error: 'a fault in skbdrop itself: x is not a function',
    });
    expect(report).toMatchObject({ works: false, status: 3, features: {}, tracepoint: {} });
  });

  test('how each attaches', () => {
    const report = JSON.parse(doctorJson(withoutBtf));
    expect(report.commands.top).toEqual({ works: true, status: 0, attach: 'raw_tp' });
    expect(report.commands.demo).toEqual({ works: true, status: 0 });
    expect(report.attach.tracepoint.top).toEqual({ works: true, status: 0, attach: 'tracepoint' });
    expect(report.columns.length).toEqual({ works: false, why: 'nothing says where' });
    expect(report.columns.time).toEqual({ works: true });
  });

  test('no word of the layout for people', () => {
    expect(JSON.parse(doctorJson(withoutBtf)).checks).toEqual([
      { name: 'btf', value: 'not there', ok: false, fix: 'Boot a kernel that has it' },
    ]);
  });
});

test.each<[string, Diagnosis, number]>([
  ['all is well', healthy, 0],
  ['hist does not work', withoutBtf, 3],
  ['nothing works', hopeless, 3],
  ['only the demo does not', { ...healthy, commands: { ...healthy.commands, demo: hopeless.commands.demo } }, 0],
])('the status where %s', (_, diagnosis, status) => {
  expect(doctorStatus(diagnosis)).toBe(status);
});

test.each([
  ['a b c', 3, ['a b', 'c']],
  ['a b c', 5, ['a b c']],
  ['averylongword b', 4, ['averylongword', 'b']],
  ['', 10, ['']],
])('%j in %i columns', (words, width, lines) => {
  expect(wrap(words, width)).toEqual(lines);
});

import { describe, expect, test } from 'vitest';
import {
  assemble,
  CallKind,
  Class,
  classOf,
  disassemble,
  JumpOp,
  listing,
  operationOf,
  slotsOf,
  targetOf,
} from '../../../asm/index.ts';
import type { ProgramSpec } from '../../../src/bpf/program.ts';
import type { AccountOptions } from '../../../src/probes/account.ts';
import { type AttachMode, attachModes, dropContext } from '../../../src/probes/context.ts';
import { CountProbe } from '../../../src/probes/count.ts';
import { HistProbe } from '../../../src/probes/hist.ts';
import { PlaceProbe } from '../../../src/probes/places.ts';
import type { ReasonFilter } from '../../../src/probes/reason-filter.ts';
import { StackProbe } from '../../../src/probes/stacks.ts';
import { TraceProbe } from '../../../src/probes/trace.ts';
import { fakeHost } from '../../helpers/fake-host.ts';

const host = fakeHost();
/** As Linux 5.10: no reasons, no atomic fetches, programs may be entered twice on a CPU. */
const oldHost = fakeHost({ parameters: ['skb', 'location'], format: '5.10' });

const probes: Readonly<Record<string, (options: AccountOptions) => { readonly spec: ProgramSpec }>> = {
  count: (options) => new CountProbe(options),
  hist: (options) => new HistProbe(options, false),
  'hist-by-reason': (options) => new HistProbe(options, true),
  stacks: (options) => new StackProbe(options),
  trace: (options) => new TraceProbe(options, 65_536),
};

const filters: Readonly<Record<string, ReasonFilter>> = {
  all: { kind: 'all' },
  only2: { kind: 'only', reasons: new Set([3, 0x20005]) },
  not1: { kind: 'not', reasons: new Set([2]) },
  only12: { kind: 'only', reasons: new Set([2, 3, 5, 63, 64, 127, 128, 191, 192, 255, 256, 0x20005]) },
  not10: { kind: 'not', reasons: new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 0x30001]) },
};

interface Variant {
  readonly program: string;
  readonly mode: AttachMode;
  readonly filter: string;
  readonly limit: number | undefined;
  readonly guardsReentry: boolean;
}

function spec({ program, mode, filter, limit, guardsReentry }: Variant): ProgramSpec {
  const context = dropContext(mode, host);
  return probes[program]!({ context, filter: filters[filter]!, limit, guardsReentry }).spec;
}

/** Maps get the descriptors 3, 4, …, in the order in which the program names them. */
function assembled(program: ProgramSpec): ReturnType<typeof assemble> {
  const maps = Object.fromEntries(program.maps.map(({ name }, i) => [name, { fd: 3 + i }]));
  return assemble(program.code, { maps });
}

function text(program: ProgramSpec): string {
  const maps = program.maps.map(
    ({ name, type, keySize, valueSize, maxEntries }, i) =>
      `${i + 3}: ${type} ${name} ${keySize} -> ${valueSize}, ${maxEntries}\n`,
  );
  return `${program.name} ${program.type}\n${maps.join('')}\n${listing(disassemble(assembled(program)))}`;
}

const all: Variant[] = Object.keys(probes).flatMap((program) =>
  attachModes.flatMap((mode) =>
    Object.keys(filters).flatMap((filter) =>
      [undefined, 3].flatMap((limit) =>
        [true, false].map((guardsReentry) => ({ program, mode, filter, limit, guardsReentry })),
      ),
    ),
  ),
);

describe('listings, kept', () => {
  const plain = { filter: 'all', limit: undefined, guardsReentry: true } as const;
  const modes = Object.keys(probes).flatMap((program) => attachModes.map((mode) => ({ program, mode })));

  test.each(modes)('$program, $mode', async ({ program, mode }) => {
    // A page may be larger elsewhere, and a ring is a page at least.
    await expect(text(spec({ program, mode, ...plain }))).toMatchFileSnapshot(
      `../../fixtures/programs/${program}.${mode}.txt`,
    );
  });

  const variants = all.filter(({ program, mode }) => program === 'count' && mode === 'tp_btf');
  test.each(variants)('count: filter $filter, limit $limit, guarded $guardsReentry', async (variant) => {
    const { filter, limit, guardsReentry } = variant;
    const name = `${filter}.${limit === undefined ? 'endless' : 'limited'}.${guardsReentry ? 'plain' : 'atomic'}`;
    await expect(text(spec(variant))).toMatchFileSnapshot(`../../fixtures/programs/variants/count.${name}.txt`);
  });
});

describe('listings of a kernel without reasons, kept', () => {
  const { count: _, 'hist-by-reason': __, ...others } = probes;
  const designs = { ...others, places: (options: AccountOptions) => new PlaceProbe(options) };
  const rows = Object.entries(designs).flatMap(([name, design]) => attachModes.map((mode) => ({ name, mode, design })));

  test.each(rows)('$name, $mode', async ({ name, mode, design }) => {
    const context = dropContext(mode, oldHost);
    const oldWays = { guardsReentry: mode === 'tracepoint', fetchesAtomically: false };
    const { spec } = design({ context, filter: { kind: 'all' }, limit: 3, ...oldWays });
    expect(unreachable(assembled(spec))).toEqual([]);
    await expect(text(spec)).toMatchFileSnapshot(`../../fixtures/programs/reasonless/${name}.${mode}.txt`);
  });
});

/** Instructions that nothing leads to; the verifier refuses a program that has one. */
function unreachable(program: ReturnType<typeof assemble>): number[] {
  const at = new Map(program.offsets.map((offset, index) => [offset as number, index]));
  const seen = new Set<number>();
  const open = [0];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (seen.has(index)) continue;
    seen.add(index);
    const insn = program.instructions[index]!;
    const offset = program.offsets[index]!;
    const jumps = classOf(insn.opcode) === Class.jump || classOf(insn.opcode) === Class.jump32;
    const operation = operationOf(insn.opcode);
    if (jumps && operation === JumpOp.exit) continue;
    const target = targetOf(insn, offset);
    if (target !== undefined) open.push(at.get(target)!);
    if (!jumps || operation !== JumpOp.always) open.push(at.get(offset + slotsOf(insn))!);
  }
  return program.instructions.flatMap((_, index) => (seen.has(index) ? [] : [index]));
}

describe('every program', () => {
  test.each(all)('$program, $mode, $filter, limit $limit, guarded $guardsReentry', (variant) => {
    const program = spec(variant);
    const code = assembled(program);
    expect(unreachable(code)).toEqual([]);
    // BPF_MAXINSNS of programs without the capabilities of today; far below it on purpose.
    expect(code.insnCount).toBeLessThan(512);
    expect(program.name.length + 'skbdrop_'.length).toBeLessThanOrEqual(15);
    for (const map of program.maps) {
      expect(map.name).toMatch(/^\w{1,15}$/);
      expect(map.valueSize, 'PCPU_MIN_UNIT_SIZE').toBeLessThanOrEqual(32_768);
    }
    const names = program.maps.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const used = new Set(
      code.instructions.flatMap(({ name }) => (name !== undefined && names.includes(name) ? [name] : [])),
    );
    expect([...used].sort(), 'maps that the code uses').toEqual([...names].sort());
    const calls = code.instructions.filter(
      ({ opcode }) => classOf(opcode) === Class.jump && operationOf(opcode) === JumpOp.call,
    );
    expect(calls.every(({ src }) => src === CallKind.helper)).toBe(true);
    const helpers = new Set(calls.map(({ imm }) => imm));
    expect(helpers.has(113), 'bpf_probe_read_kernel').toBe(
      variant.mode !== 'tp_btf' && /^(hist|trace)/.test(variant.program),
    );
  });

  test.each(attachModes)('what %s is loaded as', (mode) => {
    const { type, attachBtfId } = spec({
      program: 'count',
      mode,
      filter: 'all',
      limit: undefined,
      guardsReentry: true,
    });
    const types = { tp_btf: 'TRACING', raw_tp: 'RAW_TRACEPOINT', tracepoint: 'TRACEPOINT' } as const;
    expect(type).toBe(types[mode]);
    expect(attachBtfId).toBe(mode === 'tp_btf' ? host.btf!.find('btf_trace_kfree_skb', 'typedef') : undefined);
  });
});

test('an empty selection makes a program that the verifier takes, too', () => {
  const filter = { kind: 'only', reasons: new Set<number>() } as const;
  const { code, maps } = new CountProbe({
    context: dropContext('tp_btf', host),
    filter,
    limit: undefined,
    guardsReentry: true,
  }).spec;
  const fds = Object.fromEntries(maps.map(({ name }, i) => [name, { fd: 3 + i }]));
  expect(unreachable(assemble(code, { maps: fds }))).toEqual([]);
});

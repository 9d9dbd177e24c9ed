import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  AsmError,
  alu64,
  assemble,
  type Code,
  call,
  callLocal,
  comment,
  decode,
  exit,
  fp,
  funcAddr,
  type Instruction,
  imm64,
  instruction,
  jump,
  jump32,
  label,
  load,
  mapFd,
  mapValue,
  mov,
  print,
  r0,
  r1,
  r2,
  scope,
  store,
  targetOf,
} from '../../asm/index.ts';
import { hexOf, thrown } from './helpers.ts';

const texts = (code: Code): string[] => assemble(code).instructions.map(print);

describe('labels', () => {
  /** [what, code, the texts of the instructions] */
  test.each<[string, Code, string[]]>([
    ['the next instruction', [jump.always('a'), label('a'), exit()], ['goto +0', 'exit']],
    ['itself', [label('a'), jump.always('a')], ['goto -1']],
    ['back', [label('a'), exit(), jump.eq(r1, 0, 'a')], ['exit', 'if r1 == 0 goto -2']],
    [
      'forward over a wide instruction',
      [jump32.sgt(r1, r2, 'a'), imm64(r1, 1n), label('a'), exit()],
      ['if w1 s> w2 goto +2', 'r1 = 1 ll', 'exit'],
    ],
    ['back over a wide instruction', [label('a'), imm64(r1, 1n), jump.always('a')], ['r1 = 1 ll', 'goto -3']],
    [
      'two at one place',
      [jump.always('a'), jump.always('b'), label('a'), label('b'), exit()],
      ['goto +1', 'goto +0', 'exit'],
    ],
    ['behind the last instruction', [jump.always('a'), exit(), label('a')], ['goto +1', 'exit']],
    ['gotol', [jump.long('a'), exit(), label('a'), exit()], ['gotol +1', 'exit', 'exit']],
    ['a local call', [callLocal('f'), exit(), label('f'), exit()], ['call pc+1', 'exit', 'exit']],
    ['a local call back', [label('f'), exit(), callLocal('f')], ['exit', 'call pc-2']],
    ['an address of code', [funcAddr(r2, 'f'), exit(), label('f'), exit()], ['r2 = code_addr(+2)', 'exit', 'exit']],
    ['a distance given as number', [jump.always({ offset: -7 }), exit()], ['goto -7', 'exit']],
  ])('%s', (_, code, expected) => expect(texts(code)).toEqual(expected));

  test('are reported with their places, in slots', () => {
    const { labels, offsets, insnCount } = assemble([label('a'), imm64(r1, 1n), label('b'), exit(), label('end')]);
    expect([...labels]).toEqual([
      ['a', 0],
      ['b', 2],
      ['end', 3],
    ]);
    expect(offsets).toEqual([0, 2]);
    expect(insnCount).toBe(3);
  });

  test('unknown', () => {
    const error = thrown(AsmError, () => assemble([exit(), imm64(r1, 0n), jump.always('nowhere')]));
    expect(error).toMatchObject({ fault: 'unknown-label', index: 2, slot: 3, label: 'nowhere' });
    expect(error.message).toBe('instruction 2: there is no label "nowhere"');
  });

  test('defined twice', () => {
    const error = thrown(AsmError, () => assemble([label('a'), imm64(r1, 0n), label('a'), exit()]));
    expect(error).toMatchObject({ fault: 'duplicate-label', index: 1, slot: 2, label: 'a' });
  });
});

describe('distances', () => {
  test('the message says what goes further', () => {
    const far = (make: (to: string) => Instruction): Code => [make('a'), filler(0x8000), label('a'), exit()];
    expect(thrown(AsmError, () => assemble(far(jump.always))).message).toBe(
      'instruction 0: label "a" is 32768 slots away, too far for this jump (-32768 to 32767; jump.long goes further)',
    );
    expect(assemble(far(jump.long)).instructions[0]!.imm).toBe(0x8000);
  });

  const filler = (count: number): Instruction[] => new Array<Instruction>(count).fill(exit());
  const jumps: [string, (to: string) => Instruction][] = [
    ['goto', jump.always],
    ['if', (to) => jump.eq(r1, r2, to)],
    ['if w', (to) => jump32.eq(r1, 1, to)],
  ];

  test.each(jumps)('%s forward: 32767 slots, not 32768', (_, make) => {
    const ahead = (distance: number): Code => [make('a'), filler(distance), label('a'), exit()];
    expect(assemble(ahead(0x7fff)).instructions[0]!.off).toBe(0x7fff);
    expect(thrown(AsmError, () => assemble(ahead(0x8000)))).toMatchObject({
      fault: 'too-far',
      index: 0,
      label: 'a',
      distance: 0x8000,
    });
  });

  test.each(jumps)('%s back: 32768 slots, not 32769', (_, make) => {
    const back = (distance: number): Code => [label('a'), filler(distance - 1), make('a')];
    expect(assemble(back(0x8000)).instructions.at(-1)!.off).toBe(-0x8000);
    expect(thrown(AsmError, () => assemble(back(0x8001)))).toMatchObject({
      fault: 'too-far',
      index: 0x8000,
      label: 'a',
      distance: -0x8001,
    });
  });

  test('gotol, local calls and addresses of code go further', () => {
    const code = [jump.long('a'), callLocal('a'), funcAddr(r2, 'a'), filler(100_000), label('a'), exit()];
    expect(
      assemble(code)
        .instructions.slice(0, 3)
        .map(({ imm }) => imm),
    ).toEqual([100_003, 100_002, 100_001]);
  });

  test('every resolved jump points at its label', () => {
    const places = fc.array(fc.record({ kind: fc.nat(4), to: fc.nat(), wide: fc.boolean() }), { minLength: 1 });
    fc.assert(
      fc.property(places, (steps) => {
        const makers = [
          jump.always,
          jump.long,
          callLocal,
          (to: string) => funcAddr(r1, to),
          (to: string) => jump.ne(r1, 0, to),
        ];
        const code = steps.map(({ kind, to, wide }, index) => [
          label(`l${index}`),
          makers[kind]!(`l${to % steps.length}`),
          wide ? imm64(r1, 5n) : [],
        ]);
        const { instructions, offsets, labels, bytes, insnCount } = assemble(code);
        expect(bytes.length).toBe(insnCount * 8);
        expect(decode(bytes, 'little')).toEqual(instructions);
        const targets = instructions.flatMap((insn, index) => targetOf(insn, offsets[index]!) ?? []);
        expect(targets).toEqual(steps.map(({ to }) => labels.get(`l${to % steps.length}`)));
      }),
    );
  });
});

describe('maps', () => {
  test('a name is bound when assembling', () => {
    const code = [mapFd(r1, { name: 'counts' }), mapValue(r2, { name: 'config' }, 8)];
    const { instructions } = assemble(code, { maps: { counts: { fd: 5 }, config: { fd: 0 } } });
    expect(instructions.map(print)).toEqual(['r1 = map_by_fd(5)', 'r2 = map_val(map_by_fd(0)) + 8']);
    expect(instructions.map(({ name }) => name)).toEqual(['counts', 'config']);
  });

  test('a map that exists is taken as it is, and only its fd is looked at', () => {
    const owner = { fd: 9, name: 'counts', close: () => undefined };
    expect(assemble([mapFd(r1, owner)]).instructions.map(print)).toEqual(['r1 = map_by_fd(9)']);
  });

  test.each(['counts', 'toString', '__proto__'])('no map %s', (name) => {
    const error = thrown(AsmError, () => assemble([exit(), mapFd(r1, { name })], { maps: {} }));
    expect(error).toMatchObject({ fault: 'unknown-map', index: 1, map: name });
  });

  test('an fd that is none', () => {
    const code = mapFd(r1, { name: 'm' });
    expect(() => assemble(code, { maps: { m: { fd: -1 } } })).toThrow(RangeError);
    expect(() => assemble(code, { maps: { m: { fd: '3' as unknown as number } } })).toThrow(TypeError);
  });
});

test('a label or map on an instruction that has no use for it is an error', () => {
  const goesNowhere = instruction({ opcode: 0x95 }, { label: 'a' });
  expect(thrown(AsmError, () => assemble([label('a'), goesNowhere]))).toMatchObject({ fault: 'illegal', index: 0 });
  const loadsNone = instruction({ opcode: 0x18, nextImm: 0 }, { map: 'm' });
  const error = thrown(AsmError, () => assemble(loadsNone, { maps: { m: { fd: 3 } } }));
  expect(error).toMatchObject({ fault: 'illegal', index: 0, map: 'm' });
});

describe('code', () => {
  test('nests', () => {
    const piece = [mov(r0, 0), [[exit()]], []];
    expect(texts([label('a'), piece, [piece]])).toEqual(['r0 = 0', 'exit', 'r0 = 0', 'exit']);
    expect(texts(exit())).toEqual(['exit']);
    expect(texts([])).toEqual([]);
  });

  test.each([undefined, null, 5, 'exit', {}, exit])('holds nothing like %s', (item) => {
    expect(() => assemble([exit(), item as unknown as Code])).toThrow(TypeError);
  });

  test('both byte orders', () => {
    const code = [imm64(r1, 0x0102_0304_0506_0708n), jump.gt(r1, r2, 'a'), label('a')];
    expect(hexOf(assemble(code).bytes)).toBe('1801000008070605' + '0000000004030201' + '2d21000000000000');
    expect(hexOf(assemble(code, { endian: 'big' }).bytes)).toBe(
      '1810000005060708' + '0000000001020304' + '2d12000000000000',
    );
  });

  test('assembling changes nothing in it', () => {
    const code: Code = Object.freeze([jump.always('a'), Object.freeze([label('a'), mapFd(r1, { name: 'm' })])]);
    const before = JSON.stringify(code);
    assemble(code, { maps: { m: { fd: 3 } } });
    expect(JSON.stringify(code)).toBe(before);
  });
});

describe('comments', () => {
  test('are carried by the first instruction, behind labels', () => {
    const code = comment('the length', [label('a'), load.u32(r1, r2, 112), store.u32(fp, -4, r1)]);
    expect(assemble(code).instructions.map((insn) => insn.comment)).toEqual(['the length', undefined]);
  });

  test('stay when labels and maps are resolved', () => {
    const code = [comment('over', jump.always('a')), label('a'), comment('the map', mapFd(r1, { name: 'm' }))];
    const { instructions } = assemble(code, { maps: { m: { fd: 3 } } });
    expect(instructions.map((insn) => insn.comment)).toEqual(['over', 'the map']);
  });

  test('of a piece and of its first instruction are both kept', () => {
    const code = comment('outer', [comment('inner', exit())]);
    expect(assemble(code).instructions[0]!.comment).toBe('outer; inner');
  });

  test('need an instruction and one line', () => {
    expect(() => comment('nothing', [label('a')])).toThrow(TypeError);
    expect(() => comment('two\nlines', exit())).toThrow(TypeError);
  });

  test('leave the original alone', () => {
    const plain = exit();
    comment('leave', plain);
    expect(plain.comment).toBeUndefined();
  });
});

describe('scope', () => {
  const loop: Code = [label('again'), alu64.sub(r1, 1), jump.ne(r1, 0, 'again'), jump.always('out')];

  test('lets a piece with labels stand twice', () => {
    const code = [scope('first', loop), scope('second', loop), label('out'), exit()];
    const { labels } = assemble(code);
    expect([...labels]).toEqual([
      ['first.again', 0],
      ['second.again', 3],
      ['out', 6],
    ]);
    expect(texts(code).slice(3)).toEqual(['r1 -= 1', 'if r1 != 0 goto -2', 'goto +0', 'exit']);
  });

  test('without it the label is there twice', () => {
    expect(thrown(AsmError, () => assemble([loop, loop])).fault).toBe('duplicate-label');
  });

  test('nests', () => {
    const { labels } = assemble([scope('a', [scope('b', [label('x'), jump.always('x')])])]);
    expect([...labels.keys()]).toEqual(['a.b.x']);
  });
});

test('a whole program', () => {
  const code = [
    comment('the skb', load.u64(r1, r1, 0)),
    jump.eq(r1, 0, 'out'),
    load.u32(r2, r1, 112),
    store.u32(fp, -4, r2),
    mapFd(r1, { name: 'lengths' }),
    mov(r2, fp),
    alu64.add(r2, -4),
    call(1, 'bpf_map_lookup_elem'),
    label('out'),
    mov(r0, 0),
    exit(),
  ];
  expect(hexOf(assemble(code, { maps: { lengths: { fd: 4 } } }).bytes).match(/.{16}/g)).toEqual([
    '7911000000000000',
    '1501070000000000',
    '6112700000000000',
    '632afcff00000000',
    '1811000004000000',
    '0000000000000000',
    'bfa2000000000000',
    '07020000fcffffff',
    '8500000001000000',
    'b700000000000000',
    '9500000000000000',
  ]);
});

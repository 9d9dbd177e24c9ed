import { describe, expect, test } from 'vitest';
import {
  AsmError,
  assemble,
  call,
  comment,
  decode,
  disassemble,
  exit,
  funcAddr,
  type Instruction,
  imm64,
  jump,
  label,
  listing,
  load,
  mapFd,
  mov,
  print,
  r0,
  r1,
  r2,
} from '../../asm/index.ts';
import { thrown } from './helpers.ts';

const program = assemble(
  [
    comment('the skb', load.u64(r1, r1, 0)),
    jump.eq(r1, 0, 'out'),
    comment('how many', mapFd(r1, { name: 'counts' })),
    call(1, 'bpf_map_lookup_elem'),
    funcAddr(r2, 'out'),
    label('out'),
    label('end'),
    mov(r0, 0),
    exit(),
  ],
  { maps: { counts: { fd: 7 } } },
);

test('lines know their place, bytes, text, labels, targets, names and comments', () => {
  expect(disassemble(program)).toEqual([
    { offset: 0, labels: [], hex: '7911000000000000', text: 'r1 = *(u64 *)(r1 + 0)', comment: 'the skb' },
    { offset: 1, labels: [], hex: '1501050000000000', text: 'if r1 == 0 goto +5', target: 'out' },
    {
      offset: 2,
      labels: [],
      hex: '18110000070000000000000000000000',
      text: 'r1 = map_by_fd(7)',
      name: 'counts',
      comment: 'how many',
    },
    { offset: 4, labels: [], hex: '8500000001000000', text: 'call 1', name: 'bpf_map_lookup_elem' },
    { offset: 5, labels: [], hex: '18420000010000000000000000000000', text: 'r2 = code_addr(+1)', target: 'out' },
    { offset: 7, labels: ['out', 'end'], hex: 'b700000000000000', text: 'r0 = 0' },
    { offset: 8, labels: [], hex: '9500000000000000', text: 'exit' },
  ]);
});

test('as one text', () => {
  expect(listing(disassemble(program))).toBe(
    [
      '       0: 79 11 00 00 00 00 00 00                          r1 = *(u64 *)(r1 + 0)                    ; the skb',
      '       1: 15 01 05 00 00 00 00 00                          if r1 == 0 goto +5 <out>',
      '       2: 18 11 00 00 07 00 00 00 00 00 00 00 00 00 00 00  r1 = map_by_fd(7)                        ; counts: how many',
      '       4: 85 00 00 00 01 00 00 00                          call 1                                   ; bpf_map_lookup_elem',
      '       5: 18 42 00 00 01 00 00 00 00 00 00 00 00 00 00 00  r2 = code_addr(+1) <out>',
      'out:',
      'end:',
      '       7: b7 00 00 00 00 00 00 00                          r0 = 0',
      '       8: 95 00 00 00 00 00 00 00                          exit',
      '',
    ].join('\n'),
  );
});

test('without wide instructions the column of bytes is narrow', () => {
  expect(listing(disassemble([exit()]))).toBe('       0: 95 00 00 00 00 00 00 00  exit\n');
});

describe('of instructions', () => {
  test('there are no labels, and the byte order is asked for', () => {
    const insns = decode(program.bytes, 'little');
    expect(disassemble(insns).map(({ text }) => text)).toEqual(program.instructions.map(print));
    expect(disassemble([imm64(r1, 1n)], 'big')[0]!.hex).toBe('18100000000000010000000000000000');
    expect(disassemble(insns).every(({ labels, target }) => labels.length === 0 && target === undefined)).toBe(true);
  });

  test('a label that is not resolved is an error', () => {
    expect(thrown(AsmError, () => disassemble([jump.always('out')])).fault).toBe('unresolved');
  });
});

describe('print', () => {
  test('shows labels and maps that are not resolved yet', () => {
    const insns: Instruction[] = [
      jump.gt(r1, r2, 'out'),
      jump.long('out'),
      funcAddr(r1, 'f'),
      mapFd(r1, { name: 'm' }),
    ];
    expect(insns.map(print)).toEqual(['if r1 > r2 goto out', 'gotol out', 'r1 = code_addr(f)', 'r1 = map_by_fd(m)']);
  });

  test('takes long numbers in hexadecimal', () => {
    expect(print(imm64(r1, 0x7fff_ffffn))).toBe('r1 = 2147483647 ll');
    expect(print(imm64(r1, 0x8000_0000n))).toBe('r1 = 0x80000000 ll');
    expect(print(imm64(r1, -0x8000_0000n))).toBe('r1 = -2147483648 ll');
    expect(print(imm64(r1, -0x8000_0001n))).toBe('r1 = 0xffffffff7fffffff ll');
  });

  test('does not fail where there is no instruction', () => {
    for (let opcode = 0; opcode < 256; opcode++) {
      for (const src of [0, 7]) expect(print({ ...exit(), opcode, src, imm: 0x7f })).not.toMatch(/undefined|NaN|null/);
    }
    expect(print({ ...exit(), opcode: 0xff })).toBe('unknown (opcode 0xff, dst 0, src 0, off 0, imm 0)');
  });
});

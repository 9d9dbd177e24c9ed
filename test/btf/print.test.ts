import { describe, expect, it } from 'vitest';
import { Btf, printType } from '../../btf/index.ts';
import { BtfBuilder, sample } from './builder.ts';

/** Prints the type added last. */
function print(fill: (b: BtfBuilder) => void, options = {}): string {
  const b = new BtfBuilder();
  fill(b);
  return printType(Btf.parse(b.build()), b.last, options);
}

describe('declarations are spelt as C has them', () => {
  const rows: [c: string, fill: (b: BtfBuilder, int: number) => void][] = [
    ['int x;', (b, int) => b.typedef('x', int)],
    ['void *x;', (b) => b.typedef('x', b.ptr(0))],
    ['int **x;', (b, int) => b.typedef('x', b.ptr(b.ptr(int)))],
    ['const int x;', (b, int) => b.typedef('x', b.const(int))],
    ['const int *x;', (b, int) => b.typedef('x', b.ptr(b.const(int)))],
    ['int * const x;', (b, int) => b.typedef('x', b.const(b.ptr(int)))],
    ['const int * const *x;', (b, int) => b.typedef('x', b.ptr(b.const(b.ptr(b.const(int)))))],
    ['int * restrict x;', (b, int) => b.typedef('x', b.restrict(b.ptr(int)))],
    ['volatile const int x;', (b, int) => b.typedef('x', b.const(b.volatile(int)))],
    ['int x[3];', (b, int) => b.typedef('x', b.array(int, int, 3))],
    ['int x[3][4];', (b, int) => b.typedef('x', b.array(b.array(int, int, 4), int, 3))],
    ['int *x[3];', (b, int) => b.typedef('x', b.array(b.ptr(int), int, 3))],
    ['int (*x)[3];', (b, int) => b.typedef('x', b.ptr(b.array(int, int, 3)))],
    ['const int x[3];', (b, int) => b.typedef('x', b.const(b.array(b.const(int), int, 3)))],
    ['void (*x)(void);', (b) => b.typedef('x', b.ptr(b.proto(0, [])))],
    [
      'int x(int a, ...);',
      (b, int) =>
        b.typedef(
          'x',
          b.proto(int, [
            ['a', int],
            ['', 0],
          ]),
        ),
    ],
    [
      'int * (*x)(int, int *);',
      (b, int) =>
        b.typedef(
          'x',
          b.ptr(
            b.proto(b.ptr(int), [
              ['', int],
              ['', b.ptr(int)],
            ]),
          ),
        ),
    ],
    ['int (* (*x)(int))[3];', (b, int) => b.typedef('x', b.ptr(b.proto(b.ptr(b.array(int, int, 3)), [['', int]])))],
    [
      'void (*x[2])(int (*)(void));',
      (b, int) => b.typedef('x', b.array(b.ptr(b.proto(0, [['', b.ptr(b.proto(int, []))]])), int, 2)),
    ],
    ['int (* const x)(void);', (b, int) => b.typedef('x', b.const(b.ptr(b.proto(int, []))))],
    ['struct s *x;', (b) => b.typedef('x', b.ptr(b.fwd('s')))],
    ['union u *x;', (b) => b.typedef('x', b.ptr(b.fwd('u', true)))],
    ['enum e x;', (b) => b.typedef('x', b.enum('e', [['A', 1]]))],
    ['__attribute__((btf_type_tag("rcu"))) int *x;', (b, int) => b.typedef('x', b.ptr(b.typeTag('rcu', int)))],
    ['__attribute__((noderef)) int *x;', (b, int) => b.typedef('x', b.ptr(b.typeTag('noderef', int, true)))],
  ];
  it.each(rows)('%s', (c, fill) => {
    expect(print((b) => fill(b, b.int('int', 4, 1)))).toBe(`typedef ${c}`);
  });
});

describe('definitions', () => {
  it.each<[string, (b: BtfBuilder) => void]>([
    ['struct nothing {};', (b) => b.struct('nothing', 0, [])],
    ['struct s;', (b) => b.fwd('s')],
    ['union u;', (b) => b.fwd('u', true)],
    [
      'enum e {\n\tA = -1,\n\tB = 1,\n};',
      (b) =>
        b.enum(
          'e',
          [
            ['A', -1],
            ['B', 1],
          ],
          true,
        ),
    ],
    ['enum e {\n\tA = 4294967295,\n} __attribute__((mode(byte)));', (b) => b.enum('e', [['A', -1]], false, 1)],
    ['enum e {\n\tA = 9223372036854775808ULL,\n};', (b) => b.enum64('e', [['A', 1n << 63n]])],
    ['enum e {\n\tA = -1LL,\n};', (b) => b.enum64('e', [['A', -1n]], true)],
    ['int f(int a);', (b) => b.func('f', b.proto(b.int('int', 4), [['a', 1]]))],
    ['static void f(void);', (b) => b.func('f', b.proto(0, []), 0)],
    ['extern int v;', (b) => b.var('v', b.int('int', 4), 2)],
    ['int;', (b) => b.int('int', 4)],
    [
      '/* section .bss */ {\n\tint v; /* 4 4 */\n};',
      (b) => b.datasec('.bss', 8, [[b.var('v', b.int('int', 4)), 4, 4]]),
    ],
    ['/* __attribute__((btf_decl_tag("t"))) on struct s */', (b) => b.declTag('t', b.fwd('s'))],
    [
      'struct s {\n\tstruct {\n\t\tint a;\n\t};\n\tunion {\n\t\tint b;\n\t} c[2];\n};',
      (b) => {
        const int = b.int('int', 4);
        const anonymous = b.struct('', 4, [{ name: 'a', type: int, at: 0 }]);
        const many = b.array(b.union('', 4, [{ name: 'b', type: int, at: 0 }]), int, 2);
        b.struct('s', 12, [
          { name: '', type: anonymous, at: 0 },
          { name: 'c', type: many, at: 32 },
        ]);
      },
    ],
    [
      'struct s {\n\tchar a;\n\tint b;\n} __attribute__((packed));',
      (b) => {
        const char = b.int('char', 1);
        b.struct('s', 5, [
          { name: 'a', type: char, at: 0 },
          { name: 'b', type: b.int('int', 4), at: 8 },
        ]);
      },
    ],
    [
      // `int: 32` alone would fit behind a, so b needs the boundary before it marked.
      'struct s {\n\tchar a;\n\tlong: 0;\n\tint: 32;\n\tint b;\n};',
      (b) => {
        const char = b.int('char', 1);
        b.struct('s', 16, [
          { name: 'a', type: char, at: 0 },
          { name: 'b', type: b.int('int', 4), at: 96 },
        ]);
      },
    ],
    [
      'struct s {\n\tint a: 3;\n\tint: 29;\n\tint b: 3;\n};',
      (b) => {
        const int = b.int('int', 4);
        b.struct(
          's',
          8,
          [
            { name: 'a', type: int, at: 0, bits: 3 },
            { name: 'b', type: int, at: 32, bits: 3 },
          ],
          true,
        );
      },
    ],
    [
      // A compiler would put b at 4 and c at bit 96; the end comes to 16 by alignment.
      'struct s {\n\tint a;\n\tlong: 0;\n\tint b;\n\tchar: 4;\n\tint c: 3;\n};',
      (b) => {
        b.int('long int', 8);
        const int = b.int('int', 4);
        b.struct(
          's',
          16,
          [
            { name: 'a', type: int, at: 0 },
            { name: 'b', type: int, at: 64 },
            { name: 'c', type: int, at: 100, bits: 3 },
          ],
          true,
        );
      },
    ],
  ])('%s', (c, fill) => {
    expect(print(fill)).toBe(c);
  });

  it('say where the members are when asked to', () => {
    const btf = Btf.parse(sample());
    const text = printType(btf, btf.find('buff', 'struct')!, { indent: '  ', offsets: true });
    expect(text.split('\n').slice(0, 10)).toEqual([
      'struct buff {',
      '  union {',
      '    struct {',
      '      struct net_device **next; /* 0 8 */',
      '      struct net_device *dev; /* 8 8 */',
      '    }; /* 0 16 */',
      '    long unsigned int list[2]; /* 0 16 */',
      '  }; /* 0 16 */',
      '  const int len; /* 16 4 */',
      '  u8 kind: 3; /* 20:0 3 bits */',
    ]);
  });

  it('count the places of nested members from the outermost struct', () => {
    const text = print(
      (b) => {
        const int = b.int('int', 4);
        const inner = b.struct('', 4, [{ name: 'a', type: int, at: 0 }]);
        b.struct('s', 8, [
          { name: 'first', type: int, at: 0 },
          { name: '', type: inner, at: 32 },
        ]);
      },
      { offsets: true },
    );
    expect(text).toContain('\t\tint a; /* 4 4 */\n');
  });
});

import fs, { rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPlace, KernelSymbols, Symbolizer } from '../../../src/kernel/symbols.ts';
import { withFolder } from '../../helpers/files.ts';

/** Lines of /proc/kallsyms. */
function kallsyms(
  ...lines: readonly (readonly [address: bigint, type: string, name: string, module?: string])[]
): Buffer {
  return Buffer.from(
    lines
      .map(([address, type, name, module]) => {
        const where = module === undefined ? '' : `\t[${module}]`;
        return `${address.toString(16).padStart(16, '0')} ${type} ${name}${where}\n`;
      })
      .join(''),
  );
}

const K = 0xffff_ffff_8100_0000n;
const M = 0xffff_ffff_c000_0000n;

const lines = [
  [0n, 'A', 'fixed_percpu_data'],
  [0n, 'A', '__per_cpu_start'],
  [K, 'T', '_text'],
  [K, 'T', '_stext'],
  [K + 0x100n, 't', 'tcp_v4_rcv'],
  [K + 0x200n, 'W', 'weak_one'],
  [K + 0x300n, 'D', 'some_data'],
  [K + 0x400n, 'd', 'data_first'],
  [K + 0x400n, 't', 'ip_rcv'],
  [K + 0x400n, 't', 'ip_rcv_alias'],
  [M, 't', 'br_handle_frame', 'bridge'],
  [M + 0x80n, 't', 'nf_hook', 'nf_tables'],
] as const;

/** `name+offset [module]` of what `find` gives. */
function where(symbols: KernelSymbols, address: bigint): string | undefined {
  const place = symbols.find(address);
  return place && formatPlace(place, address);
}

const places: readonly (readonly [string, bigint, string | undefined])[] = [
  // what                      address         place
  ['a start', K + 0x100n, 'tcp_v4_rcv+0x0'],
  ['inside', K + 0x19cn, 'tcp_v4_rcv+0x9c'],
  ['the last byte', K + 0x1ffn, 'tcp_v4_rcv+0xff'],
  ['a weak symbol', K + 0x201n, 'weak_one+0x1'],
  ['the first of two at one address', K + 0x4n, '_text+0x4'],
  ['the first function of three at one address', K + 0x410n, 'ip_rcv+0x10'],
  ['data', K + 0x310n, undefined],
  ['below everything', 0x1000n, undefined],
  ['zero', 0n, undefined],
  ['just below the first', K - 1n, undefined],
  ['a module', M + 0x1n, 'br_handle_frame+0x1 [bridge]'],
  ['another module', M + 0x81n, 'nf_hook+0x1 [nf_tables]'],
];

describe('find', () => {
  test.each(places)('%s', (_, address, place) => {
    expect(where(new KernelSymbols(kallsyms(...lines)), address)).toBe(place);
  });

  test.each(places)('in a file that is not sorted: %s', (_, address, place) => {
    // Equal addresses keep their order; everything else comes the other way round.
    const order = [...lines].sort((a, b) => (a[0] < b[0] ? 1 : -1) * Number(a[0] !== b[0]));
    expect(where(new KernelSymbols(kallsyms(...order)), address)).toBe(place);
  });

  test('a file that does not end with a newline', () => {
    const text = kallsyms([K, 'T', '_text'], [K + 16n, 't', 'last', 'mod']);
    expect(where(new KernelSymbols(text.subarray(0, -1)), K + 17n)).toBe('last+0x1 [mod]');
  });

  test('code too far behind any function is not called by its name', () => {
    const symbols = new KernelSymbols(Buffer.from('ffffffff81000000 T last\n'));
    expect(symbols.find(0xffffffff81000000n + 0x40000n)).toMatchObject({ name: 'last', offset: 0x40000 });
    expect(symbols.find(0xffffffff81000000n + 0x40001n)).toBeUndefined();
  });

  test('nothing', () => {
    const symbols = new KernelSymbols(Buffer.alloc(0));
    expect(symbols.count).toBe(0);
    expect(symbols.find(K)).toBeUndefined();
  });

  test('a few zeros are no refusal, all zeros are', () => {
    expect(new KernelSymbols(kallsyms(...lines)).hidden).toBe(false);
    const hidden = new KernelSymbols(kallsyms(...lines.map(([, type, name]) => [0n, type, name] as const)));
    expect(hidden.hidden).toBe(true);
    expect(hidden.find(0n)).toBeUndefined();
    expect(hidden.find(K)).toBeUndefined();
  });

  test('addresses whose halves compare the other way round', () => {
    const symbols = new KernelSymbols(kallsyms([0x1_ffff_fff0n, 't', 'low'], [0x2_0000_0010n, 't', 'high']));
    expect(where(symbols, 0x2_0000_0000n)).toBe('low+0x10');
    expect(where(symbols, 0x2_0000_0011n)).toBe('high+0x1');
  });

  test('as a plain search finds it', () => {
    const address = fc.bigInt({ min: 1n, max: 200n }).map((n) => K + n * 7n);
    fc.assert(
      fc.property(fc.uniqueArray(address, { maxLength: 60 }), fc.array(address, { maxLength: 20 }), (starts, asked) => {
        const symbols = new KernelSymbols(kallsyms(...starts.map((start) => [start, 't', `f${start}`] as const)));
        for (const wanted of asked) {
          const start = starts.filter((one) => one <= wanted).sort((a, b) => (a < b ? 1 : -1))[0];
          expect(symbols.find(wanted)?.name).toBe(start === undefined ? undefined : `f${start}`);
        }
      }),
    );
  });
});

describe('findReturn', () => {
  test.each([
    ['after a call in the middle', K + 0x19dn, 'tcp_v4_rcv+0x9d'],
    // The call was the last instruction of tcp_v4_rcv, which never expected to come back.
    ['at the start of the next function', K + 0x200n, 'tcp_v4_rcv+0x100'],
    ['at the start of what follows data', K + 0x400n, undefined],
    ['at the very first', K, undefined],
  ])('%s', (_, address, place) => {
    const found = new KernelSymbols(kallsyms(...lines)).findReturn(address);
    expect(found && formatPlace(found, address)).toBe(place);
  });
});

test('an address without a place', () => {
  expect(formatPlace(undefined, 0xffffffff81234567n)).toBe('0xffffffff81234567');
});

describe('Symbolizer', () => {
  const withKallsyms = (text: Buffer, body: (symbolizer: Symbolizer, file: string) => void): void =>
    withFolder((folder) => {
      const file = join(folder, 'kallsyms');
      writeFileSync(file, text);
      body(new Symbolizer(file), file);
    });

  test('finds a module that was loaded since', () => {
    withKallsyms(kallsyms([K, 'D', 'data']), (symbolizer, file) => {
      expect(symbolizer.problem).toBeUndefined();
      writeFileSync(file, kallsyms([K, 'D', 'data'], [M, 't', 'late', 'mod']));
      expect(symbolizer.findReturn(M + 5n)).toEqual({ name: 'late', offset: 5, module: 'mod' });
    });
  });

  test('a module that was loaded since is not taken for the function below it', () => {
    withFolder((folder) => {
      const [file, modules] = [join(folder, 'kallsyms'), join(folder, 'modules')];
      const below = [M, 't', 'below', 'old'] as const;
      writeFileSync(file, kallsyms(below));
      writeFileSync(modules, 'old 16384 1 - Live 0xffffffffc0000000\n');
      const symbolizer = new Symbolizer(file, modules);
      expect(symbolizer.findReturn(M + 5n)).toEqual({ name: 'below', offset: 5, module: 'old' });
      writeFileSync(file, kallsyms(below, [M + 0x1000n, 't', 'late', 'new']));
      // Who uses a module is no news.
      writeFileSync(modules, 'old 16384 2 new, Live 0xffffffffc0000000\n');
      expect(symbolizer.findReturn(M + 0x1005n)?.name).toBe('below');
      writeFileSync(modules, 'new 4096 0 - Live 0xffffffffc0001000\nold 16384 2 new, Live 0xffffffffc0000000\n');
      expect(symbolizer.findReturn(M + 0x1006n)).toEqual({ name: 'late', offset: 6, module: 'new' });
    });
  });

  test('looks again a few times only, and never twice for one address', () => {
    withKallsyms(kallsyms([K, 'D', 'data']), (symbolizer, file) => {
      for (let i = 1; i <= 10; i++) {
        expect(symbolizer.findReturn(BigInt(i))).toBeUndefined();
        expect(symbolizer.findReturn(BigInt(i))).toBeUndefined();
      }
      writeFileSync(file, kallsyms([1n, 't', 'everything']));
      expect(symbolizer.findReturn(100n)).toBeUndefined();
    });
    withKallsyms(kallsyms([K, 'D', 'data']), (symbolizer, file) => {
      for (let i = 0; i < 10; i++) symbolizer.findReturn(7n);
      writeFileSync(file, kallsyms([1n, 't', 'everything']));
      expect(symbolizer.findReturn(7n), 'the answer is kept').toBeUndefined();
      expect(symbolizer.findReturn(8n)?.name).toBe('everything');
    });
  });

  test('says why there are no names', async () => {
    withKallsyms(kallsyms([0n, 'T', 'a'], [0n, 'T', 'b']), (symbolizer) => {
      expect(symbolizer.problem).toContain('the kernel hides its addresses');
      expect(symbolizer.problem).toContain('kernel.kptr_restrict');
    });
    withKallsyms(Buffer.alloc(0), (symbolizer) => expect(symbolizer.problem).toContain('CONFIG_KALLSYMS is off'));
  });

  test('a kernel without symbols has no such file', async () => {
    await withFolder(async (folder) => {
      const file = join(folder, 'kallsyms');
      const symbolizer = new Symbolizer(file);
      expect(symbolizer.problem).toContain('CONFIG_KALLSYMS is off');
      expect(symbolizer.findReturn(K)).toBeUndefined();
      await expect(new Symbolizer(file).load()).resolves.toBeUndefined();
      rmSync(folder, { recursive: true });
    });
  });

  test.each(['EACCES', 'EPERM'])('a file that is not for us to read is no fault either: %s', (code) => {
    const { readFileSync } = fs;
    fs.readFileSync = (() => {
      throw Object.assign(new Error(`${code}: open`), { code });
    }) as typeof readFileSync;
    syncBuiltinESMExports();
    try {
      const symbolizer = new Symbolizer('/some/file');
      expect(symbolizer.problem).toBe(`/some/file cannot be read (${code}), so functions are shown as numbers`);
      expect([symbolizer.count, symbolizer.hidden, symbolizer.findReturn(K)]).toEqual([0, false, undefined]);
    } finally {
      fs.readFileSync = readFileSync;
      syncBuiltinESMExports();
    }
  });

  test('what cannot be read for another reason is an error', async () => {
    await withFolder(async (folder) => {
      await expect(new Symbolizer(folder).load()).rejects.toThrow('EISDIR');
      expect(() => new Symbolizer(folder).problem).toThrow('EISDIR');
    });
  });
});

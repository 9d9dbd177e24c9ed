import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { version } from '../../src/version.ts';
import { importsOf, wrongImports } from '../helpers/imports.ts';

const root = new URL('../../', import.meta.url);
const files = ['asm', 'btf', 'src'].flatMap((folder) =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`),
);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');

describe('arrows point up only', () => {
  test('there is something to look at', () => {
    expect(files).toContain('src/sys/ffi.ts');
    expect(files.flatMap((file) => importsOf(read(file))).length).toBeGreaterThan(200);
  });

  test.each(files)('%s', (file) => {
    expect(wrongImports(file, read(file))).toEqual([]);
  });
});

describe('a wrong import is seen', () => {
  test.each([
    // in                         what it says                                       allowed
    ['src/sys/fd.ts', "import { x } from '../bpf/map.ts';", false],
    ['src/sys/fd.ts', "import { x } from './syscall.ts';", true],
    ['src/sys/fd.ts', "import koffi from 'koffi';", false],
    ['src/sys/ffi.ts', "import koffi from 'koffi';", true],
    ['src/bpf/map.ts', "import type { X } from '../probes/count.ts';", false],
    ['src/bpf/map.ts', "import { X } from '../kernel/host.ts';", false],
    ['src/bpf/map.ts', "import { X } from '../../asm/index.ts';", true],
    ['src/bpf/map.ts', "import { X } from '../../btf/index.ts';", false],
    ['src/kernel/host.ts', "import { X } from '../bpf/map.ts';", false],
    ['src/kernel/host.ts', "import { X } from '../../btf/index.ts';", true],
    ['src/kernel/elf.ts', "createRequire(import.meta.url)('elfy')", true],
    ['src/kernel/elf.ts', "const x = require('koffi');", false],
    ['src/probes/count.ts', "export * from '../drops/select.ts';", false],
    ['src/drops/trace.ts', "await import('../cli/run.ts')", false],
    ['src/drops/trace.ts', "import { X } from '../demo/index.ts';", false],
    ['src/demo/index.ts', "import { X } from '../drops/trace.ts';", false],
    ['src/demo/index.ts', "import { X } from '../drops/select.ts';", true],
    ['src/demo/recipes/ip.ts', "import { X } from '../../probes/count.ts';", false],
    ['src/demo/recipes/ip.ts', "import { X } from '../../sys/net.ts';", true],
    ['src/doctor/trials.ts', "import { X } from '../demo/index.ts';", true],
    ['src/doctor/trials.ts', "import { X } from '../cli/exit.ts';", false],
    ['src/drops/trace.ts', "import { X } from '../doctor/index.ts';", false],
    ['src/cli/main.ts', "import { X } from '../demo/index.ts';", true],
    ['src/cli/main.ts', "import { Command } from 'commander';", true],
    ['src/drops/watch.ts', "import { Command } from 'commander';", false],
    ['src/cli/main.ts', "import x from 'left-pad';", false],
    ['src/index.ts', "export { X } from './cli/run.ts';", false],
    ['src/index.ts', "export { X } from './drops/count.ts';", true],
    ['src/binary/build.ts', "import { X } from '../kernel/elf.ts';", true],
    ['src/binary/main.ts', "import { X } from '../cli/main.ts';", false],
    ['src/binary/bundle.ts', "import { build } from 'esbuild';", true],
    ['src/cli/main.ts', "import { build } from 'esbuild';", false],
    ['src/cli/main.ts', "import { X } from '../binary/bundle.ts';", false],
    ['asm/alu.ts', "import { X } from '../btf/index.ts';", false],
    ['asm/alu.ts', "import { X } from 'node:fs';", false],
    ['btf/btf.ts', "import { X } from './strings.ts';", true],
    ['btf/btf.ts', "import { X } from '../src/sys/errors.ts';", false],
    ['src/new/thing.ts', '', false],
    ['src/sys/fd.ts', "// import { x } from '../bpf/map.ts';", true],
    ['src/sys/fd.ts', "/**\n * import { x } from '../bpf/map.ts';\n */", true],
  ])('%s: %s', (file, source, fine) => {
    expect(wrongImports(file, source)).toHaveLength(fine ? 0 : 1);
  });
});

test("the version is package.json's", () => {
  expect(version).toBe((JSON.parse(read('package.json')) as { version: string }).version);
});

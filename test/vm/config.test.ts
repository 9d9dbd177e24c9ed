import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTargets } from '../../vm/config.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skbdrop-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(text: string) {
  const path = join(folder, 'vmtest.toml');
  writeFileSync(path, text);
  return readTargets(path);
}

test("a target has vmtest's defaults, and paths relative to the file", () => {
  expect(read('[[target]]\nname = "a"\nkernel = "k/vmlinuz"\ncommand = "true"')).toEqual([
    {
      name: 'a',
      kernel: join(folder, 'k/vmlinuz'),
      kernelArgs: '',
      rootfs: '/',
      arch: 'x86_64',
      command: 'true',
      cpus: 2,
      memory: '4G',
      extraArgs: [],
    },
  ]);
});

test('all that can be said is heard', () => {
  const [target] = read(`[[target]]
name = "b"
kernel = "/boot/vmlinuz"
kernel_args = "lockdown=integrity"
rootfs = "../root"
arch = "aarch64"
command = "sh /x"
[target.vm]
num_cpus = 1
memory = "512M"
extra_args = ["-device", "x"]
`);
  expect(target).toMatchObject({
    kernel: '/boot/vmlinuz',
    kernelArgs: 'lockdown=integrity',
    rootfs: join(folder, '..', 'root'),
    arch: 'aarch64',
    cpus: 1,
    memory: '512M',
    extraArgs: ['-device', 'x'],
  });
});

describe('what cannot be followed is told, with its place', () => {
  test.each([
    ['', /vmtest\.toml: there is no \[\[target\]\]$/],
    ['[[target]', /vmtest\.toml: /],
    ['[[target]]\nname = "a"\nkernel = "k"', /target "a": command must be a text$/],
    ['[[target]]\nname = "a"\ncommand = "c"', /target "a": kernel must be a text$/],
    ['[[target]]\nkernel = "k"\ncommand = "c"', /target 1: name must be a text$/],
    ['[[target]]\nname = "a"\nimage = "i"\ncommand = "c"', /target "a": image is vmtest's/],
    ['[[target]]\nname = "a"\nkernel = "k"\ncommand = "c"\narch = "s390x"', /arch "s390x" is neither/],
    ['[[target]]\nname = "a"\nkernel = "k"\ncommand = "c"\n[target.vm]\nnum_cpus = 0', /num_cpus must be a number/],
    ['[[target]]\nname = "a"\nkernel = "k"\ncommand = "c"\n[target.vm]\nextra_args = "x"', /extra_args must be texts/],
  ])('%j', (text, says) => {
    expect(() => read(text)).toThrow(says);
  });

  test('a file that is not there', () => {
    expect(() => readTargets(join(folder, 'none.toml'))).toThrow(/none\.toml/);
  });
});

test("the matrix is one that vmtest's rules allow", () => {
  const targets = readTargets(new URL('../../vm/vmtest.toml', import.meta.url).pathname);
  expect(new Set(targets.map(({ name }) => name)).size).toBe(targets.length);
  for (const { kernel } of targets) expect(kernel).toMatch(/\.cache\/vm\/kernels\/[\d.]+-(amd64|arm64)\/vmlinuz$/);
});

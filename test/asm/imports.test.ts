import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const folder = new URL('../../asm/', import.meta.url);
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

/** What a module names after `from`, `import` or `import(`. */
function importsOf(source: string): string[] {
  return Array.from(source.matchAll(/\b(?:from|import)\s*\(?\s*(['"])([^'"]+)\1/g), (match) => match[2]!);
}

describe('asm/ imports nothing but itself', () => {
  test('the test sees imports', () => {
    const source = `import a from 'node:fs';\nexport * from "../btf/index.ts";\nimport './x.ts';\nawait import('koffi');`;
    expect(importsOf(source)).toEqual(['node:fs', '../btf/index.ts', './x.ts', 'koffi']);
    expect(files.length).toBeGreaterThan(10);
  });

  test.each(files)('%s', (file) => {
    const source = readFileSync(new URL(file, folder), 'utf8');
    expect(importsOf(source).filter((name) => !/^\.\/[a-z0-9]+\.ts$/.test(name))).toEqual([]);
    expect(source).not.toMatch(/\b(process|Buffer|require|globalThis)\b/);
  });
});

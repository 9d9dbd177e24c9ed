import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const folder = new URL('../../btf/', import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));

it('btf/ imports nothing outside itself', () => {
  expect(files).toContain('index.ts');
  for (const file of files) {
    const text = readFileSync(new URL(file, folder), 'utf8');
    const from = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/gu)].map(([, specifier]) => specifier);
    for (const specifier of from) expect([file, specifier]).toEqual([file, expect.stringMatching(/^\.\/[\w-]+\.ts$/u)]);
    // What Node has and other engines lack would be an import in all but name.
    expect([file, /\b(?:Buffer|process|require|globalThis)\b(?=[.([])/u.exec(text)?.[0]]).toEqual([file, undefined]);
  }
});

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Schema } from './json-schema.ts';

/** The documents of this repository, and what tests read in them. */

const root = new URL('../../', import.meta.url);

/** Every Markdown file that is ours, relative to the repository. */
export const documents: readonly string[] = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['asm', 'btf', 'docs', 'test'].flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

export function readDocument(file: string): string {
  return readFileSync(new URL(file, root), 'utf8');
}

export interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

/** The fenced code blocks of a document, in order. */
export function codeBlocks(markdown: string): CodeBlock[] {
  return Array.from(markdown.matchAll(/^```(\w*)\n(.*?)^```$/gms), ([, language = '', text = '']) => ({
    language,
    text,
  }));
}

/** The part of a document under the heading with this text, headings below it included. */
export function section(markdown: string, heading: string): string {
  const lines = markdown.replace(/^```.*?^```$/gms, (block) => block.replace(/^#/gm, '\0')).split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  if (start < 0) throw new Error(`there is no heading "${heading}"`);
  const level = /^#+/.exec(lines[start]!)![0].length;
  const length = lines.slice(start + 1).findIndex((line) => (/^#+(?= )/.exec(line)?.[0].length ?? 9) <= level);
  const body = length < 0 ? lines.slice(start + 1) : lines.slice(start + 1, start + 1 + length);
  return body.join('\n').replaceAll('\0', '#');
}

/** The rows of all tables in a part of a document, without their headers; code marks are kept. */
export function tableRows(markdown: string): string[][] {
  const rows = markdown.split('\n').map((line) => (line.startsWith('|') ? line : undefined));
  const body: string[][] = [];
  let headers = 0;
  for (const row of rows) {
    if (row === undefined) headers = 0;
    else if (headers < 2) headers++;
    else
      body.push(
        row
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim().replaceAll('\\|', '|')),
      );
  }
  return body;
}

/** The schema of the JSON output. */
export function jsonSchema(): Schema {
  const block = codeBlocks(readDocument('docs/json.md')).find(({ language }) => language === 'json');
  return JSON.parse(block?.text ?? 'null');
}

const rootPath = fileURLToPath(root);

/**
 * Compiles examples, each a file of its own, against the built package, which they find by its name as users do.
 *
 * @param name of a folder below dist/, which is made anew
 * @returns the JavaScript files, in the order of the examples
 * @throws Error with what the compiler said
 */
export function compileExamples(name: string, examples: readonly string[]): string[] {
  const folder = join(rootPath, 'dist', name);
  removeExamples(name);
  mkdirSync(folder, { recursive: true });
  for (const [i, text] of examples.entries()) writeFileSync(join(folder, `example${i + 1}.ts`), text);
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: {
      ...{ rootDir: '.', outDir: 'js', declaration: false, sourceMap: false },
      ...{ isolatedDeclarations: false, incremental: false, tsBuildInfoFile: null },
    },
    include: ['*.ts'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  try {
    execFileSync(join(rootPath, 'node_modules/.bin/tsc'), ['-p', folder], { stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout ?? error));
  }
  return examples.map((_, i) => join(folder, 'js', `example${i + 1}.js`));
}

export function removeExamples(name: string): void {
  rmSync(join(rootPath, 'dist', name), { recursive: true, force: true });
}

/** What an example prints, says its text: each line behind `// =>`. */
export function expectedOutput(text: string): string {
  return Array.from(text.matchAll(/\/\/ => ?(.*)\n/g), ([, line = '']) => `${line}\n`).join('');
}

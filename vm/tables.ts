/** A machine, and what its checks saw of each feature. */
export interface Row {
  readonly name: string;
  readonly features: ReadonlyMap<string, string>;
}

const BEGIN = '<!-- Written by `npm run test:vm -- --readme write`. -->';
const END = '<!-- Until here. -->';

/** For the README: the kernels beside each other, then the same kernel under restrictions. */
export function featureTables(rows: readonly Row[]): string {
  const isKernel = ({ name }: Row): boolean => /^[\d.]+( \S+)?$/.test(name);
  const kernels = rows.filter(isKernel);
  const hosts = rows.filter((row) => !isKernel(row));
  const features = unique(kernels.flatMap((row) => [...row.features.keys()]));
  const commands = unique(hosts.flatMap((row) => [...row.features.keys()]));
  return [
    markdown([
      ['', ...kernels.map(({ name }) => name)],
      ...features.map((feature) => [feature, ...kernels.map((row) => cell(row, feature))]),
    ]),
    markdown([['', ...commands], ...hosts.map((row) => [row.name, ...commands.map((command) => cell(row, command))])]),
  ].join('\n');
}

/** @returns the document with the tables in their place; undefined where it has no place for them */
export function withTables(document: string, tables: string): string | undefined {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) return undefined;
  return `${document.slice(0, begin)}${BEGIN}\n\n${tables}\n${document.slice(end)}`;
}

/** A dash where nobody looked. */
function cell({ features }: Row, feature: string): string {
  return features.get(feature) ?? '–';
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}

function markdown(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |\n`;
  const [head, ...body] = rows;
  return [line(head!), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('');
}

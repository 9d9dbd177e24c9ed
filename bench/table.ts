/** One thing that was measured, in several rounds. */
export interface Cell {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** What it is compared with. */
  readonly against: { readonly name: string; readonly value: number };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A line for each: median, the spread from the least to the most, and the ratio. */
export function table(cells: readonly Cell[]): string {
  const width = Math.max(...cells.map(({ name }) => name.length));
  return cells
    .map(({ name, unit, values, against }) => {
      const middle = median(values);
      const spread = `${Math.min(...values).toFixed(1)} - ${Math.max(...values).toFixed(1)}`;
      const ratio = `${(middle / against.value).toFixed(2)} x ${against.name}`;
      return `${name.padEnd(width)}  ${middle.toFixed(1).padStart(8)} ${unit}  (${spread})  ${ratio}\n`;
    })
    .join('');
}

/** How many suggestions an error message can bear. */
const MOST = 3;

/** The names that differ from `name` by the fewest edits, at most a third of its length; best first. */
export function nearest(name: string, names: Iterable<string>): readonly string[] {
  const limit = Math.max(1, Math.floor(name.length / 3));
  const close: { name: string; edits: number }[] = [];
  for (const candidate of new Set(names)) {
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const edits = distance(name, candidate, limit);
    if (edits <= limit) close.push({ name: candidate, edits });
  }
  close.sort((a, b) => a.edits - b.edits || (a.name < b.name ? -1 : 1));
  return close.slice(0, MOST).map((one) => one.name);
}

/** The Levenshtein distance, or anything above `limit` once it exceeds that. */
function distance(a: string, b: string, limit: number): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    if (Math.min(...next) > limit) return limit + 1;
    row = next;
  }
  return row[b.length]!;
}

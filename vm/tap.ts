/** What a machine said about its checks, in the Test Anything Protocol: node:test speaks it, and so does `echo`. */
export interface Checks {
  readonly passed: number;
  /** Of each that could not be made there, its name and why. */
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
  /** Of each that failed, its name and what it had to say. */
  readonly failed: readonly { readonly name: string; readonly details: readonly string[] }[];
  /** From lines `# feature NAME = VALUE`, in their order. */
  readonly features: ReadonlyMap<string, string>;
}

/** Lines that belong to a failure, at most. */
const DETAILS = 30;

export function parseTap(output: string): Checks {
  const lines = output.split('\n').map((line) => line.replace(/\r$/, ''));
  const skipped: { name: string; why: string }[] = [];
  const failed: { name: string; details: string[] }[] = [];
  const features = new Map<string, string>();
  let passed = 0;
  lines.forEach((line, index) => {
    const point = /^(not )?ok \d+ - (.*)$/.exec(line);
    const feature = /^# feature (.+?) = (.*)$/.exec(line);
    if (feature !== null) features.set(feature[1]!, feature[2]!);
    if (point === null) return;
    const skip = / # SKIP (.*)$/i.exec(point[2]!);
    if (skip !== null) skipped.push({ name: point[2]!.slice(0, skip.index), why: skip[1]! });
    else if (point[1] === undefined) passed++;
    else failed.push({ name: point[2]!, details: detailsAfter(lines, index) });
  });
  return { passed, skipped, failed, features };
}

/** What stands indented below a test point. */
function detailsAfter(lines: readonly string[], index: number): string[] {
  const rest = lines.slice(index + 1);
  const end = rest.findIndex((line) => !/^(\s|#)/.test(line));
  return rest.slice(0, end < 0 ? DETAILS : Math.min(end, DETAILS));
}

import { readFileSync } from 'node:fs';

/**
 * How many CPUs this kernel may ever have. A per-CPU map holds one value for each *possible* CPU, in order, also
 * where their numbers have gaps or some are offline (v6.12 kernel/bpf/hashtab.c, bpf_percpu_hash_copy()).
 */
export function possibleCpus(): number {
  possible ??= countCpus(readFileSync('/sys/devices/system/cpu/possible', 'latin1'));
  return possible;
}

let possible: number | undefined;

/**
 * The number of CPUs in a kernel CPU list, `0-3,8`.
 *
 * @throws RangeError where it is no such list
 */
export function countCpus(list: string): number {
  let count = 0;
  for (const range of list.trim().split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    if (match === null) throw new RangeError(`not a list of CPUs: ${JSON.stringify(list)}`);
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first) throw new RangeError(`not a list of CPUs: ${JSON.stringify(list)}`);
    count += last - first + 1;
  }
  return count;
}

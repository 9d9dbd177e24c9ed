import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The least that the memory controllers above this process allow, in bytes; undefined where there is no limit. Since
 * Linux 5.11 the memory of BPF maps counts against it.
 */
export function cgroupMemoryLimit(): number | undefined {
  const limits = [...groups()]
    .map(([folder, file]) => limitIn(join(folder, file)))
    .filter((limit) => limit !== undefined);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** In version 1 of cgroups "no limit" is the largest number of whole pages; nobody has so much memory. */
const NO_LIMIT = 2 ** 60;

function limitIn(file: string): number | undefined {
  const limit = Number(read(file));
  return Number.isInteger(limit) && limit > 0 && limit < NO_LIMIT ? limit : undefined;
}

/** The groups that this process is in, from its own to the root, each with the name of the file with the limit. */
function* groups(): Generator<readonly [folder: string, file: string]> {
  const mounts = parseMounts(read('/proc/self/mountinfo'));
  for (const line of read('/proc/self/cgroup').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const unified = controllers === '';
    if (!unified && !controllers.split(',').includes('memory')) continue;
    const mount = mounts.find(({ type, options }) =>
      unified ? type === 'cgroup2' : type === 'cgroup' && options.includes('memory'),
    );
    if (mount === undefined) continue;
    const file = unified ? 'memory.max' : 'memory.limit_in_bytes';
    // A path that leads out of what is mounted leaves the mount's own limit to be read.
    const names = namesBelow(mount.root, path) ?? [];
    for (let depth = names.length; depth >= 0; depth--) {
      yield [join(mount.point, ...names.slice(0, depth)), file];
    }
  }
}

/**
 * The folders from `root` to `path`; undefined where `path` is not below it. A container's mount shows a part of the
 * tree, and the path is given from the whole tree's root.
 */
function namesBelow(root: string, path: string): readonly string[] | undefined {
  const [above, all] = [namesOf(root), namesOf(path)];
  return above.every((name, i) => name === all[i]) && !all.includes('..') ? all.slice(above.length) : undefined;
}

function namesOf(path: string): readonly string[] {
  return path.split('/').filter((name) => name !== '');
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** proc_pid_mountinfo(5): `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS … - TYPE SOURCE SUPEROPTIONS`. */
function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    return root === undefined || point === undefined || type === undefined
      ? []
      : [{ root: unescaped(root), point: unescaped(point), type, options: options.split(',') }];
  });
}

/**
 * Blanks and backslashes stand there as three octal digits, `\040` (v6.12 fs/proc_namespace.c, show_mountinfo();
 * kernel/cgroup/cgroup.c, cgroup_show_path()).
 */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

import { expect, test } from 'vitest';
import { cgroupMemoryLimit } from '../../../src/kernel/cgroup.ts';
import { withFiles } from '../../helpers/files.ts';

const V2 = '35 25 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
const V1 =
  '36 25 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n' +
  '37 25 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n';
/** A container's view: its part of the tree, mounted as if it were all. */
const PART = '35 25 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro\n';

const MIB = 2 ** 20;

test.each<[string, string, string, Readonly<Record<string, string>>, number | undefined]>([
  ['version 2, no limit', V2, '0::/user.slice\n', { '/sys/fs/cgroup/user.slice/memory.max': 'max\n' }, undefined],
  ['version 2', V2, '0::/a/b\n', { '/sys/fs/cgroup/a/b/memory.max': `${512 * MIB}\n` }, 512 * MIB],
  [
    'the least of all above counts',
    V2,
    '0::/a/b\n',
    { '/sys/fs/cgroup/a/b/memory.max': `${512 * MIB}\n`, '/sys/fs/cgroup/a/memory.max': `${64 * MIB}\n` },
    64 * MIB,
  ],
  [
    'a container',
    PART,
    '0::/docker/abc/x\n',
    { '/sys/fs/cgroup/x/memory.max': 'max\n', '/sys/fs/cgroup/memory.max': `${MIB}\n` },
    MIB,
  ],
  [
    "a container whose name begins like another's",
    PART,
    '0::/docker/abcd\n',
    { '/sys/fs/cgroup/d/memory.max': '4096', '/sys/fs/cgroup/memory.max': `${MIB}\n` },
    MIB,
  ],
  ['a container itself', PART, '0::/docker/abc\n', { '/sys/fs/cgroup/memory.max': `${MIB}\n` }, MIB],
  [
    'a mount of a part, with blanks in its paths',
    '35 25 0:30 /my\\040part/é /mnt/my\\040cgroups\\134x rw - cgroup2 cgroup2 rw\n',
    '0::/my part/é/a b\n',
    { '/mnt/my cgroups\\x/a b/memory.max': `${MIB}\n`, '/mnt/my cgroups\\x/memory.max': `${2 * MIB}\n` },
    MIB,
  ],
  [
    'a name with two dots in it',
    V2,
    '0::/a..b\n',
    { '/sys/fs/cgroup/a..b/memory.max': `${MIB}\n`, '/sys/fs/cgroup/memory.max': 'max\n' },
    MIB,
  ],
  [
    'version 1',
    V1,
    '4:memory:/g\n3:cpu:/h\n0::/\n',
    { '/sys/fs/cgroup/memory/g/memory.limit_in_bytes': `${256 * MIB}\n` },
    256 * MIB,
  ],
  [
    'version 1, no limit',
    V1,
    '4:memory:/g\n',
    { '/sys/fs/cgroup/memory/g/memory.limit_in_bytes': '9223372036854771712\n' },
    undefined,
  ],
  ['nothing mounted', '', '0::/a\n', { '/sys/fs/cgroup/a/memory.max': '1\n' }, undefined],
  ['no cgroups', V2, '', {}, undefined],
  ['out of the part that is shown', V2, '0::/../other\n', { '/sys/fs/cgroup/other/memory.max': '4096' }, undefined],
])('%s', (_, mountinfo, cgroup, files, limit) => {
  const all = { '/proc/self/mountinfo': mountinfo, '/proc/self/cgroup': cgroup, ...files };
  expect(withFiles(all, cgroupMemoryLimit)).toBe(limit);
});

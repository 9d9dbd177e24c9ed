import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeVersion } from '../../src/binary/ingredients.ts';
import { version } from '../../src/version.ts';
import { appears, type Ended, jsonLines, Running, run, Scratch, skbdrop } from '../helpers/cli.ts';
import { elfFile } from '../helpers/elf.ts';
import { needRoot, needTool } from '../helpers/need.ts';

/** The program in one file, and the tarball for hosts without libraries. Both are built here, unless they are there. */
const isRoot = needRoot();
const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const name = `skbdrop-linux-${process.arch}`;
const binary = `${dist}/${name}`;
const scratch = new Scratch();
afterAll(() => scratch.remove());

const BUILD_MS = 900_000;

async function build(...words: string[]): Promise<void> {
  const script = `${dist}/src/binary/build.js`;
  const built = await run([process.execPath, script, process.arch, ...words], { limitMs: BUILD_MS });
  if (built.status !== 0) throw new Error(built.stderr);
}

/** The words that count `count` drops with one command of `program`, provoked by another. */
function counting(program: string, command: string, count: number): string[] {
  const provoke = `${program} demo -n ${count} -r TCP_FLAGS,PKT_TOO_BIG >/dev/null`;
  return [program, command, '-q', '-f', 'json', '-r', 'TCP_FLAGS,PKT_TOO_BIG', '-c', provoke];
}

function expectCounted({ stdout, stderr, status }: Ended, count: number): void {
  expect([stderr, status]).toEqual(['', 0]);
  const books = { passed: 2 * count, reported: 2 * count, lost: 0, unaccounted: 0 };
  expect(jsonLines(stdout).at(-1)).toMatchObject({ type: 'summary', ...books });
}

describe.skipIf(!isRoot)('the one file', () => {
  beforeAll(() => build('--no-tarball'), BUILD_MS);

  test.each([['--version'], ['--help'], ['trace', '--help'], ['demo', '--list'], ['doctor', '--help']])(
    'says what skbdrop says: %s %s',
    async (...words) => {
      const [one, other] = await Promise.all([run([binary, ...words]), run([...skbdrop, ...words])]);
      expect(one.stdout).not.toBe('');
      expect(one).toEqual(other);
    },
  );

  test.each(['trace', 'top', 'hist', 'stacks'])('%s counts what the demo in it provokes', async (command) => {
    expectCounted(await run(counting(binary, command, 25)), 25);
  });

  test('doctor comes to the verdicts it comes to elsewhere, and knows the Node inside', async () => {
    const one = await run([binary, 'doctor', '--json']);
    const other = await run([...skbdrop, 'doctor', '--json']);
    expect([one.stderr, one.status]).toEqual(['', other.status]);
    const { commands, columns, attach } = JSON.parse(other.stdout);
    expect(commands.top.works).toBe(true);
    expect(JSON.parse(one.stdout)).toMatchObject({ commands, columns, attach, node: nodeVersion });
  });

  test.each<[string, string[], number, RegExp]>([
    ['no such command', ['bogus'], 2, /there is no command "bogus"/],
    ['no such option', ['top', '--bogus'], 2, /unknown option '--bogus'/],
    ['a damaged ELF file', ['top', '--btf', 'damaged.elf'], 2, /is a damaged ELF file/],
    ['an ELF file without BTF', ['top', '--btf', 'empty.elf'], 2, /no section \.BTF/],
    ['a disk that is full', ['top', '-o', '/dev/full', '--', 'true'], 1, /cannot write to \/dev\/full: ENOSPC/],
    ['a command that is not there', ['top', '-q', '--', '/nonexistent'], 127, /there is no such command/],
    ["a command's own status", ['top', '-q', '-c', 'exit 7'], 7, /^$/],
  ])('its status tells of %s', async (_, words, status, text) => {
    writeFileSync(scratch.file('damaged.elf'), elfFile({ '.BTF': Buffer.alloc(64) }).subarray(0, 100));
    writeFileSync(scratch.file('empty.elf'), elfFile({ '.text': Buffer.alloc(8) }));
    const ended = await run([binary, ...words], { cwd: scratch.path });
    expect(ended.stderr).toMatch(text);
    expect(ended.stderr).not.toMatch(/^\s+at /m);
    expect(ended.status).toBe(status);
  });

  test('without rights it says so', async () => {
    const ended = await run([
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      'sh',
      '-c',
      'exec 3<"$1" && exec /proc/self/fd/3 top',
      'sh',
      binary,
    ]);
    expect(ended.stderr).toMatch(/^skbdrop: .* the kernel wants CAP_BPF/);
    expect(ended.status).toBe(3);
  });

  test.each([
    'NODE_OPTIONS=--no-such-option',
    'NODE_OPTIONS=--require=/nonexistent --trace-warnings --inspect-brk',
    'NODE_EXTRA_CA_CERTS=/nonexistent',
    'NODE_ICU_DATA=/nonexistent',
    'NODE_PENDING_DEPRECATION=1',
    'NODE_USE_SYSTEM_CA=1',
    'NODE_PATH=/nonexistent',
    'NODE_CHANNEL_FD=99',
    'NODE_UNIQUE_ID=1',
    'OPENSSL_CONF=/etc/passwd',
    'UV_THREADPOOL_SIZE=none',
    'LD_LIBRARY_PATH=/nonexistent',
  ])('the environment is none of its own: %s', async (setting) => {
    expectCounted(await run(['env', setting, ...counting(binary, 'top', 1)]), 1);
  });

  test('its child is given the environment as it was', async () => {
    const ended = await run([binary, 'top', '-q', '-o', '/dev/null', '--', 'sh', '-c', 'echo "$NODE_OPTIONS"'], {
      env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=77' },
    });
    expect(ended).toMatchObject({ stdout: '--max-old-space-size=77\n', stderr: '', status: 0 });
  });

  test.each(['-e', '--inspect', '--eval=1', '-p', '--node-options=--bogus', '--expose-gc'])(
    'words for Node reach skbdrop: %s',
    async (word) => {
      const ended = await run([binary, word, '1']);
      expect(ended.stderr).toMatch(/^skbdrop: unknown option '-/);
      expect(ended.status).toBe(2);
    },
  );

  test('SIGUSR1 opens no inspector', async () => {
    const ready = scratch.file('ready-usr1');
    const watch = new Running([binary, 'top', '-q', '--ready-file', ready]);
    await appears(ready);
    watch.process.kill('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await watch.kill('SIGTERM')).toMatchObject({ stderr: '', status: 0 });
  });

  const usual = '/dev/shm /run /tmp /var/tmp';
  /** The way to it that mounts do not hide, for the project may lie in one of these folders. */
  const fromHere = `./${name}`;
  const here = { cwd: dist };

  test('it leaves no file, not even where it is killed', async () => {
    const script = `
      for folder in ${usual}; do mount -t tmpfs none $folder; done
      "$1" top -q -d 100ms >/dev/null
      "$1" top -q --ready-file /dev/shm/ready & pid=$!
      until [ -e /dev/shm/ready ] || ! kill -0 $pid; do sleep 0.05; done
      rm /dev/shm/ready
      echo "mapped $(grep -c ' /dev/shm/#[0-9]* (deleted)' /proc/$pid/maps)"
      kill -KILL $pid
      wait $pid
      echo "status $?"
      find ${usual} -type f
      df --output=used /dev/shm | tail -n 1`;
    const { stdout } = await run(['unshare', '-m', 'sh', '-c', script, 'sh', fromHere], here);
    // The library was there, so there was something to leave.
    expect(stdout).toMatch(/^mapped [1-9]\d*\nstatus 137\n +0\n$/);
  });

  const hardPlaces: [string, string][] = [
    ['the usual folders are noexec', `for folder in ${usual}; do mount -t tmpfs -o noexec none $folder; done`],
    ['the root is read-only, and /tmp noexec', 'mount -o remount,bind,ro / && mount -t tmpfs -o noexec none /tmp'],
    [
      'everything is read-only or noexec',
      `while read -r _ folder type _; do
         case $type in
           proc | sysfs) ;;
           *) mount -o remount,bind,ro "$folder" ;;
         esac
       done </proc/self/mounts
       for folder in ${usual}; do mount -t tmpfs -o noexec none $folder; done
       for folder in / /dev "$PWD"; do
         if touch "$folder/written" 2>/dev/null; then exit 99; fi
       done`,
    ],
  ];
  test.each(hardPlaces)('it runs where %s', async (_, script) => {
    const words = ['unshare', '-m', 'sh', '-ec', `${script}; exec "$@"`, 'sh'];
    expectCounted(await run([...words, ...counting(fromHere, 'top', 3)], here), 3);
  });

  test('where no code can be loaded at all it says so', async () => {
    const script = `${hardPlaces[2]![1]}; PATH=/nonexistent exec "$@"`;
    const ended = await run(['unshare', '-m', 'sh', '-ec', script, 'sh', fromHere, 'top'], here);
    expect(ended.stderr).toMatch(/^skbdrop: no file system here lets a program load code: .*\n {9}Mount one that does/);
    expect(ended.status).toBe(3);
  });
});

const apt = needTool('apt-get');

describe.skipIf(!isRoot || apt === undefined)('the tarball', () => {
  beforeAll(() => build(), BUILD_MS);

  test('runs in a root that holds busybox and nothing else', async ({ skip }) => {
    const busybox = needTool('busybox');
    if (busybox === undefined) return skip('busybox-static is not installed');
    const root = scratch.file('root');
    for (const folder of ['bin', 'proc', 'sys', 'dev/net', 'opt']) mkdirSync(`${root}/${folder}`, { recursive: true });
    const script = `
      cp ${busybox} ${root}/bin/busybox
      cp ${binary}.tar.gz ${root}/opt
      mount -t proc proc ${root}/proc
      mount --rbind /sys ${root}/sys
      mknod ${root}/dev/null c 1 3
      mknod ${root}/dev/net/tun c 10 200
      exec chroot ${root} /bin/busybox sh -ec "$1"`;
    const inside = `
      /bin/busybox --install -s /bin
      cd /opt
      tar -xzf ${name}.tar.gz
      ln -s ../opt/${name}/skbdrop /bin/skbdrop
      skbdrop --version
      ${counting('skbdrop', 'top', 5)
        .map((word) => `'${word}'`)
        .join(' ')}
      cd ${name}
      sh skbdrop --version
      set +e
      skbdrop bogus
      echo "status $?"
      ls /opt /bin/skbdrop`;
    const { stdout, stderr } = await run(['unshare', '-m', 'sh', '-ec', script, 'sh', inside]);
    const lines = stdout.trim().split('\n');
    expect(stderr).toMatch(/^skbdrop: there is no command "bogus"\n.*\n$/);
    expect(lines.shift()).toBe(version);
    expect(JSON.parse(lines.splice(0, lines.indexOf(version)).at(-1)!)).toMatchObject({
      passed: 10,
      reported: 10,
      lost: 0,
    });
    expect(lines).toEqual([version, 'status 2', '/bin/skbdrop', '', '/opt:', name, `${name}.tar.gz`]);
  });

  test('runs by PATH, by a link, and from its own folder', async () => {
    await run(['tar', '-xzf', `${binary}.tar.gz`, '-C', scratch.path]);
    const folder = scratch.file(name);
    symlinkSync(`${folder}/skbdrop`, scratch.file('link'));
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    expectCounted(await run(counting('skbdrop', 'trace', 2), { env }), 2);
    expect(await run([scratch.file('link'), '--version'])).toMatchObject({ stdout: `${version}\n`, status: 0 });
    expect(await run(['sh', 'skbdrop', '--version'], { cwd: folder })).toMatchObject({ stdout: `${version}\n` });
    expect(readdirSync(folder)).toEqual(['lib', 'licences', 'skbdrop']);
  });
});

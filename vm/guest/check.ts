/**
 * Checks skbdrop in the machine in which it runs, against what is expected there:
 *
 *     node --test-reporter=tap dist/vm/guest/check.js EXPECTATION
 *
 * It needs to be root, and nobody else may provoke drops meanwhile. Lines `# feature NAME = VALUE` say what was seen; the
 * README's table is made of them.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { disagreements, type Report } from '../../test/helpers/agreement.ts';
import { expectations } from './expectations.ts';
import { Datapath } from './openvswitch.ts';
import { lines, type Provoked, Skbdrop } from './skbdrop.ts';

const expected = expectations[process.argv[2] ?? ''];
assert(expected !== undefined, `what to expect is one of ${Object.keys(expectations).join(', ')}`);
const skbdrop = new Skbdrop(expected.as);
chmodSync(skbdrop.folder, 0o777);
/** What the demo is asked for. */
const DEMO = expected.allReasons
  ? ['-n', '3']
  : ['-r', 'NO_SOCKET,IP_CSUM,UDP_CSUM,TCP_CSUM,UNHANDLED_PROTO', '-n', '100'];

const works = (command: string): boolean => expected.refused[command] === undefined;
const feature = (name: string, value: string): void => void process.stdout.write(`# feature ${name} = ${value}\n`);

/** A check of a command. Where it is expected to be refused, the first check has seen to that. */
function checkOf(command: string, name: string, body: (t: TestContext) => Promise<void>): void {
  if (works(command)) test(name, body);
}

/** The book-keeping adds up, whatever was watched. */
function summaryOf(stdout: string): Record<string, number> {
  const summary = lines(stdout).find(({ type }) => type === 'summary') as Record<string, number> | undefined;
  assert(summary !== undefined, `there is no summary in ${stdout}`);
  assert.equal(summary.unaccounted, 0);
  assert.equal(summary.passed, summary.reported! + summary.lost!);
  return summary;
}

/** Sums the counts of equal keys. */
function tally<K>(counts: readonly (readonly [K, number])[]): Map<K, number> {
  const sums = new Map<K, number>();
  for (const [key, count] of counts) sums.set(key, (sums.get(key) ?? 0) + count);
  return sums;
}

const total = (provoked: readonly Provoked[]): number => provoked.reduce((sum, { count }) => sum + count, 0);

test('the doctor says what is expected, and the commands do what it says', async () => {
  const run = await skbdrop.run(['doctor', '--json']);
  const [report] = lines(run.stdout) as unknown as [Report];
  assert(report !== undefined, run.stderr);
  const ways = Object.entries(report.attach)
    .filter(([_, verdicts]) => Object.values(verdicts).some((verdict) => verdict.works))
    .map(([way]) => way);
  assert.deepEqual(ways, expected.ways);
  for (const [command, { works: does, status, error }] of Object.entries({
    ...report.commands,
    count: report.options.count,
  })) {
    if (command === 'demo') continue;
    assert.equal(does, works(command), `${command}: ${error}`);
    if (does) continue;
    assert.equal(status, expected.refused[command]!.status);
    assert.match(error ?? '', expected.refused[command]!.says);
  }
  if (works('trace')) {
    const absent = Object.entries(report.columns)
      .filter(([_, column]) => !column.works)
      .map(([name]) => name);
    assert.deepEqual(absent, expected.absent);
  }
  assert.deepEqual(await disagreements(report, (words) => skbdrop.run(words), skbdrop.words, expected.allWays), []);
  feature('attach', ways.length === 0 ? 'no' : ways.join(', '));
  for (const command of ['top', 'trace', 'hist', 'stacks']) if (!works(command)) feature(command, 'no');
  if (works('trace')) feature('not shown', expected.absent.length === 0 ? 'nothing' : expected.absent.join(', '));
});

/**
 * Drops that are nobody's fault: older kernels drop the netlink messages that set the demo's firewall up. They have no
 * reason, or no other than NOT_SPECIFIED.
 */
const isStray = (name: unknown): boolean => /^(SKB_DROP_REASON_NOT_SPECIFIED|nfnetlink_)/.test(String(name));
/** So many at most. */
const STRAYS = 2;

for (const way of expected.ways) {
  checkOf('top', `top counts what was provoked, by ${way}`, async () => {
    const run = await skbdrop.watch(['top', '--json', '--attach', way], () => skbdrop.demo(DEMO));
    assert.equal(run.status, 0, run.stderr);
    assert.equal(summaryOf(run.stdout).lost, 0);
    const seen = new Map<string, number>();
    for (const line of lines(run.stdout)) {
      if (line.type !== 'counts') continue;
      for (const entry of line.counts as { reason?: string; location?: string; count: number }[]) {
        seen.set((entry.reason ?? entry.location)!, entry.count);
      }
    }
    if (expected.reasons) {
      for (const [reason, count] of tally(run.provoked.map((each) => [each.reason, each.count]))) {
        if (!isStray(reason)) assert.equal(seen.get(reason!), count, reason);
      }
    } else {
      assert(run.stderr.includes('no reason'), run.stderr);
      const counted = [...seen].filter(([name]) => !isStray(name)).reduce((sum, [_, count]) => sum + count, 0);
      assert.equal(counted, total(run.provoked));
    }
    const least = expected.allReasons ? 40 : 5;
    assert(run.provoked.length >= least, `the demo provoked only ${run.provoked.length} reasons`);
    feature('top', expected.reasons ? 'yes' : 'by function');
  });
}

checkOf('trace', 'trace prints every drop that was provoked', async () => {
  const run = await skbdrop.watch(['trace', '--json'], () => skbdrop.demo(DEMO));
  assert.equal(run.status, 0, run.stderr);
  const drops = lines(run.stdout).filter(({ type }) => type === 'drop');
  assert.equal(summaryOf(run.stdout).reported, drops.length);
  const kind = (reason: unknown, length: unknown): string => `${reason}, ${length ?? 'length unknown'}`;
  const seen = tally(drops.map(({ reason, len }) => [kind(reason, len), 1]));
  const hasLength = !expected.absent.includes('length');
  const wanted = tally(
    run.provoked.map(({ reason, length, count }) => [kind(reason, hasLength ? length : undefined), count]),
  );
  for (const [what, count] of wanted) {
    if (isStray(what)) assert((seen.get(what) ?? 0) >= count, what);
    else assert.equal(seen.get(what), count, what);
  }
  assert(drops.length <= total(run.provoked) + STRAYS, `${drops.length} drops, of ${total(run.provoked)} provoked`);
  const places = drops.map(({ location }) => String(location));
  if (expected.absent.includes('function')) {
    for (const place of places) assert.match(place, /^0x[0-9a-f]{16}$/);
  } else {
    assert(
      places.some((place) => /^(__)?udp4?_\w+\+0x/.test(place)),
      `no drop is at a function of UDP: ${places[0]}`,
    );
  }
  feature('trace', expected.reasons ? 'yes' : 'by function');
});

checkOf('hist', 'hist counts the lengths that were provoked', async () => {
  const run = await skbdrop.watch(['hist', '--json'], () => skbdrop.demo(DEMO));
  assert.equal(run.status, 0, run.stderr);
  assert.equal(summaryOf(run.stdout).lost, 0);
  const [histogram] = lines(run.stdout).filter(({ type }) => type === 'histogram');
  const buckets = histogram!.buckets as { low: number; high: number; count: number }[];
  const seen = new Map(buckets.map(({ low, count }) => [low, count]));
  const wanted = tally(run.provoked.map(({ length, count }) => [2 ** Math.floor(Math.log2(length)), count]));
  for (const [low, count] of wanted) {
    assert((seen.get(low) ?? 0) >= count, `${seen.get(low)} from ${low} on, where ${count} were provoked`);
  }
  assert(summaryOf(run.stdout).passed! <= total(run.provoked) + STRAYS);
  const counted = buckets.reduce((sum, { count }) => sum + count, 0);
  assert.equal(counted, histogram!.total);
  feature('hist', 'yes');
});

checkOf('stacks', 'stacks counts every stack', async () => {
  const all = expected.reasons ? ['-r', '*'] : [];
  const run = await skbdrop.watch(['stacks', '--json', ...all], () => skbdrop.demo(DEMO));
  assert.equal(run.status, 0, run.stderr);
  assert.equal(summaryOf(run.stdout).lost, 0);
  const [stacks] = lines(run.stdout).filter(({ type }) => type === 'stacks');
  assert(Number(stacks!.total) >= total(run.provoked));
  feature('stacks', 'yes');
});

checkOf('count', '-n is exact', async () => {
  const run = await skbdrop.watch(
    ['top', '--json', '-n', '7'],
    () => skbdrop.demo(['-r', 'NO_SOCKET', '-n', '50']),
    true,
  );
  assert.equal(run.status, 0, run.stderr);
  const { passed, surplus } = summaryOf(run.stdout);
  assert.equal(passed, 7);
  assert(surplus! <= 43);
  feature('-n', 'exact');
});

checkOf('trace', 'what does not fit is counted as lost', async () => {
  const run = await skbdrop.watch(['trace', '--json', '--buffer-size', '4k'], () =>
    skbdrop.demo(['-r', 'NO_SOCKET', '-n', '5000']),
  );
  assert.equal(run.status, 0, run.stderr);
  const { passed, lost, reported } = summaryOf(run.stdout);
  assert(passed! >= 5000);
  assert(lost! > 0, 'nothing was lost, so nothing was shown');
  assert.equal(lines(run.stdout).filter(({ type }) => type === 'drop').length, reported);
});

checkOf('top', "a module's reason has its name", async (t) => {
  if (!expected.reasons) return t.skip('this kernel gives no reasons');
  const loaded = spawnSync('modprobe', ['openvswitch'], { encoding: 'utf8' });
  if (loaded.status !== 0) return t.skip(`this root cannot load openvswitch: ${loaded.error ?? loaded.stderr}`);
  const types = '/sys/kernel/btf/openvswitch';
  const name = 'OVS_DROP_LAST_ACTION';
  if (!existsSync(types) || !readFileSync(types).includes(name))
    return t.skip('no reasons of openvswitch are in sight');
  const drops = 5;
  const run = await skbdrop.watch(['top', '--json'], () => {
    const datapath = new Datapath('ovs0');
    for (let i = 0; i < drops; i++) datapath.drop();
  });
  assert.equal(run.status, 0, run.stderr);
  const last = lines(run.stdout).findLast(({ type }) => type === 'counts')!;
  const counted = (last.counts as { reason: string; count: number }[]).find(({ reason }) => reason === name);
  assert.equal(counted?.count, drops);
  feature("modules' reasons", 'yes');
});

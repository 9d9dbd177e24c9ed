/**
 * Whether the commands do what `skbdrop doctor --json` says of them. Plain functions, for any way to run skbdrop: on this
 * machine, in a container, in a virtual machine.
 */

/** How a run of skbdrop with these words ended. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A verdict of the doctor's, as its JSON has it. */
interface Verdict {
  readonly works: boolean;
  readonly status: number;
  readonly attach?: string;
  readonly error?: string;
  readonly hint?: string;
}

type Verdicts = Readonly<Record<string, Verdict>>;

/** The part of docs/json.md's `doctor` that is held against the commands. */
export interface Report {
  readonly works: boolean;
  readonly status: number;
  readonly commands: Verdicts;
  readonly options: { readonly count: Verdict };
  readonly attach: Readonly<Record<string, Verdicts>>;
  readonly columns: Readonly<Record<string, { readonly works: boolean; readonly why?: string }>>;
}

const WATCHING = ['trace', 'top', 'hist', 'stacks'];

/** As short as can be: a command that works ends by itself then, one that does not has ended before. */
const SHORT = ['-d', '10ms'];

/**
 * Runs every command as the doctor tried it, and compares status, way to attach, sentence and hint.
 *
 * @param run runs skbdrop with these words, under the conditions under which the doctor was
 * @param self the words that run skbdrop there, for drops to look at; without them the columns are not looked at
 * @param ways whether to try each way to attach too
 * @returns every disagreement in a sentence; nothing where there is none
 */
export async function disagreements(
  report: Report,
  run: (words: readonly string[]) => Promise<Run>,
  self?: readonly string[],
  ways: boolean = true,
): Promise<string[]> {
  const faults: string[] = [];
  const { commands, attach, options } = report;
  const check = async (words: readonly string[], verdict: Verdict | undefined): Promise<void> => {
    if (verdict === undefined) faults.push(`${words.join(' ')}: the doctor says nothing of it`);
    else faults.push(...compare(words.join(' '), verdict, await run(words)));
  };

  for (const command of WATCHING) await check([command, ...SHORT], commands[command]);
  await check(['top', '-n', '1', ...SHORT], options.count);
  await check(['demo', '-r', 'PACKET_SOCK_ERROR', '-n', '1'], commands.demo);
  for (const [mode, verdicts] of Object.entries(ways ? attach : {})) {
    for (const command of WATCHING) {
      // That is what it did by itself, just now.
      if (commands[command]?.attach === mode) continue;
      await check([command, '--attach', mode, ...SHORT], verdicts[command]);
    }
  }

  const works = WATCHING.every((command) => commands[command]?.works);
  if (report.works !== works || report.status !== (works ? 0 : 3)) {
    faults.push(`works is ${report.works} and status ${report.status}, while the commands say ${works}`);
  }
  if (self !== undefined && commands.trace?.works && commands.demo?.works) {
    const provoke = [...self, 'demo', '-r', 'IP_CSUM', '-n', '5'];
    faults.push(...compareColumns(report.columns, await run(['trace', '--json', '--', ...provoke])));
  }
  return faults;
}

function compare(what: string, verdict: Verdict, { status, stderr }: Run): string[] {
  const wrong = (text: string): string => `${what}: ${text}; it said ${JSON.stringify(stderr)}`;
  const faults: string[] = [];
  if (status !== verdict.status) faults.push(wrong(`status ${status}, not ${verdict.status}`));
  if (verdict.works !== (verdict.status === 0)) faults.push(wrong(`works, with status ${verdict.status}`));
  if (verdict.works) {
    if (verdict.error !== undefined) faults.push(wrong(`works, with the error "${verdict.error}"`));
    if (verdict.attach !== undefined && !stderr.includes(`attached kfree_skb (${verdict.attach})`)) {
      faults.push(wrong(`not attached by ${verdict.attach}`));
    }
    return faults;
  }
  const [first = '', second = ''] = stderr.split('\n');
  if (first !== `skbdrop: ${verdict.error}`) faults.push(wrong(`not "${verdict.error}"`));
  const told = second.startsWith('         ') ? second.trim() : undefined;
  // Where there is no hint, the verifier's log may be offered in its place.
  const hint = told === 'The whole verifier log: -v' ? undefined : told;
  if (hint !== verdict.hint) faults.push(wrong(`the hint is not "${verdict.hint}"`));
  return faults;
}

/** What shows that a drop has what a column promises. */
const shows: Readonly<Record<string, (drop: Readonly<Record<string, unknown>>) => boolean>> = {
  time: ({ time }) => time !== undefined,
  reason: ({ reason }) => /^[A-Z][A-Z0-9_]*$/.test(String(reason ?? '')),
  function: ({ location }) => /^[\w.]+\+0x/.test(String(location)),
  length: ({ len }) => len !== undefined,
  protocol: ({ protocol }) => protocol !== undefined,
  interface: ({ iface }) => iface !== undefined,
  namespace: ({ netns }) => netns !== undefined,
};

function compareColumns(columns: Report['columns'], { stdout, stderr }: Run): string[] {
  // What the demo prints is among the lines, and is no JSON.
  const drops = stdout
    .split('\n')
    .filter((line) => line.startsWith('{"type":"drop"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  if (drops.length === 0) return [`trace showed no drop; it said ${JSON.stringify(stderr)}`];
  return Object.entries(shows).flatMap(([name, isShown]) => {
    const shown = drops.some(isShown);
    const said = columns[name]?.works;
    return shown === said ? [] : [`the column ${name} is ${shown ? '' : 'not '}shown, and the doctor says ${said}`];
  });
}

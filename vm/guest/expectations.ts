/** What a machine is expected to be able to do. */
export interface Expectation {
  /** Words that run other words as whom the commands are to be tried; none for root. */
  readonly as: readonly string[];
  /** The ways to attach that work, for at least one command. */
  readonly ways: readonly string[];
  /** The commands that do not work: their status, and how their sentence reads. */
  readonly refused: Readonly<Record<string, Refusal>>;
  /** The columns of `trace` that no drop has. */
  readonly absent: readonly string[];
  /** Whether the kernel gives reasons. */
  readonly reasons: boolean;
  /** Provoke all that the demo can; else a few kinds of drops are enough. */
  readonly allReasons: boolean;
  /** Hold each way to attach against what the doctor says of it, for every command; else only the way it chooses. */
  readonly allWays: boolean;
}

export interface Refusal {
  readonly status: number;
  readonly says: RegExp;
}

const everything: Expectation = {
  as: [],
  ways: ['tp_btf', 'raw_tp', 'tracepoint'],
  refused: {},
  absent: [],
  reasons: true,
  allReasons: true,
  allWays: false,
};
/** Everything again, on a kernel that was looked at closely in another machine. */
const restricted: Expectation = { ...everything, allReasons: false };

function refuse(commands: readonly string[], status: number, says: RegExp): Record<string, Refusal> {
  return Object.fromEntries(commands.map((command) => [command, { status, says }]));
}

const WATCHING = ['trace', 'top', 'hist', 'stacks', 'count'];

/** `setpriv` words for an ordinary user with these capabilities and no others. */
function user(...capabilities: readonly string[]): readonly string[] {
  const list = capabilities.map((name) => `+${name}`).join(',');
  const granted = list === '' ? [] : [`--inh-caps=${list}`, `--ambient-caps=${list}`];
  return ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...granted, '--'];
}

/** By the words that `vm/vmtest.toml` uses. */
export const expectations: Readonly<Record<string, Expectation>> = {
  everything,
  'every-way': { ...everything, allWays: true },
  restricted,
  'no-reasons': { ...everything, reasons: false, absent: ['reason'], allWays: true },
  'no-btf': {
    ...restricted,
    ways: ['raw_tp', 'tracepoint'],
    absent: ['length', 'protocol', 'interface', 'namespace'],
    refused: refuse(['hist'], 3, /BTF/),
    allWays: true,
  },
  'no-symbols': { ...restricted, absent: ['function'] },
  // Programs that BTF describes may read memory even there; tracefs is closed.
  confidentiality: { ...restricted, ways: ['tp_btf', 'raw_tp'], allWays: true },
  nobody: {
    ...restricted,
    as: user(),
    ways: [],
    refused: refuse(WATCHING, 3, /the kernel wants CAP_BPF/),
    allWays: true,
  },
  // Only root may read the description of the tracepoint in tracefs.
  'bpf-perfmon': {
    ...restricted,
    as: user('bpf', 'perfmon'),
    ways: ['tp_btf', 'raw_tp'],
    absent: ['function'],
    allWays: true,
  },
  'bpf-perfmon-syslog': { ...restricted, as: user('bpf', 'perfmon', 'syslog'), ways: ['tp_btf', 'raw_tp'] },
};

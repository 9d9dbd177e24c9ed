import { machine } from 'node:os';
import {
  type Check,
  type ColumnName,
  columnNames,
  type Diagnosis,
  type Trial,
  type WatchCommand,
  watchCommands,
} from '../../doctor/index.ts';
import { type AttachMode, attachModes } from '../../probes/context.ts';
import { SkbdropError } from '../../sys/errors.ts';
import { list } from '../../sys/words.ts';
import { version } from '../../version.ts';
import { errorSentence, exitStatus, Status } from '../exit.ts';

/** What `skbdrop doctor` found, for people and for programs. */

/** 0 where every command that watches works, else 3. */
export function doctorStatus({ commands }: Diagnosis): number {
  return watchCommands.every((command) => commands[command].works) ? Status.ok : Status.unable;
}

/** How good something is: `part` works, but less well than it could. */
type Mark = 'ok' | 'part' | 'no' | '?';
type Style = 'green' | 'yellow' | 'red' | 'cyan' | 'bold';

export interface TextOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly verbose: boolean;
  /** Gives text a colour, or leaves it as it is. */
  readonly paint: (style: Style, text: string) => string;
}

const styles: Readonly<Record<Mark, Style>> = { ok: 'green', part: 'yellow', no: 'red', '?': 'yellow' };

/** `  part  kallsyms      ` stands before what is said of it. */
const MARK = 4;
const LABEL = 13;
const INDENT = 2 + MARK + 2 + LABEL + 1;
const MARGIN = ' '.repeat(INDENT);
/** Text that is wider than this is hard to read, and narrower than that hard to write. */
const WIDEST = 100;
const NARROWEST = INDENT + 24;

const labels: Readonly<Record<Check['name'], string>> = {
  tracepoint: 'tracepoint',
  reasons: 'drop reasons',
  jit: 'JIT',
  lockdown: 'lockdown',
  btf: 'BTF',
  tracefs: 'tracefs',
  kallsyms: 'kallsyms',
  tun: 'TUN',
  memory: 'memory',
  locked_memory: 'locked memory',
  unprivileged_bpf_disabled: 'sysctl',
  perf_event_paranoid: 'sysctl',
  user: 'user',
  capabilities: 'capabilities',
  seccomp: 'seccomp',
};

/** The report for people. */
export function doctorText(diagnosis: Diagnosis, options: TextOptions): string {
  const page = new Page(options);
  const { release, checks, features } = diagnosis;
  page.title(`skbdrop ${version} on Linux ${release}, ${machine()}, Node ${process.versions.node}`);
  for (const about of ['kernel', 'process', 'host'] as const) {
    page.heading(about);
    for (const check of checks.filter((check) => check.about === about)) {
      if (check.minor && check.ok !== false && !options.verbose) continue;
      page.line(markOf(check.ok), labels[check.name], check.value);
      page.fix(check.fix);
    }
    if (about === 'kernel') featureLines(page, features);
  }
  page.heading('ways to attach');
  for (const mode of attachModes) attachLine(page, mode, diagnosis);
  page.heading('columns of trace');
  columnLines(page, diagnosis);
  page.heading('commands');
  commandLines(page, diagnosis);
  page.verdict(verdict(diagnosis), doctorStatus(diagnosis) === Status.ok ? 'green' : 'red');
  return page.text;
}

/** Lines under headings, wrapped. */
class Page {
  text = '';
  readonly #width: number;
  readonly #options: TextOptions;

  constructor(options: TextOptions) {
    this.#options = options;
    this.#width = Math.min(Math.max(options.width, NARROWEST), WIDEST);
  }

  title(text: string): void {
    this.text += `${wrap(text, this.#width).join('\n')}\n`;
  }

  heading(text: string): void {
    this.text += `\n${this.#options.paint('bold', text.toUpperCase())}\n`;
  }

  line(mark: Mark, label: string, text: string): void {
    const [first = '', ...rest] = wrap(text, this.#width - INDENT);
    // The mark is padded before it is painted: what paints it has no width.
    const head = `  ${this.#options.paint(styles[mark], mark.padEnd(MARK))}  ${label.padEnd(LABEL)} ${first}`;
    this.text += `${head}\n`;
    for (const line of rest) this.more(line);
  }

  /** Goes on below a line. */
  more(text: string): void {
    for (const line of wrap(text, this.#width - INDENT)) this.text += `${MARGIN}${line}\n`;
  }

  /** What to do about it, a little further in. */
  fix(text: string | undefined): void {
    if (text === undefined) return;
    for (const line of wrap(text, this.#width - INDENT - 2)) {
      this.text += `${MARGIN}  ${this.#options.paint('cyan', line)}\n`;
    }
  }

  /** The details of an error, as they are: a verifier's log does not get better by being wrapped. */
  details(error: unknown): void {
    if (!this.#options.verbose || !(error instanceof SkbdropError) || error.details === undefined) return;
    for (const line of error.details.split('\n')) this.text += `${MARGIN}${line}\n`;
  }

  verdict(text: string, style: Style): void {
    const lines = wrap(text, this.#width).map((line) => this.#options.paint(style, line));
    this.text += `\n${lines.join('\n')}\n`;
  }
}

/** Breaks text at spaces, so that no line is longer than `width`, except for words that are. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function markOf(ok: boolean | undefined): Mark {
  return ok === undefined ? '?' : ok ? 'ok' : 'part';
}

function featureLines(page: Page, features: Diagnosis['features']): void {
  const names = (has: boolean | undefined): string =>
    features
      .filter((feature) => feature.has === has)
      .map(({ text, since, use }) => (has === false ? `${text} (Linux ${since}; for ${use})` : text))
      .join(', ');
  const [there, missing, unknown] = [names(true), names(false), names(undefined)];
  if (there !== '') page.line('ok', 'BPF features', there);
  if (missing !== '') page.line('part', there === '' ? 'BPF features' : '', `without ${missing}`);
  if (unknown !== '') page.line('?', there + missing === '' ? 'BPF features' : '', `not known: ${unknown}`);
}

/** Which commands work in one way, and why the others do not. */
function attachLine(page: Page, mode: AttachMode, { attach, commands, checks }: Diagnosis): void {
  const way = attach[mode];
  const working = watchCommands.filter((command) => way[command].works);
  // One cause for several is told once.
  const causes = new Map<string, { commands: WatchCommand[]; error: unknown }>();
  for (const command of watchCommands) {
    const trial = way[command];
    if (trial.works) continue;
    const text = causeOf(trial.error);
    const same = causes.get(text);
    if (same === undefined) causes.set(text, { commands: [command], error: trial.error });
    else same.commands.push(command);
  }
  const told = [...causes].map(([text, { commands }]) => `not ${commands.join(', ')}: ${text}`);
  if (working.length > 0) {
    page.line(causes.size === 0 ? 'ok' : 'part', mode, working.join(', '));
    for (const text of told) page.more(text);
  } else {
    const [first = '', ...rest] = causes.size === 1 ? causes.keys() : told;
    page.line('no', mode, first);
    for (const text of rest) page.more(text);
  }
  // What to do is not told where another line tells it.
  const elsewhere = new Set([
    ...Object.values(commands).map((trial) => (trial.works ? undefined : hintOf(trial.error))),
    ...checks.map(({ fix }) => fix),
  ]);
  for (const { error } of causes.values()) {
    const hint = hintOf(error);
    if (!elsewhere.has(hint)) page.fix(hint);
    elsewhere.add(hint);
    page.details(error);
  }
}

/** The sentence without the name of the program or map, in which commands differ. */
function causeOf(error: unknown): string {
  return errorSentence(error).replace(/^(cannot (?:create the map|load the program|attach)) \w+/, '$1');
}

const whole = (names: readonly ColumnName[]): string => names.join(', ');

function columnLines(page: Page, { columns, commands }: Diagnosis): void {
  if (!commands.trace.works) {
    page.line('no', 'none', columns.time ?? '');
    return;
  }
  const good = columnNames.filter((name) => columns[name] === undefined);
  if (good.length > 0) page.line('ok', 'all drops', whole(good));
  const reasons = new Set(columnNames.map((name) => columns[name]).filter((why) => why !== undefined));
  for (const why of reasons) {
    const names = columnNames.filter((name) => columns[name] === why);
    const [first = ''] = names;
    if (names.length === 1) page.line('part', first, why);
    else page.line('part', 'missing', `${whole(names)}: ${why}`);
  }
}

function commandLines(page: Page, { commands, count, columns }: Diagnosis): void {
  const rows: readonly (readonly [string, Trial])[] = [
    ...watchCommands.map((command) => [command, commands[command]] as const),
    ['-n', count],
    ['demo', commands.demo],
  ];
  const lacks = (...names: readonly ColumnName[]): boolean => names.some((name) => columns[name] !== undefined);
  const poor: Readonly<Record<string, boolean>> = {
    trace: lacks(...columnNames),
    top: lacks('reason'),
    stacks: lacks('reason', 'function'),
  };
  let before: string | undefined;
  for (const [name, trial] of rows) {
    const text = trial.works ? undefined : errorSentence(trial.error);
    if (trial.works) {
      const how = trial.mode === undefined ? 'works' : `works, by ${trial.mode}`;
      page.line(commands.trace.works && poor[name] ? 'part' : 'ok', name, how);
    } else if (text === before) {
      page.line('no', name, 'the same');
    } else {
      page.line('no', name, text ?? '');
      page.fix(hintOf(trial.error));
      page.details(trial.error);
    }
    before = text;
  }
}

function hintOf(error: unknown): string | undefined {
  return error instanceof SkbdropError ? error.hint : undefined;
}

/** What is missing where a column shows numbers, because numbers it has. */
const inWords: Partial<Record<ColumnName, string>> = { reason: 'names of reasons', function: 'names of functions' };

/** The whole in a sentence or two. */
export function verdict({ commands, columns, checks }: Diagnosis): string {
  const names = [...watchCommands, 'demo'] as const;
  const working = names.filter((name) => commands[name].works);
  const failing = names.filter((name) => !commands[name].works);
  const poor = columnNames.filter((name) => columns[name] !== undefined).map((name) => inWords[name] ?? name);
  if (working.length === 0) return 'Nothing works here; what to do stands above.';
  if (failing.length > 0) {
    const verb = failing.length === 1 ? 'does' : 'do';
    const less = commands.trace.works && poor.length > 0 ? ` Drops are shown without ${list(poor)}.` : '';
    return `${capital(list(working))} ${working.length === 1 ? 'works' : 'work'}, ${list(failing)} ${verb} not.${less}`;
  }
  if (poor.length > 0) return `All commands work, but drops are shown without ${list(poor)}.`;
  const restricted = checks.some(({ ok }) => ok === false);
  return restricted ? 'All commands work. What could be better stands above.' : 'Everything works here.';
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The report for programs, in a line. */
export function doctorJson(diagnosis: Diagnosis): string {
  const { release, commands, count, attach, columns, features, tracepoint, checks } = diagnosis;
  const status = doctorStatus(diagnosis);
  const line = {
    type: 'doctor',
    works: status === Status.ok,
    status,
    version,
    node: process.versions.node,
    kernel: { release, architecture: machine() },
    commands: mapValues(commands, trialJson),
    options: { count: trialJson(count) },
    attach: mapValues(attach, (way) => mapValues(way, trialJson)),
    columns: mapValues(columns, (why) => ({ works: why === undefined, why })),
    tracepoint: {
      arguments: tracepoint.arguments,
      names: tracepoint.names,
      reason: tracepoint.hasReason,
      rx_sk: tracepoint.hasReceiver,
    },
    features: Object.fromEntries(features.map(({ name, has }) => [name, has])),
    checks: checks.map(({ name, value, ok, fix }) => ({ name, value, ok, fix })),
  };
  return `${JSON.stringify(line)}\n`;
}

/** What the command would end with, and say; `attach` where it chose how to attach. */
function trialJson(trial: Trial): Readonly<Record<string, unknown>> {
  if (trial.works) return { works: true, status: Status.ok, attach: trial.mode };
  const { error } = trial;
  return { works: false, status: exitStatus(error), error: errorSentence(error), hint: hintOf(error) };
}

function mapValues<K extends string, V, W>(object: Readonly<Record<K, V>>, make: (value: V) => W): Record<K, W> {
  return Object.fromEntries(Object.entries<V>(object).map(([key, value]) => [key, make(value)])) as Record<K, W>;
}

import type { Diagnosis } from '../../../../src/doctor/index.ts';
import { NotSupportedError, SkbdropError } from '../../../../src/sys/errors.ts';

/** What the doctor may find, written by hand: a host where all is well, and others. */

const works = { works: true, mode: 'tp_btf' } as const;
const same = <T>(trial: T): { trace: T; top: T; hist: T; stacks: T } => ({
  trace: trial,
  top: trial,
  hist: trial,
  stacks: trial,
});
const byWay = (mode: 'tp_btf' | 'raw_tp' | 'tracepoint') => same({ works: true, mode } as const);

const whole = {
  time: undefined,
  reason: undefined,
  function: undefined,
  length: undefined,
  protocol: undefined,
  interface: undefined,
  namespace: undefined,
};

const feature = { text: 'ring buffer', since: '5.8', use: 'trace' };

export const healthy: Diagnosis = {
  release: '6.18.44',
  commands: { ...same(works), demo: { works: true } },
  count: works,
  attach: { tp_btf: byWay('tp_btf'), raw_tp: byWay('raw_tp'), tracepoint: byWay('tracepoint') },
  columns: whole,
  features: [{ name: 'ring_buffer', ...feature, has: true }],
  tracepoint: { arguments: 4, names: ['skb', 'location', 'reason', 'rx_sk'], hasReason: true, hasReceiver: true },
  checks: [
    { name: 'jit', about: 'kernel', value: 'on', ok: true },
    { name: 'perf_event_paranoid', about: 'host', value: 'kernel.perf_event_paranoid = 2', ok: true, minor: true },
    { name: 'user', about: 'process', value: 'root', ok: true },
  ],
};

const refused = {
  works: false,
  error: new SkbdropError('permission', 'cannot create the map books: the kernel wants CAP_BPF', {
    hint: 'Run as root',
    details: 'bpf(BPF_MAP_CREATE) returned EPERM',
  }),
} as const;

const none = 'trace does not work';

export const hopeless: Diagnosis = {
  release: '5.4.0',
  commands: { ...same(refused), demo: { works: false, error: new TypeError('x is not a function') } },
  count: refused,
  attach: { tp_btf: same(refused), raw_tp: same(refused), tracepoint: same(refused) },
  columns: {
    time: none,
    reason: none,
    function: none,
    length: none,
    protocol: none,
    interface: none,
    namespace: none,
  },
  features: [{ name: 'ring_buffer', ...feature, has: undefined }],
  tracepoint: { arguments: undefined, names: undefined, hasReason: undefined, hasReceiver: undefined },
  checks: [
    { name: 'jit', about: 'kernel', value: 'not known', ok: undefined },
    { name: 'capabilities', about: 'process', value: 'none', ok: false, fix: 'Run as root' },
    { name: 'perf_event_paranoid', about: 'host', value: 'kernel.perf_event_paranoid = 2', ok: true, minor: true },
  ],
};

const noLength = {
  works: false,
  error: new NotSupportedError('BTF, which says where the length stands', { hint: 'Give it with --btf FILE' }),
} as const;
const rawTp = { works: true, mode: 'raw_tp' } as const;

/** A kernel without BTF. */
export const withoutBtf: Diagnosis = {
  ...healthy,
  commands: { ...same(rawTp), hist: noLength, demo: { works: true } },
  count: rawTp,
  attach: {
    tp_btf: same({ works: false, error: new NotSupportedError('BTF for the tracepoint', { minimum: '5.5' }) }),
    raw_tp: { ...same(rawTp), hist: noLength },
    tracepoint: { ...byWay('tracepoint'), hist: noLength },
  },
  columns: { ...whole, length: 'nothing says where', protocol: 'nothing says where' },
  features: [
    { name: 'ring_buffer', ...feature, has: true },
    { name: 'live_frames', text: 'live frames', since: '5.18', use: 'fast floods', has: false },
    { name: 'recursion_guard', text: 'recursion guard', since: '6.1', use: 'speed', has: undefined },
  ],
  checks: [{ name: 'btf', about: 'host', value: 'not there', ok: false, fix: 'Boot a kernel that has it' }],
};

import { PERF_ATTR_SIZE, perfEventAttr, Struct } from './attr.ts';
import { Fd } from './fd.ts';
import { syscall } from './syscall.ts';

const PERF_TYPE_TRACEPOINT = 2;
const PERF_FLAG_FD_CLOEXEC = 8;
// include/uapi/linux/perf_event.h: _IO('$', 0) and _IOW('$', 8, __u32).
const PERF_EVENT_IOC_ENABLE = 0x2400;
const PERF_EVENT_IOC_SET_BPF = 0x40042408;

/**
 * Opens tracepoint `id` (the number in its tracefs `id` file) and runs `program` at each hit, on every CPU:
 * pid -1 with cpu 0 counts on one CPU only, but a program bound to the event sees all of them, because the list of
 * programs belongs to the tracepoint (v6.12 kernel/trace/bpf_trace.c, perf_event_attach_bpf_prog()).
 *
 * @throws SyscallError EACCES or EPERM where perf_event_paranoid or lockdown forbid it; EEXIST where this program
 *         is attached there already
 */
export function openTracepoint(id: number, program: Fd): Fd {
  const attr = new Struct(perfEventAttr, PERF_ATTR_SIZE, {
    type: PERF_TYPE_TRACEPOINT,
    size: PERF_ATTR_SIZE,
    config: id,
    sample_period: 1,
  });
  const [pid, cpu, group] = [-1, 0, -1];
  const event = new Fd(
    syscall('perf_event_open', [attr.bytes, pid, cpu, group, PERF_FLAG_FD_CLOEXEC]),
    `perf event of tracepoint ${id}`,
  );
  try {
    syscall('ioctl', [event.fd, PERF_EVENT_IOC_SET_BPF, program.fd], 'ioctl(PERF_EVENT_IOC_SET_BPF)');
    syscall('ioctl', [event.fd, PERF_EVENT_IOC_ENABLE, 0], 'ioctl(PERF_EVENT_IOC_ENABLE)');
    return event;
  } catch (error) {
    event.close();
    throw error;
  }
}

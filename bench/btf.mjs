/**
 * What a user waits for: opening this kernel's BTF and asking skbdrop's first questions, each time in a fresh
 * process, where nothing is compiled yet.
 *
 *     npm run build && node bench/btf.mjs [processes]
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const VMLINUX = '/sys/kernel/btf/vmlinux';

if (process.argv[2] === 'once') {
  const { Btf } = await import('../dist/btf/index.js');
  const bytes = readFileSync(VMLINUX);
  const start = performance.now();
  const btf = Btf.parse(bytes);
  const opened = performance.now();
  btf.find('sk_buff');
  btf.find('btf_trace_kfree_skb', 'typedef');
  btf.find('__bpf_trace_kfree_skb', 'func');
  btf.find('skb_drop_reason', 'enum');
  btf.offsetof('sk_buff.len');
  const answered = performance.now();
  process.stdout.write(`${opened - start} ${answered - start}`);
} else {
  const processes = Number(process.argv[2] ?? 21);
  const [open, all] = [[], []];
  for (let i = 0; i < processes; i++) {
    const line = execFileSync(process.execPath, [import.meta.filename, 'once'], { encoding: 'utf8' });
    const [opened, answered] = line.split(' ').map(Number);
    open.push(opened);
    all.push(answered);
  }
  const row = (name, times) => {
    times.sort((a, b) => a - b);
    const [least, median] = [times[0], times[Math.floor(times.length / 2)]].map((ms) => ms.toFixed(1));
    process.stdout.write(`${name}  median ${median} ms, least ${least} ms\n`);
  };
  process.stdout.write(`${readFileSync(VMLINUX).length} bytes, ${processes} processes, Node ${process.version}\n`);
  row('open         ', open);
  row('open and ask ', all);
}

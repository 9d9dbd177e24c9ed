import type { Btf } from '../../btf/index.ts';
import { TRACEPOINT } from './host.ts';

/** The arguments of every kernel so far, in order; each kernel has the first two or more of them. */
export const ARGUMENTS: readonly string[] = ['skb', 'location', 'reason', 'rx_sk'];

/**
 * The names of the tracepoint's arguments, in order, from the prototype of its BPF stub. BTF may lack that function,
 * because it cannot be traced itself; then the typedef says at least how many there are. Undefined without either.
 */
export function tracepointArguments(btf: Btf | undefined): readonly string[] | undefined {
  // The stub's first parameter is its own data pointer; programs do not see it.
  const named = btf?.func(`__bpf_trace_${TRACEPOINT.name}`)?.params.slice(1);
  if (btf === undefined || named !== undefined) return named?.map(({ name }) => name);
  const typedef = btf.find(`btf_trace_${TRACEPOINT.name}`, 'typedef');
  const pointer = typedef === undefined ? undefined : btf.resolve(typedef);
  const prototype = pointer?.kind === 'ptr' ? btf.resolve(pointer.type) : undefined;
  return prototype?.kind === 'func_proto' ? ARGUMENTS.slice(0, prototype.params.length - 1) : undefined;
}

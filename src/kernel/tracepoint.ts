import type { Btf } from '../../btf/index.ts';
import { TRACEPOINT } from './host.ts';

/** The names of the tracepoint's arguments, in order, from the prototype of its BPF stub; undefined without it. */
export function tracepointArguments(btf: Btf | undefined): readonly string[] | undefined {
  // The stub's first parameter is its own data pointer; programs do not see it.
  return btf
    ?.func(`__bpf_trace_${TRACEPOINT.name}`)
    ?.params.slice(1)
    .map((parameter) => parameter.name);
}

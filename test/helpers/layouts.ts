import type { Btf } from '../../btf/index.ts';

/** Where the kernel keeps what a field of src/sys/attr.ts stands for: layout → field → path in BTF. */
export const kernelPaths: Readonly<Record<string, (field: string) => string>> = {
  'bpfAttr.MAP_CREATE': (field) => `bpf_attr.${field}`,
  'bpfAttr.MAP_ELEM': (field) => `bpf_attr.${field}`,
  'bpfAttr.MAP_BATCH': (field) => `bpf_attr.batch.${field}`,
  'bpfAttr.PROG_LOAD': (field) => `bpf_attr.${field}`,
  'bpfAttr.TEST_RUN': (field) => `bpf_attr.test.${field}`,
  'bpfAttr.INFO_BY_FD': (field) => `bpf_attr.info.${field}`,
  // The id has a name for each kind of object, in one union.
  'bpfAttr.GET_ID': (field) => `bpf_attr.${field === 'id' ? 'btf_id' : field}`,
  'bpfAttr.RAW_TRACEPOINT_OPEN': (field) => `bpf_attr.raw_tracepoint.${field}`,
  'bpfAttr.LINK_CREATE': (field) => `bpf_attr.link_create.${field}`,
  'bpfAttr.ENABLE_STATS': (field) => `bpf_attr.enable_stats.${field}`,
  progInfo: (field) => `bpf_prog_info.${field}`,
  btfInfo: (field) => `bpf_btf_info.${field}`,
  perfEventAttr: (field) => `perf_event_attr.${field}`,
};

/** `[offset, size]` of a field, as this BTF has it; undefined where this kernel has no such field. */
export function placeOf(btf: Btf, path: string): [offset: number, size: number] | undefined {
  const field = btf.tryField(path);
  return field && [field.offset, field.size];
}

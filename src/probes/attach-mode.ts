/** The ways to attach, in the order in which `auto` tries them. */
export const attachModes = ['tp_btf', 'raw_tp', 'tracepoint'] as const;
export type AttachMode = (typeof attachModes)[number];

/**
 * The numbers of the format, and nothing else.
 *
 * Source: include/uapi/linux/btf.h and Documentation/bpf/btf.rst of the kernel.
 *
 * ```
 *   blob    | header | … types … | … strings … | … layout (since 2026) … |   sections in any order
 *
 *   type    | name_off | info | size or type | what the kind adds |          32-bit words throughout
 *
 *   info    31        30    24 23                       0
 *          +---------+--------+--------------------------+
 *          |kind_flag|  kind  |           vlen           |
 *          +---------+--------+--------------------------+
 * ```
 * Until 2026 kind had the bits 24–28 and vlen the bits 0–15, and the bits between had to be zero, so reading the
 * wider fields is right for every blob.
 */

/** `BTF_MAGIC`, in the byte order of the blob. */
export const MAGIC = 0xeb9f;
/** `BTF_VERSION` */
export const VERSION = 1;

/** `struct btf_header` up to and with `str_len`: the shortest there is. */
export const HEADER_LENGTH = 24;
/** The same with `layout_off` and `layout_len`. */
export const HEADER_LENGTH_WITH_LAYOUT = 32;
/** `struct btf_layout`: `u8 info_sz, u8 elem_sz, u16 flags`, one for each kind from 0 on. */
export const LAYOUT_ENTRY_LENGTH = 4;

/** `sizeof(struct btf_type)` in words. */
export const TYPE_WORDS = 3;
/** Word of a type that holds `name_off`. */
export const NAME_WORD = 0;
/** Word of a type that holds `info`. */
export const INFO_WORD = 1;
/** Word of a type that holds `size` or `type`. */
export const SIZE_OR_TYPE_WORD = 2;

/** `BTF_INFO_KIND` */
export const infoKind = (info: number): number => (info >>> 24) & 0x7f;
/** `BTF_INFO_VLEN` */
export const infoVlen = (info: number): number => info & 0xff_ffff;
/** `BTF_INFO_KFLAG` */
export const infoKindFlag = (info: number): boolean => info >>> 31 === 1;
/** How many kinds the seven bits can name. */
export const KIND_LIMIT = 0x80;

/** `BTF_INT_ENCODING`, `BTF_INT_OFFSET`, `BTF_INT_BITS` of the word after an INT. */
export const intEncoding = (word: number): number => (word >>> 24) & 0xf;
export const intOffset = (word: number): number => (word >>> 16) & 0xff;
export const intBits = (word: number): number => word & 0xff;
export const INT_SIGNED = 1;
export const INT_CHAR = 2;
export const INT_BOOL = 4;

/** `BTF_MEMBER_BITFIELD_SIZE`, `BTF_MEMBER_BIT_OFFSET`: a member's `offset` where the struct has kind_flag. */
export const memberBitSize = (word: number): number => word >>> 24;
export const memberBitOffset = (word: number): number => word & 0xff_ffff;

/** Names of `BTF_KIND_*`, by number. 0 is `void` here, which no type section can hold. */
export const KIND_NAMES = [
  'void',
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'func_proto',
  'var',
  'datasec',
  'float',
  'decl_tag',
  'type_tag',
  'enum64',
] as const;

/** One past the last kind whose meaning is known here. */
export const KNOWN_KINDS: number = KIND_NAMES.length;

/** The words that follow a `struct btf_type`: so many once, and so many for each of vlen elements. */
export interface KindLength {
  readonly once: number;
  readonly each: number;
}

const plain: KindLength = { once: 0, each: 0 };

/** By kind number; `struct btf_array`, `btf_member`, `btf_enum`, `btf_param`, `btf_var_secinfo` and so on. */
export const KIND_LENGTHS: readonly KindLength[] = [
  plain, // void
  { once: 1, each: 0 }, // int
  plain, // ptr
  { once: 3, each: 0 }, // array
  { once: 0, each: 3 }, // struct
  { once: 0, each: 3 }, // union
  { once: 0, each: 2 }, // enum
  plain, // fwd
  plain, // typedef
  plain, // volatile
  plain, // const
  plain, // restrict
  plain, // func, whose vlen is its linkage
  { once: 0, each: 2 }, // func_proto
  { once: 1, each: 0 }, // var
  { once: 0, each: 3 }, // datasec
  plain, // float
  { once: 1, each: 0 }, // decl_tag
  plain, // type_tag
  { once: 0, each: 3 }, // enum64
];

/** `BTF_FUNC_*` and `BTF_VAR_*` count the same three linkages. */
export const LINKAGES = ['static', 'global', 'extern'] as const;

/** The kernel follows at most so many types one through another (MAX_RESOLVE_DEPTH in kernel/bpf/btf.c). */
export const MAX_DEPTH = 32;

/** Sizes are u32 in the format, so nothing laid out can be larger. */
export const MAX_SIZE = 0xffff_ffff;

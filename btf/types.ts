import type { KIND_NAMES, LINKAGES } from './format.ts';

/** What a type is: `BTF_KIND_*` in lower case, `void` for id 0, `unknown` for a kind newer than this reader. */
export type Kind = (typeof KIND_NAMES)[number] | 'unknown';

/** How far a function or variable is visible. */
export type Linkage = (typeof LINKAGES)[number];

interface Named {
  /** Type id: counted from 1, and in a split BTF from where its base ends. */
  readonly id: number;
  /** Empty where the type has no name. */
  readonly name: string;
}

/** Id 0: no type at all. */
export interface VoidType extends Named {
  readonly kind: 'void';
}

/** An integer. `bits` of them, from `bitOffset` on, are in use; nearly always that is all of `size` bytes. */
export interface IntType extends Named {
  readonly kind: 'int';
  readonly size: number;
  readonly signed: boolean;
  readonly char: boolean;
  readonly bool: boolean;
  readonly bits: number;
  readonly bitOffset: number;
}

export interface FloatType extends Named {
  readonly kind: 'float';
  readonly size: number;
}

/** A pointer to `type`. */
export interface PtrType extends Named {
  readonly kind: 'ptr';
  readonly type: number;
}

/** What wraps another type without changing its layout. */
export interface ModifierType extends Named {
  readonly kind: 'typedef' | 'volatile' | 'const' | 'restrict';
  readonly type: number;
}

/** `btf_type_tag("name")`, or with `attribute` the plain `__attribute__((name))`, around `type`. */
export interface TypeTagType extends Named {
  readonly kind: 'type_tag';
  readonly type: number;
  readonly attribute: boolean;
}

/** `count` elements of `type`. A flexible array has a count of 0. */
export interface ArrayType extends Named {
  readonly kind: 'array';
  readonly type: number;
  readonly indexType: number;
  readonly count: number;
}

export interface Member {
  /** Empty for an anonymous struct or union. */
  readonly name: string;
  readonly type: number;
  /** From the start of the struct, in bits, as BTF counts them. */
  readonly bitOffset: number;
  /** Width in bits; present only on bit-fields. */
  readonly bitSize?: number;
}

export interface CompositeType extends Named {
  readonly kind: 'struct' | 'union';
  readonly size: number;
  readonly members: readonly Member[];
}

export interface Enumerator<V extends number | bigint = number | bigint> {
  readonly name: string;
  readonly value: V;
}

/** Values are negative only where `signed` is true. */
export interface EnumType extends Named {
  readonly kind: 'enum';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly Enumerator<number>[];
}

/** An enum whose values need 64 bits. */
export interface Enum64Type extends Named {
  readonly kind: 'enum64';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly Enumerator<bigint>[];
}

/** `struct name;` or `union name;`: declared, not defined. */
export interface FwdType extends Named {
  readonly kind: 'fwd';
  readonly of: 'struct' | 'union';
}

/** A function; its `type` is its prototype. */
export interface FuncType extends Named {
  readonly kind: 'func';
  readonly type: number;
  readonly linkage: Linkage;
}

export interface Param {
  /** Empty in prototypes that are not those of a function, such as function pointers. */
  readonly name: string;
  readonly type: number;
}

export interface FuncProtoType extends Named {
  readonly kind: 'func_proto';
  readonly returns: number;
  readonly params: readonly Param[];
  /** Ends in `...`, which is not among `params`. */
  readonly variadic: boolean;
}

export interface VarType extends Named {
  readonly kind: 'var';
  readonly type: number;
  readonly linkage: Linkage;
}

/** A variable's place in a section, in bytes. */
export interface SectionVar {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

export interface DatasecType extends Named {
  readonly kind: 'datasec';
  readonly size: number;
  readonly vars: readonly SectionVar[];
}

/** `btf_decl_tag("name")`, or with `attribute` the plain `__attribute__((name))`, on `type` or one of its parts. */
export interface DeclTagType extends Named {
  readonly kind: 'decl_tag';
  readonly type: number;
  /** Which member or parameter carries the tag; -1 is `type` itself. */
  readonly component: number;
  readonly attribute: boolean;
}

/** A kind this reader does not know; the blob's layout section said how long it is. */
export interface UnknownType extends Named {
  readonly kind: 'unknown';
  /** `BTF_KIND_*` as a number. */
  readonly code: number;
}

export type BtfType =
  | VoidType
  | IntType
  | FloatType
  | PtrType
  | ModifierType
  | TypeTagType
  | ArrayType
  | CompositeType
  | EnumType
  | Enum64Type
  | FwdType
  | FuncType
  | FuncProtoType
  | VarType
  | DatasecType
  | DeclTagType
  | UnknownType;

/**
 * BTF, the kernel's own description of its types: read it, look things up, lay them out, print them as C.
 *
 * Nothing here touches the system: bytes in, answers out.
 */
export { Btf } from './btf.ts';
export { BtfError, BtfNotFoundError } from './errors.ts';
export type { Field } from './layout.ts';
export { type PrintOptions, printType } from './print.ts';
export type {
  ArrayType,
  BtfType,
  CompositeType,
  DatasecType,
  DeclTagType,
  Enum64Type,
  Enumerator,
  EnumType,
  FloatType,
  FuncProtoType,
  FuncType,
  FwdType,
  IntType,
  Kind,
  Linkage,
  Member,
  ModifierType,
  Param,
  PtrType,
  SectionVar,
  TypeTagType,
  UnknownType,
  VarType,
  VoidType,
} from './types.ts';

/**
 * Schemas: what a stream's columns are called, measured in, and shaped like.
 *
 * This file also runs in the browser. The first column of every stream is `time`, ns since 1970 UTC;
 * it is implied and never listed among the fields.
 */

export type Numeric = "f64" | "f32" | "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64";

export interface ArrayOf {
  f64: Float64Array;
  f32: Float32Array;
  i8: Int8Array;
  u8: Uint8Array;
  i16: Int16Array;
  u16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
  i64: BigInt64Array;
}

export type NumericArray = ArrayOf[Numeric];

/**
 * scalar  one number a row                         values (n)
 * code    one small integer a row, names in codes  values (n)
 * image   one array of fixed shape a row           values (n × shape)
 * curve   one list of varying length a row         values and offsets (n + 1)
 * label   one text a row                           strings (n)
 */
export type Kind = "scalar" | "code" | "image" | "curve" | "label";

export interface Field<K extends Kind = Kind, T extends Numeric = Numeric> {
  readonly kind: K;
  /** Storage type of the numbers; of a label it is not read. */
  readonly type: T;
  /** UCUM; "1" is dimensionless, "" says that a unit makes no sense (codes, labels). */
  readonly unit: string;
  /** Of an image: sizes, or symbols such as "row", "col" until the first batch names them. */
  readonly shape?: readonly (number | string)[];
  /** Of a code: what each value means. */
  readonly codes?: Readonly<Record<number, string>>;
  readonly quantity?: string;
  readonly long_name?: string;
  /** Name of the column that holds this one's standard error. */
  readonly uncertainty?: string;
  /** What the instrument's file calls it. */
  readonly vendor_name?: string;
  readonly doc?: string;
  /** On an input port: the operator also works without it. */
  readonly optional?: boolean;
}

export type Fields = Readonly<Record<string, Field>>;

export interface Schema<F extends Fields = Fields> {
  readonly fields: F;
  /** Calibration and provenance that hold for the whole stream, under the field's standard names. */
  readonly metadata: Readonly<Record<string, string>>;
}

type Rest = Partial<Omit<Field, "kind" | "type" | "unit">>;

export function scalar(unit: string, rest?: Rest): Field<"scalar", "f64">;
export function scalar<T extends Numeric>(unit: string, rest: Rest & { type: T }): Field<"scalar", T>;
export function scalar(unit: string, rest: Rest & { type?: Numeric } = {}): Field<"scalar"> {
  return { type: "f64", ...rest, kind: "scalar", unit };
}

export function code(rest?: Rest): Field<"code", "i32">;
export function code<T extends Numeric>(rest: Rest & { type: T }): Field<"code", T>;
export function code(rest: Rest & { type?: Numeric } = {}): Field<"code"> {
  return { type: "i32", ...rest, kind: "code", unit: "" };
}

export function image(unit: string, rest?: Rest): Field<"image", "f32">;
export function image<T extends Numeric>(unit: string, rest: Rest & { type: T }): Field<"image", T>;
export function image(unit: string, rest: Rest & { type?: Numeric } = {}): Field<"image"> {
  return { type: "f32", shape: ["row", "col"], ...rest, kind: "image", unit };
}

export function curve(unit: string, rest?: Rest): Field<"curve", "f64">;
export function curve<T extends Numeric>(unit: string, rest: Rest & { type: T }): Field<"curve", T>;
export function curve(unit: string, rest: Rest & { type?: Numeric } = {}): Field<"curve"> {
  return { type: "f64", ...rest, kind: "curve", unit };
}

export function label(rest: Rest = {}): Field<"label", "u8"> {
  return { ...rest, kind: "label", type: "u8", unit: "" };
}

/** Number of values in one row of an image; throws while a size is still a symbol. */
export function imageSize(name: string, field: Field): number {
  return (field.shape ?? []).reduce<number>((size, n) => {
    if (typeof n !== "number") throw new TypeError(`${name}: size of "${n}" is not known yet`);
    return size * n;
  }, 1);
}

/** Names that a column may not have: they are members of a port's rows. */
export const RESERVED_COLUMNS = ["time", "seconds", "length", "at"] as const;

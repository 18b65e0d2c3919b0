/** Igor binary waves with known contents, as bytes: every version, byte order and number type that the decoder knows. */

const TYPES = {
  f32: [0x02, 4, "setFloat32"],
  f64: [0x04, 8, "setFloat64"],
  i8: [0x08, 1, "setInt8"],
  i16: [0x10, 2, "setInt16"],
  i32: [0x20, 4, "setInt32"],
  u8: [0x48, 1, "setUint8"],
  u16: [0x50, 2, "setUint16"],
  u32: [0x60, 4, "setUint32"],
} as const;
export const IGOR_TYPES = Object.keys(TYPES) as (keyof typeof TYPES)[];

export interface MadeWave {
  version?: 1 | 2 | 3 | 5;
  little?: boolean;
  type?: keyof typeof TYPES;
  /** In place of the type's code: complex numbers, text, nonsense. */
  typeCode?: number;
  shape?: readonly number[];
  values: readonly number[];
  note?: string | readonly string[];
  /** Labels of each dimension's elements. */
  labels?: readonly (readonly string[])[];
  /** Behind the NUL of each label. */
  junk?: string;
  formula?: string;
  units?: readonly string[];
  scale?: readonly number[];
  modified?: number;
  name?: string;
}

export function igor(made: MadeWave): Buffer {
  const { version = 5, little = true, type = "f32", values, shape = [values.length], formula = "", labels = [], junk = "", units = [], scale = [], modified = 0, name = "wave" } = made; // prettier-ignore
  const note = Buffer.from(typeof made.note === "string" ? made.note : (made.note ?? []).map((line) => `${line}\r`).join(""), "latin1"); // prettier-ignore
  const [code, size, set] = TYPES[type];
  const data = Buffer.alloc(values.length * size);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  values.forEach((value, i) => view[set](i * size, value, little));
  const cells = [0, 1, 2, 3].map((d) => {
    const list = labels[d] ?? [];
    if (list.length === 0) return Buffer.alloc(0);
    const bytes = Buffer.alloc(32 * (list.length + 1));
    list.forEach((label, i) => bytes.write(`${label}\0${junk}`.slice(0, 32), 32 * (i + 1), "latin1"));
    return bytes;
  });

  const file = { 1: 8, 2: 16, 3: 20, 5: 64 }[version];
  const isNew = version === 5;
  const waveHeader = isNew ? 320 : 110;
  const head = Buffer.alloc(file + waveHeader);
  const to = new DataView(head.buffer, head.byteOffset, head.length);
  const int16 = (at: number, value: number): void => to.setInt16(at, value, little);
  const int32 = (at: number, value: number): void => to.setInt32(at, value, little);
  const padding = isNew ? Buffer.alloc(0) : Buffer.alloc(16);
  int16(0, version);
  int32(isNew ? 4 : 2, waveHeader + data.length + padding.length);
  if (isNew) {
    int32(8, formula.length);
    int32(12, note.length);
    cells.forEach((bytes, d) => int32(36 + 4 * d, bytes.length));
    int32(file + 8, modified | 0);
    int32(file + 12, values.length);
    int16(file + 16, made.typeCode ?? code);
    head.write(name, file + 28, "latin1");
    for (let d = 0; d < 4; d++) {
      int32(file + 68 + 4 * d, shape[d] ?? 0);
      to.setFloat64(file + 84 + 8 * d, scale[d] ?? 1, little);
      head.write(units[d] ?? "", file + 152 + 4 * d, "latin1");
    }
  } else {
    if (version > 1) int32(6, note.length);
    if (version === 3) int32(10, formula.length);
    int16(file, made.typeCode ?? code);
    head.write(name, file + 6, "latin1");
    head.write(units[0] ?? "", file + 38, "latin1");
    int32(file + 42, values.length);
    to.setFloat64(file + 48, scale[0] ?? 1, little);
    int32(file + 102, modified | 0);
  }
  const rest = Buffer.from(formula, "latin1");
  const out = Buffer.concat(isNew ? [head, data, rest, note, ...cells] : [head, data, padding, ...(version > 1 ? [note] : []), rest]); // prettier-ignore
  return withChecksum(out);
}

/** Makes the int16s of the headers add up to zero again. */
export function withChecksum(bytes: Buffer): Buffer {
  const little = bytes[0] !== 0;
  const version = little ? bytes[0]! : bytes[1]!;
  const [length, at] = { 1: [134, 6], 2: [142, 14], 3: [146, 18], 5: [384, 2] }[version] ?? [0, 0];
  if (bytes.length < length! || length === 0) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setInt16(at!, 0, little);
  let sum = 0;
  for (let i = 0; i + 1 < length!; i += 2) sum += view.getInt16(i, little);
  view.setUint16(at!, -sum & 0xffff, little);
  return bytes;
}

export const FORCE_NOTE = [
  "Version:15.00.78",
  "XLVDT:7.5e-06",
  "YLVDT:-1.25e-06",
  "TriggerChannel:Force",
  "TriggerPoint: 2e-08",
  "TriggerSlope: 1",
  "IsTriggered:1",
  "SpringConstant: 0.5",
  "InvOLS: 4e-08",
  "NumPtsPerSec: 1000",
  "MicroscopeModel:MFP3D",
  "UserCalcUnit: °",
];

/**
 * A force curve in columns of Raw, Defl and ZSnsr: `approach` samples down to the sample, a rest, `retract` up.
 * In contact the lever bends by what the piezo moves, up to 40 nm.
 */
export function forceColumns(approach: number, rest: number, retract: number) {
  const z: number[] = [];
  const deflection: number[] = [];
  const add = (t: number): void => {
    z.push(-5e-7 + 5.4e-7 * t);
    deflection.push(3e-9 + Math.max(0, -5e-7 + 5.4e-7 * t));
  };
  for (let i = 0; i < approach; i++) add(i / (approach - 1));
  for (let i = 0; i < rest; i++) add(1);
  for (let i = 0; i < retract; i++) add(1 - (i + 1) / retract);
  return { z, deflection, raw: z.map((value) => value + 1e-9) };
}

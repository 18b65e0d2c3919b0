/** Writes .asd files of our own, field by field, for tests. */

export interface MadeAsd {
  version?: 0 | 1 | 2;
  /** Of version 0: bytes of the numbers of pixels. */
  pixelBytes?: 2 | 4;
  columns: number;
  rows: number;
  /** Levels of each frame, channel by channel. */
  channels: readonly { readonly kind: "TP" | "ER" | "PH"; readonly frames: readonly (readonly number[])[] }[];
  numbers?: readonly number[];
  recorded?: number;
  said?: number;
  rangeCode?: number;
  bits?: number;
  frameTime_ms?: number;
  z_nm_per_V?: number;
  zGain?: number;
  sensor_nm_per_V?: number;
  phase_deg_per_V?: number;
  clock?: readonly [number, number, number, number, number, number];
  name?: string;
  comment?: string;
}

export function makeAsd(file: MadeAsd): Buffer {
  const { version = 1, pixelBytes = 2, columns, rows, channels } = file;
  const { rangeCode = 3, bits = 12, frameTime_ms = 500, z_nm_per_V = 12.5, zGain = 2 } = file;
  const { sensor_nm_per_V = 50, phase_deg_per_V = 18, clock = [2024, 5, 7, 9, 30, 15] } = file;
  const { name = "somebody", comment = "cell 4" } = file;
  const frames = channels[0]!.frames.length;
  const { recorded = frames, said = frames } = file;
  const parts: Buffer[] = [];
  const put = (size: number, write: (b: Buffer) => void): void => {
    const b = Buffer.alloc(size);
    write(b);
    parts.push(b);
  };
  const int32 = (...values: number[]) => values.forEach((x) => put(4, (b) => b.writeInt32LE(x | 0)));
  const int16 = (...values: number[]) => values.forEach((x) => put(2, (b) => b.writeInt16LE(x)));
  const int8 = (...values: number[]) => values.forEach((x) => put(1, (b) => b.writeUInt8(x)));
  const float = (...values: number[]) => values.forEach((x) => put(4, (b) => b.writeFloatLE(x)));
  const text = (what: string, size = what.length) => put(size, (b) => b.write(what, "latin1"));
  const kinds = [channels[0]!.kind, channels[1]?.kind ?? ""] as const;
  const pixels = pixelBytes === 2 ? int16 : int32;
  const gap = 3;
  if (version === 0) {
    int32(0);
    text(kinds[0], 2);
    text(kinds[1], 2);
    int32((pixelBytes === 2 ? 117 : 132) + name.length + gap + comment.length, 32);
    int32(name.length, gap, comment.length);
    pixels(columns, rows, columns * 2, rows * 2);
    float(frameTime_ms, z_nm_per_V, zGain);
    int32(rangeCode, bits);
    int8(1);
    int32(1);
    pixels(0);
    int16(clock[0]);
    int8(...clock.slice(1));
    (pixelBytes === 2 ? int8 : int32)(3);
    float(700, 2900);
    int32(0, 0, 0, recorded, said, 7);
    pixels(62);
    text(name);
    float(sensor_nm_per_V, phase_deg_per_V);
    int32(1);
    text("", gap);
    text(comment);
  } else {
    const tail = version === 2 ? 40 + 3 * 8 : 0;
    int32(version, 165 + name.length + comment.length + tail, 32, 932, name.length, comment.length);
    text(kinds[0], 4);
    text(kinds[1], 4);
    int32(recorded, said, 1, 62, columns, rows, columns * 2, rows * 2);
    int8(1);
    int32(1, ...clock, 3, 2);
    float(frameTime_ms, sensor_nm_per_V, phase_deg_per_V);
    int32(0, 0, 0, 0, 7, rangeCode, bits);
    float(700, 2900, 7.3, 29.1, z_nm_per_V, zGain);
    text(name);
    text(comment);
    if (version === 2) text("", tail);
  }
  for (const channel of channels) {
    channel.frames.forEach((levels, i) => {
      int32(file.numbers?.[i] ?? i + 1);
      int16(Math.max(...levels), Math.min(...levels), 293, 1389);
      float(0, 0);
      int32(0, 0, 0);
      int16(...levels);
    });
  }
  return Buffer.concat(parts);
}

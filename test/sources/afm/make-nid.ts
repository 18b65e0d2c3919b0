/** Nanosurf .nid files with known contents, as bytes. */

export interface MadeBlock {
  channel: string;
  unit: string;
  /** One list of raw integers a line; shorter lines are filled up. */
  lines: readonly (readonly number[])[];
  bits?: 8 | 16 | 32;
  signed?: boolean;
  little?: boolean;
  min?: number;
  range?: number;
  points?: number;
  /** Says how long each line is. */
  ragged?: boolean;
  more?: Readonly<Record<string, string | number>>;
}

export interface MadeNid {
  groups: readonly (readonly [name: string, blocks: readonly (MadeBlock | undefined)[]])[];
  sections?: Readonly<Record<string, Readonly<Record<string, string | number>>>>;
  encoding?: "latin1" | "utf8";
}

export function nid({ groups, sections = {}, encoding = "latin1" }: MadeNid): Buffer {
  const list: Record<string, string | number> = { Version: 2, GroupCount: groups.length };
  const channels: Record<string, Readonly<Record<string, string | number>>> = {};
  const data: Buffer[] = [];
  for (const [g, [name, blocks]] of groups.entries()) {
    list[`Gr${g}-Name`] = name;
    list[`Gr${g}-Count`] = blocks.length;
    for (const [c, block] of blocks.entries()) {
      if (!block) continue;
      const { channel, unit, lines, bits = 16, signed = true, little = true, min = -1e-6, range = 2e-6, ragged = false, more = {} } = block; // prettier-ignore
      const points = block.points ?? Math.max(...lines.map((line) => line.length));
      list[`Gr${g}-Ch${c}`] = `DataSet-${g}:${c}`;
      channels[`DataSet-${g}:${c}`] = {
        Version: 2, Points: points, Lines: lines.length, Frame: name, CurLine: lines.length - 1,
        Dim0Name: "X*", Dim0Unit: "m", Dim0Range: 1e-5, Dim0Min: 0, Dim1Name: "Y*", Dim1Unit: "m", Dim1Range: 2e-5, Dim1Min: 0,
        Dim2Name: channel, Dim2Unit: unit, Dim2Range: range, Dim2Min: min,
        SaveMode: "Binary", SaveBits: bits, SaveSign: signed ? "Signed" : "Unsigned", SaveOrder: little ? "Intel" : "Motorola",
        ...(ragged && Object.fromEntries(lines.flatMap((line, n) => [[`LineDim${n}Points`, line.length], [`LineDim${n}Min`, 0]]))),
        ...more,
      }; // prettier-ignore
      const bytes = Buffer.alloc((points * lines.length * bits) / 8);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (const [y, line] of lines.entries())
        for (const [x, value] of line.entries()) {
          const at = ((y * points + x) * bits) / 8;
          const name = `set${signed ? "Int" : "Uint"}${bits}` as const;
          view[name](at, value, little);
        }
      data.push(bytes);
    }
  }
  const text = Object.entries({ DataSet: list, ...sections, ...channels })
    .map(
      ([name, values]) =>
        `[${name}]\r\n${Object.entries(values)
          .map(([key, value]) => `${key}=${value}\r\n`)
          .join("")}\r\n`,
    ) // prettier-ignore
    .join("");
  return Buffer.concat([Buffer.from(`${text}\r\n#!`, encoding), ...data]);
}

export const SCAN = {
  "DataSet-Info": { "-- Scan --": "--------", "Scan direction": "Up", "Time/Line": "500ms", "Rotation": "30 °", "X-Pos": "2.67µm", "Y-Pos": "-166nm", "Date": "18-09-2017", "Time": "15:14:19", "Head type": "FlexAFM", "Software ver.": "3.8" }, // prettier-ignore
};

/** A lever of 0.5 N/m, 40 nm/V. */
export const LEVER = {
  "DataSet\\Calibration\\Scanhead": { In0: "5,TipSignalDC,Deflection,m,4e-07,0", In1: "16,TipSignalDC1,Deflection,V,10,0" }, // prettier-ignore
  "DataSet\\Calibration\\Cantilever": { Prop0: "D[0.5]*[N/m]", Prop1: "D[13000]*[Hz]" },
};

/** Small image series in JPK's HDF5, and force curves as afmformats exports them. */
import { File, ready, type Group } from "h5wasm/node";

type Attributes = Readonly<Record<string, string | number | undefined>>;

function setAll(of: { create_attribute(name: string, value: unknown): void }, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) of.create_attribute(name, value);
}

export interface MadeChannel {
  /** As in `channel.name`. */
  readonly name: string;
  readonly retrace?: boolean;
  /** A frame a list, line by line from the grid's corner. */
  readonly frames: readonly (readonly number[])[];
  readonly encoder?: readonly [multiplier: number, offset: number];
  readonly baseUnit?: string;
  readonly slots?: readonly { readonly name: string; readonly unit: string; readonly scale: readonly [number, number] }[];
  readonly attributes?: Attributes;
  /** Pixels and frames, in place of those that there are. */
  readonly shape?: readonly [number, number];
} // prettier-ignore

export interface MadeSeries {
  readonly channels: readonly MadeChannel[];
  readonly rows?: number;
  readonly columns?: number;
  /** ms since 1970, UTC. */
  readonly starts?: readonly number[];
  readonly ends?: readonly number[];
  readonly root?: Attributes;
  readonly scan?: Attributes;
}

export const ENCODER = [2e-8, 50] as const;
export const HEIGHT = [
  { name: "nominal", unit: "m", scale: [-1.5e-8, 1.5e-6] },
  { name: "calibrated", unit: "m", scale: [0.8, 1e-9] },
] as const;

export async function makeJpkSeries(path: string, series: MadeSeries): Promise<string> {
  const { rows = 2, columns = 3, channels } = series;
  await ready;
  const file = new File(path, "w");
  setAll(file, { "file-format-info": "JPK SCAN", "file-format-version": "3.0", ...series.root });
  const scan = file.create_group("Measurement_000");
  setAll(scan, {
    "position-pattern.grid.ilength": columns, "position-pattern.grid.jlength": rows,
    "position-pattern.grid.ulength": 3e-7, "position-pattern.grid.vlength": 2e-7,
    "position-pattern.grid.xcenter": 1e-6, "position-pattern.grid.ycenter": -2e-6,
    "position-pattern.grid.theta": 0, "position-pattern.grid.reflect": "false", "feedback-mode.name": "ac",
    motion: "topDown", "timing-settings.scanRate": 2, "description.instrument": "Racer µ2",
    ...series.scan,
  }); // prettier-ignore
  for (const [n, channel] of channels.entries()) {
    const { name, frames, encoder = ENCODER, slots = [], baseUnit = "V" } = channel;
    const group = scan.create_group(`Channel_${String(n).padStart(3, "0")}`);
    const base = baseUnit === "V" ? "volts" : "base";
    const conversions = slots.map((slot, i) => [
      ["defined", "true"], ["base-calibration-slot", i === 0 ? base : slots[i - 1]!.name],
      ["scaling.multiplier", slot.scale[0]], ["scaling.offset", slot.scale[1]], ["scaling.unit.unit", slot.unit],
    ].map(([key, value]) => [`conversion.${slot.name}.${key}`, value])); // prettier-ignore
    const net = slots.reduce<readonly [number, number]>(([m, b], { scale: [m2, b2] }) => [m * m2, b * m2 + b2], encoder); // prettier-ignore
    setAll(group, {
      "channel.name": name, retrace: String(channel.retrace ?? false), "encoder.scaling.unit.unit": baseUnit,
      "encoder.scaling.multiplier": encoder[0], "encoder.scaling.offset": encoder[1],
      "net-encoder.scaling.multiplier": net[0], "net-encoder.scaling.offset": net[1],
      "conversions.base": base, "conversions.default": slots.at(-1)?.name ?? base, "conversions.list": slots.map((slot) => slot.name).join(" "),
      ...Object.fromEntries(conversions.flat()), ...channel.attributes,
    }); // prettier-ignore
    const [pixels, count] = channel.shape ?? [rows * columns, frames.length];
    const data = Int32Array.from({ length: pixels * count }, (_, i) => frames[i % count]?.[Math.floor(i / count)] ?? 0); // prettier-ignore
    const title = name[0]!.toUpperCase() + name.slice(1);
    group.create_dataset({ name: title, data, shape: [pixels, count], chunks: [pixels, 1], compression: "gzip", compression_opts: [1] }); // prettier-ignore
    group.create_dataset({ name: "thumbnail", data: new Int32Array(4), shape: [4, 1] });
  }
  const times = scan.create_group("meta-data");
  for (const [name, ms] of [
    ["start-times", series.starts],
    ["end-times", series.ends],
  ] as const)
    if (ms) times.create_dataset({ name, data: BigInt64Array.from(ms, BigInt), shape: [ms.length, 1] });
  file.close();
  return path;
}

export interface MadeExport {
  readonly attributes?: Attributes;
  readonly columns: Readonly<Record<string, readonly number[] | { readonly unit: string; readonly values: readonly number[] }>>;
} // prettier-ignore

export async function makeExport(
  path: string,
  curves: Readonly<Record<string, MadeExport>>,
): Promise<string> {
  await ready;
  const file = new File(path, "w");
  setAll(file, { software: "afmformats", "software version": "0.18.7" });
  for (const [number, { attributes = {}, columns }] of Object.entries(curves)) {
    const group = file.create_group(number) as Group;
    setAll(group, { "imaging mode": "force-distance", "spring constant": 0.04, sensitivity: 7e-8, instrument: "Bench µ1", software: "JPK", ...attributes }); // prettier-ignore
    for (const [name, given] of Object.entries(columns)) {
      const { unit, values } = "unit" in given ? given : { unit: name === "force" ? "N" : name === "segment" ? "" : "m", values: given }; // prettier-ignore
      const data = name === "segment" ? Uint8Array.from(values) : Float64Array.from(values);
      const dataset = group.create_dataset({ name, data, shape: [values.length] });
      dataset.create_attribute("unit", unit);
    }
  }
  file.close();
  return path;
}

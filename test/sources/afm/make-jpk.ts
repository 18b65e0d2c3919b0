/**
 * Small JPK archives with known contents, as bytes: every style of header and encoder that the decoder knows.
 */
import { zipSync, type Zippable } from "fflate";

export interface MadeSegment {
  style: string;
  /** Raw numbers as they are stored. */
  deflection: readonly number[];
  height: readonly number[];
  /** Number of a second, better height sensor; left out where a segment lacks it. */
  measured?: readonly number[];
  ended?: string;
  duration?: number;
  setpoint?: number;
  baseline?: number;
  /** What the header says, where that is wrong. */
  points?: number;
}

export interface MadeCurve {
  segments: readonly MadeSegment[];
  x?: number;
  y?: number;
  visit?: number;
  /** Segments that the header says there are. */
  count?: number;
}

export interface MadeFile {
  kind?: "force-scan-series" | "force-scan-map" | "quantitative-imaging-series" | "quantitative-imaging-map";
  version?: string;
  encoder?: keyof typeof ENCODERS;
  /** Newer files keep what the curves have in common in shared-data; a part of that may point to another. */
  shared?: boolean | "nested";
  spring?: number | undefined;
  sensitivity?: number | undefined;
  grid?: { columns: number; rows: number; size: number; backAndForth?: boolean; reflect?: boolean };
  start?: string;
  curves: readonly (MadeCurve | undefined)[];
  level?: 0 | 6;
}

export const MULTIPLIER = 3.0921021713588157e-4;
export const OFFSET = -0.00728873489143207;
const HEIGHT_MULTIPLIER = -1.5e-8, MEASURED_MULTIPLIER = -2.5e-9, MEASURED_OFFSET = 4e-5; // prettier-ignore

const ENCODERS = {
  signedshort: { bytes: 2, data: "short", write: (v: DataView, at: number, x: number) => v.setInt16(at, x) },
  unsignedshort: {
    bytes: 2,
    data: "short",
    write: (v: DataView, at: number, x: number) => v.setUint16(at, x),
  },
  signedinteger: {
    bytes: 4,
    data: "integer",
    write: (v: DataView, at: number, x: number) => v.setInt32(at, x),
  },
  unsignedinteger: {
    bytes: 4,
    data: "integer",
    write: (v: DataView, at: number, x: number) => v.setUint32(at, x),
  },
  signedlong: {
    bytes: 8,
    data: "long",
    write: (v: DataView, at: number, x: number) => v.setBigInt64(at, BigInt(x)),
  },
  float: { bytes: 4, data: "float", write: (v: DataView, at: number, x: number) => v.setFloat32(at, x) },
  double: { bytes: 8, data: "double", write: (v: DataView, at: number, x: number) => v.setFloat64(at, x) },
};
const isFloat = (encoder: string): boolean => encoder === "float" || encoder === "double";

/** What the decoder should make of raw numbers. */
export const volts = (raw: number, encoder = "signedshort"): number =>
  isFloat(encoder) ? raw : raw * MULTIPLIER + OFFSET;
export const height_m = (raw: number, encoder = "signedshort"): number =>
  (((isFloat(encoder) ? raw : raw * MULTIPLIER + OFFSET) * HEIGHT_MULTIPLIER + 1e-4) * 0.5); // prettier-ignore
export const measured_m = (raw: number): number => raw * MEASURED_MULTIPLIER + MEASURED_OFFSET + 1e-5;

const text = (properties: Record<string, string | number | undefined>): Uint8Array =>
  Buffer.from(
    "#Thu Mar 31 17:51:15 CEST 2016\n" +
      Object.entries(properties)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => `${key}=${String(value).replaceAll(":", "\\:").replaceAll("µ", "\\u00B5")}\n`)
        .join(""),
    "latin1",
  );

const prefixed = (prefix: string, properties: Record<string, string | number | undefined>) =>
  Object.fromEntries(Object.entries(properties).map(([key, value]) => [`${prefix}${key}`, value]));

function slot(name: string, base: string, multiplier: number | undefined, offset: number, unit: string) {
  if (multiplier === undefined) return { [`conversion-set.conversion.${name}.defined`]: "false" };
  return prefixed(`conversion-set.conversion.${name}.`, {
    defined: "true", "base-calibration-slot": base, "scaling.type": "linear", "scaling.style": "offsetmultiplier",
    "scaling.offset": offset, "scaling.multiplier": multiplier, "scaling.unit.unit": unit,
  }); // prettier-ignore
}

function channels({ encoder = "signedshort", spring, sensitivity }: MadeFile) {
  const encoded = (multiplier: number, offset: number): Record<string, string | number> =>
    isFloat(encoder)
      ? {}
      : {
          "encoder.type": encoder,
          "encoder.scaling.style": "offsetmultiplier",
          "encoder.scaling.multiplier": multiplier,
          "encoder.scaling.offset": offset,
        };
  const type = isFloat(encoder) ? `${encoder}-data` : "integer-data";
  return {
    height: {
      type, ...encoded(MULTIPLIER, OFFSET),
      "conversion-set.conversions.list": "nominal calibrated", "conversion-set.conversions.base": "volts",
      "conversion-set.conversions.default": "calibrated",
      ...slot("nominal", "volts", HEIGHT_MULTIPLIER, 1e-4, "m"), ...slot("calibrated", "nominal", 0.5, 0, "m"),
    },
    vDeflection: {
      type, ...encoded(MULTIPLIER, OFFSET),
      "conversion-set.conversions.list": "distance force", "conversion-set.conversions.base": "volts",
      "conversion-set.conversions.default": "force",
      ...slot("distance", "volts", sensitivity, 0, "m"), ...slot("force", "distance", spring, 0, "N"),
    },
    measuredHeight: {
      type, ...encoded(MEASURED_MULTIPLIER, MEASURED_OFFSET),
      "conversion-set.conversions.list": "nominal", "conversion-set.conversions.base": "absolute",
      "conversion-set.conversions.default": "nominal",
      ...slot("nominal", "absolute", 1, 1e-5, "m"),
    },
  } as Record<string, Record<string, string | number>>; // prettier-ignore
}

export function makeJpk(file: MadeFile): Uint8Array {
  const { kind = "force-scan-series", encoder = "signedshort", shared = false, grid } = file;
  const described = channels(file);
  const names = Object.keys(described);
  const bytes = (raw: readonly number[]): Uint8Array => {
    const { bytes: size, write } = ENCODERS[encoder];
    const view = new DataView(new ArrayBuffer(raw.length * size));
    raw.forEach((value, i) => write(view, i * size, value));
    return new Uint8Array(view.buffer);
  };
  const series = ({ x, y, visit, count }: MadeCurve) => ({
    type: seriesType,
    ...prefixed(`${seriesType}.`, {
      "header.position.x": x, "header.position.y": y, "header.position-index": visit, "force-segments.count": count,
    }),
  }); // prettier-ignore
  const entries: Zippable = {};
  const single = kind.endsWith("-series");
  const seriesType = kind.startsWith("quantitative") ? "quantitative-imaging-series" : "force-scan-series";
  entries["header.properties"] = text({
    "jpk-data-file": "spm-forcefile", "file-format-version": file.version ?? "2.0", type: kind,
    [`${kind}.start-time`]: file.start,
    [`${kind}.description.instrument`]: "Bench µ1",
    ...(single && series(file.curves[0]!)),
    ...(grid && prefixed(`${kind}.position-pattern.`, {
      "back-and-forth": String(grid.backAndForth ?? false),
      "grid.ilength": grid.columns, "grid.jlength": grid.rows, "grid.ulength": grid.size, "grid.vlength": grid.size, "grid.reflect": String(grid.reflect ?? false),
    })),
  }); // prettier-ignore
  if (shared) {
    // Number 1 and number 10 side by side: a pointer to the one must not take the other.
    const deflection = Object.entries(described["vDeflection"]!);
    const isConversion = ([key]: [string, unknown]): boolean => key.startsWith("conversion-set.");
    const conversion = Object.fromEntries(
      deflection.filter(isConversion).map(([key, value]) => [key.slice("conversion-set.".length), value]),
    );
    const own = Object.fromEntries(deflection.filter((entry) => !isConversion(entry)));
    entries["shared-data/header.properties"] = text({
      ...(shared === "nested"
        ? { ...prefixed("lcd-info.1.", { ...own, "conversion-set.conversion-info.*": 4 }), ...prefixed("conversion-info.4.", conversion), "conversion-info.40.conversions.base": "wrong" }
        : prefixed("lcd-info.1.", described["vDeflection"]!)),
      ...prefixed("lcd-info.10.", described["height"]!),
      ...prefixed("lcd-info.2.", described["measuredHeight"]!),
      ...prefixed("force-segment-header-info.0.", { "settings.style": "extend" }),
      ...prefixed("force-segment-header-info.1.", { "settings.style": "retract" }),
    }); // prettier-ignore
  }
  const number: Record<string, number> = { vDeflection: 1, height: 10, measuredHeight: 2 };
  file.curves.forEach((curve, n) => {
    if (!curve) return;
    const folder = single ? "" : `index/${n}/`;
    if (!single) entries[`${folder}header.properties`] = text(series(curve));
    curve.segments.forEach((segment, s) => {
      const at = `${folder}segments/${s}/`;
      const here = names.filter((name) => name !== "measuredHeight" || segment.measured);
      const raw: Record<string, readonly number[]> = {
        height: segment.height,
        vDeflection: segment.deflection,
        measuredHeight: segment.measured ?? [],
      };
      const pointed = shared && (segment.style === "extend" || segment.style === "retract");
      entries[`${at}segment-header.properties`] = text({
        ...(pointed && { "force-segment-header.force-segment-header-info.*": segment.style === "extend" ? 0 : 1 }),
        ...prefixed("force-segment-header.", {
          "num-points": segment.points ?? segment.deflection.length, duration: segment.duration ?? 1,
          "time-stamp": segment.ended, ...(!pointed && { "settings.style": segment.style }),
          "settings.segment-settings.setpoint": segment.setpoint, "baseline.baseline": segment.baseline,
        }),
        "channels.list": here.join(" "),
        ...Object.assign({}, ...here.map((name) => prefixed(`channel.${name}.`, {
          "data.file.name": `channels/${name}.dat`, "data.num-points": segment.points ?? raw[name]!.length,
          ...(shared ? { "lcd-info.*": number[name] } : oldStyle(described[name]!, encoder)),
        }))),
      }); // prettier-ignore
      for (const name of here) entries[`${at}channels/${name}.dat`] = bytes(raw[name]!);
    });
  });
  return zipSync(entries, { level: file.level ?? 6 });
}

/** Files of version 0.12 write `data.encoder.…` and `data.type`. */
function oldStyle(channel: Record<string, string | number>, encoder: keyof typeof ENCODERS) {
  const { type: _, ...rest } = channel;
  return {
    "data.type": ENCODERS[encoder].data,
    ...Object.fromEntries(
      Object.entries(rest).map(([key, value]) => [key.startsWith("encoder.") ? `data.${key}` : key, value]),
    ),
  };
}

/** A force map as large as a microscope's, on disk: curves of a paraboloid on one archive, with shared headers. */
import { closeSync, openSync, writeSync } from "node:fs";
import { Zip, ZipPassThrough } from "fflate";

const VOLTS = 3e-4, SENSITIVITY = 60e-9, SPRING = 40, HEIGHT_m = -1e-9; // prettier-ignore

const text = (properties: Record<string, string | number>): Uint8Array =>
  Buffer.from(Object.entries(properties).map(([key, value]) => `${key}=${value}\n`).join("")); // prettier-ignore

const slot = (
  name: string,
  base: string,
  multiplier: number,
  unit: string,
): Record<string, string | number> => {
  const at = `conversion-set.conversion.${name}`;
  return {
    [`${at}.defined`]: "true", [`${at}.base-calibration-slot`]: base, [`${at}.scaling.type`]: "linear",
    [`${at}.scaling.style`]: "offsetmultiplier", [`${at}.scaling.offset`]: 0, [`${at}.scaling.multiplier`]: multiplier,
    [`${at}.scaling.unit.unit`]: unit,
  }; // prettier-ignore
};
const encoder = (multiplier: number): Record<string, string | number> => ({
  type: "integer-data", "encoder.type": "signedshort", "encoder.scaling.style": "offsetmultiplier",
  "encoder.scaling.multiplier": multiplier, "encoder.scaling.offset": 0,
}); // prettier-ignore
const below = (
  prefix: string,
  properties: Record<string, string | number>,
): Record<string, string | number> =>
  Object.fromEntries(Object.entries(properties).map(([key, value]) => [`${prefix}${key}`, value]));

/** Writes `columns` × `rows` curves of 2 × `points` samples; one archive, nothing of it kept in memory. */
export function writeJpkMap(path: string, columns: number, rows: number, points: number): void {
  const file = openSync(path, "w");
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    writeSync(file, chunk);
  });
  const entry = (name: string, bytes: Uint8Array): void => {
    const stored = new ZipPassThrough(name);
    zip.add(stored);
    stored.push(bytes, true);
  };
  const kind = "quantitative-imaging-map";
  entry("header.properties", text({
    "jpk-data-file": "spm-quantitativeimagingfile", "file-format-version": "2.0", type: kind,
    [`${kind}.start-time`]: "2026-11-22 10\\:00\\:00.000 +0000",
    ...below(`${kind}.position-pattern.`, { "back-and-forth": "false", "grid.ilength": columns, "grid.jlength": rows, "grid.ulength": 5e-6, "grid.vlength": 5e-6 }),
  })); // prettier-ignore
  entry("shared-data/header.properties", text({
    ...below("lcd-info.0.", {
      ...encoder(VOLTS), "conversion-set.conversions.list": "distance force", "conversion-set.conversions.base": "volts",
      "conversion-set.conversions.default": "force", ...slot("distance", "volts", SENSITIVITY, "m"), ...slot("force", "distance", SPRING, "N"),
    }),
    ...below("lcd-info.1.", {
      ...encoder(1), "conversion-set.conversions.list": "nominal", "conversion-set.conversions.base": "counts",
      "conversion-set.conversions.default": "nominal", ...slot("nominal", "counts", HEIGHT_m / 16, "m"),
    }),
    "force-segment-header-info.0.settings.style": "extend", "force-segment-header-info.1.settings.style": "retract",
    "force-segment-header-info.0.duration": 5e-4, "force-segment-header-info.1.duration": 5e-4,
    "force-segment-header-info.0.num-points": points, "force-segment-header-info.1.num-points": points,
  })); // prettier-ignore

  const height = Buffer.alloc(2 * points);
  const force = Buffer.alloc(2 * points);
  const backwards = { height: Buffer.alloc(2 * points), force: Buffer.alloc(2 * points) };
  for (let n = 0; n < columns * rows; n++) {
    const stiffness = 1 + 0.5 * Math.sin(n / 37);
    for (let i = 0; i < points; i++) {
      const depth = Math.max(0, i / points - 0.6);
      const volts = Math.round(4000 * stiffness * depth ** 1.5 + 3 * Math.sin(i * 1.7 + n));
      height.writeInt16BE(Math.round((600 * i) / points), 2 * i);
      force.writeInt16BE(volts, 2 * i);
      backwards.height.writeInt16BE(Math.round((600 * i) / points), 2 * (points - 1 - i));
      backwards.force.writeInt16BE(volts, 2 * (points - 1 - i));
    }
    entry(`index/${n}/header.properties`, text({ type: "quantitative-imaging-series", "quantitative-imaging-series.header.position-index": n }));
    for (const [s, data] of [{ height, force }, backwards].entries()) {
      entry(`index/${n}/segments/${s}/segment-header.properties`, text({
        "force-segment-header.force-segment-header-info.*": s, "channels.list": "vDeflection height",
        "channel.vDeflection.data.file.name": "channels/vDeflection.dat", "channel.vDeflection.lcd-info.*": 0,
        "channel.height.data.file.name": "channels/height.dat", "channel.height.lcd-info.*": 1,
      }));
      entry(`index/${n}/segments/${s}/channels/vDeflection.dat`, Uint8Array.from(data.force));
      entry(`index/${n}/segments/${s}/channels/height.dat`, Uint8Array.from(data.height));
    }
  }
  zip.end();
  closeSync(file);
} // prettier-ignore

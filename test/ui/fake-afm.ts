/** Made-up streams of a force microscope: maps of 16 × 12 curves, frames of 4 min, drift, and all of it joined. */
import { code, curve, image, scalar } from "../../runtime/wire/schema.ts";
import type { Ms } from "../../ui/client/types.ts";
import type { Made } from "./fake-client.ts";

export const COLUMNS = 16;
export const ROWS = 12;
export const CURVE_ms = 250;
export const MAP_ms = COLUMNS * ROWS * CURVE_ms;
export const FRAME_ms = 240_000;
const SIZE = 48;

/** Which operator reads what. */
export const AFM_PIPELINE = {
  modulus: { from: "afm.curves" },
  maps: { from: "modulus.modulus" },
  rolling: { from: "modulus.modulus" },
  drift: { from: "afm.topography" },
};

/** One in seven cannot be fitted. */
export const isFitted = (index: number): boolean =>
  (Math.floor(index / COLUMNS) + (index % COLUMNS)) % 7 !== 3;

/** Softer to the left, over two decades, and 1 % stiffer with every map. */
export const modulusOf = (index: number, map: number): number =>
  isFitted(index) ? 1e8 * 10 ** ((2 * (index % COLUMNS)) / (COLUMNS - 1)) * (1 + 0.01 * map) : NaN;

/** Up and down again in 100 min. */
export const voltageOf = (time: Ms, start: Ms): number => 3.6 + 0.3 * Math.sin((time - start) / 955_000);

export function afmStreams(start: Ms): Made[] {
  const curveOf = (time: Ms) => Math.round((time - start) / CURVE_ms);
  const indexOf = (time: Ms) => curveOf(time) % (COLUMNS * ROWS);
  const mapOf = (time: Ms) => Math.floor(curveOf(time) / (COLUMNS * ROWS));
  const E = (time: Ms) => modulusOf(indexOf(time), mapOf(time));
  const GRID = {
    grid_columns: String(COLUMNS), grid_rows: String(ROWS), grid_size_x: "1.6e-6", grid_size_y: "1.2e-6", first_row: "smallest y",
  }; // prettier-ignore
  const hertz = (column: string, time: Ms): Float64Array =>
    Float64Array.from({ length: 60 }, (_, i) => {
      const depth = -2e-8 + i * 1e-9;
      if (column === "indentation") return depth;
      if (column === "height") return 2e-6 - depth;
      if (column === "segment") return 0;
      const stiff = Number.isFinite(E(time)) ? E(time) : 0;
      return (4 / 3) * stiff * Math.sqrt(1e-8) * Math.max(0, depth) ** 1.5 + (column === "fit" ? 0 : 1e-10 * Math.sin(9 * i)); // prettier-ignore
    });
  return [
    {
      stream: "afm.curves", interval: CURVE_ms, derived: false,
      schema: { fields: { height: curve("m"), force: curve("N"), segment: curve("", { type: "u8" }), index: code() }, metadata: GRID },
      value: (_, time) => indexOf(time),
      rows: hertz,
    },
    {
      stream: "modulus.modulus", interval: CURVE_ms, derived: true,
      schema: {
        fields: {
          modulus: scalar("Pa", { uncertainty: "modulus_se", long_name: "Young's modulus" }), modulus_se: scalar("Pa"),
          valid: code({ codes: { 0: "fitted", 1: "no contact" } }), index: code(),
        },
        metadata: GRID,
      },
      value: (column, time) =>
        column === "index" ? indexOf(time) : column === "modulus" ? E(time) : column === "modulus_se" ? E(time) / 50 : Number(!isFitted(indexOf(time))),
    },
    {
      stream: "modulus.fits", interval: CURVE_ms, derived: true,
      schema: { fields: { indentation: curve("m"), force: curve("N"), fit: curve("N"), modulus: scalar("Pa"), index: code() }, metadata: GRID },
      value: (column, time) => (column === "index" ? indexOf(time) : E(time)),
      rows: hertz,
      absent: (time) => !isFitted(indexOf(time)),
    },
    {
      stream: "maps.maps", interval: MAP_ms, offset: MAP_ms - CURVE_ms, derived: true,
      schema: {
        fields: { data: image("Pa", { shape: [ROWS, COLUMNS], long_name: "Young's modulus" }), filled: scalar("%") },
        metadata: { ...GRID, pixel_size_x: "1e-7", pixel_size_y: "1e-7" },
      },
      value: () => 100,
      rows: (_, time) => Float32Array.from({ length: ROWS * COLUMNS }, (_value, i) => modulusOf(i, mapOf(time))),
    },
    {
      stream: "rolling.rolling", interval: 10_000, derived: true,
      schema: { fields: { median: scalar("Pa", { uncertainty: "median_se" }), median_se: scalar("Pa") }, metadata: {} },
      value: (column, time) => (column === "median" ? 1e9 * (1 + mapOf(time) / 100) : 2e7),
    },
    {
      stream: "joined.joined", interval: 10_000, derived: true,
      schema: { fields: { median: scalar("Pa", { uncertainty: "median_se" }), median_se: scalar("Pa"), echem_voltage_volt: scalar("V"), echem_age: scalar("s") }, metadata: {} },
      value: (column, time) =>
        column === "median" ? 1e9 * (1 + mapOf(time) / 100) : column === "median_se" ? 2e7 : column === "echem_age" ? 0.5 : voltageOf(time, start),
    },
    {
      stream: "afm.topography", interval: FRAME_ms, offset: FRAME_ms, derived: false,
      schema: {
        fields: { data: image("m", { shape: [SIZE, SIZE] }), index: code(), duration: scalar("s"), slow_scan: code({ codes: { 0: "up", 1: "down", 255: "unknown" } }) },
        metadata: { pixel_size_x: "2e-8", pixel_size_y: "2e-8", first_row: "smallest y" },
      },
      value: (column) => (column === "duration" ? FRAME_ms / 1000 : 0),
      // A step up from row 0 to the last.
      rows: () => Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i < (SIZE * SIZE) / 2 ? 0 : 5e-9) + 1e-10 * Math.sin(i)),
    },
    {
      stream: "drift.drift", interval: 64_000, derived: true,
      schema: {
        fields: {
          shift_x: scalar("m", { uncertainty: "shift_x_se" }), shift_y: scalar("m", { uncertainty: "shift_y_se" }),
          shift_x_se: scalar("m"), shift_y_se: scalar("m"), shift_covariance: scalar("m2"), confidence: scalar("1"),
        },
        metadata: { first_row: "smallest y" },
      },
      value(column, time) {
        const t = (time - start) / 1e6;
        if (column === "shift_x") return 1e-8 * Math.cos(t);
        if (column === "shift_y") return 1e-8 * Math.sin(t);
        return column === "shift_covariance" ? 2e-19 : column === "shift_x_se" ? 1e-9 : column === "shift_y_se" ? 5e-10 : 0.9;
      },
    },
  ]; // prettier-ignore
}

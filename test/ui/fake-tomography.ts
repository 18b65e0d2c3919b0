/** Made-up streams of a scan that turns: three slices, two upright planes, changes and their errors. */
import { code, image, label, scalar, type Fields } from "../../runtime/wire/schema.ts";
import type { Ms } from "../../ui/client/types.ts";
import type { Made } from "./fake-client.ts";

/** Columns of the detector, and its rows. */
const SIZE = 128;
const ROWS = 96;
/** Of the turntable: half a turn in 90 s. */
const SPEED_deg_per_s = 2;
export const SLICES = [16, 48, 80];

function hash(i: number): number {
  let h = Math.imul(i ^ (i >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 31 - 1;
}

/** A can with a wound core, and a bubble that grows beside it after an hour. */
function density(x: number, y: number, z: number, minutes: number): number {
  const r = Math.hypot(x, y);
  if (r > 58) return 0;
  if (r > 53) return 0.032;
  const bubble = Math.min(14, Math.max(0, (minutes - 60) / 6));
  if (Math.hypot(x + 18, y - 12, z - 44) < bubble) return 0.001;
  if (r < 8) return 0.004;
  return 0.014 + 0.006 * Math.sign(Math.sin(r * 0.9 - Math.atan2(y, x))) * (z > 8 && z < 88 ? 1 : 0);
}

export function tomographyStreams(start: Ms): Made[] {
  const minutesOf = (time: Ms) => (time - start) / 60_000;
  const angleOf = (time: Ms) => ((time - start) / 1000) * SPEED_deg_per_s;
  const coverageOf = (time: Ms) => Math.min(180, angleOf(time));
  const STATE: Fields = {
    views: scalar("{frame}"), window: label(), coverage: scalar("deg"), largest_gap: scalar("deg"),
    rotation_angle: scalar("deg"), oldest_age: scalar("s"), axis: scalar("{px}"),
    filter: code({ codes: { 0: "ramp", 1: "shepp-logan" } }), radius: scalar("{px}"), filled: scalar("{px}"),
    left_out: scalar("{frame}"), rebuild: code({ codes: { 0: "none", 1: "pending" } }),
  }; // prettier-ignore
  const state = (column: string, time: Ms): number => {
    const coverage = coverageOf(time);
    switch (column) {
      case "views": return 2 * coverage;
      case "coverage": return coverage;
      case "largest_gap": return coverage < 180 ? 180 - coverage : 0.5;
      case "rotation_angle": return angleOf(time);
      case "oldest_age": return coverage / SPEED_deg_per_s;
      case "axis": return 63.25;
      case "filter": return 1;
      case "radius": return 63;
      case "filled": return 1204;
      default: return 0;
    } // prettier-ignore
  };
  const METADATA = { sample_pixel_size_x: "6.5e-7", sample_pixel_size_y: "6.5e-7", pixel_size_x: "6.5e-6" };
  const drawn = (rows: number, of: (row: number, col: number) => readonly [x: number, y: number, z: number], noise: number) =>
    (time: Ms): Float32Array => {
      const data = new Float32Array(rows * SIZE);
      const minutes = minutesOf(time);
      // While angles are missing the picture is streaked across the newest.
      const missing = 1 - coverageOf(time) / 180;
      const angle = (angleOf(time) * Math.PI) / 180;
      for (let row = 0; row < rows; row++) {
        for (let col = 0; col < SIZE; col++) {
          const [x, y, z] = of(row, col);
          const streak = missing * 0.01 * Math.sin((x * Math.cos(angle) + y * Math.sin(angle)) * 0.7);
          data[row * SIZE + col] = density(x, y, z, minutes) + streak + noise * hash(row * SIZE + col + Math.floor(time / 1000));
        }
      }
      return data;
    }; // prettier-ignore
  const middle = (SIZE - 1) / 2;
  const horizontal = (z: number, noise = 0.0015) =>
    drawn(SIZE, (row, col) => [col - middle, middle - row, z], noise);
  const field = (rows: number) =>
    image("1/{px}", { shape: [rows, SIZE], quantity: "attenuation coefficient" });
  const made = { interval: 2000, derived: true, value: state, text: () => "180 deg" } as const;
  const change = (time: Ms): Float32Array => {
    const [now, before] = [horizontal(44)(time), horizontal(44)(start + 30 * 60_000)];
    return now.map((value, i) => (value - before[i]!) / 0.0012);
  };
  return [
    {
      ...made, stream: "tomo.slices", slices: SLICES,
      schema: { fields: { data: field(SIZE), slice: code(), ...STATE }, metadata: METADATA },
      rows: (_, time, slice) => horizontal(slice!)(time),
    },
    {
      ...made, stream: "tomo.front",
      schema: { fields: { data: field(ROWS), ...STATE }, metadata: { ...METADATA, plane: "y=12" } },
      rows: (_, time) => drawn(ROWS, (row, col) => [col - middle, 12, row], 0.0015)(time),
    },
    {
      ...made, stream: "tomo.side",
      schema: { fields: { data: field(ROWS), ...STATE }, metadata: { ...METADATA, plane: "x=-18" } },
      rows: (_, time) => drawn(ROWS, (row, col) => [-18, col - middle, row], 0.0015)(time),
    },
    {
      ...made, stream: "change.map",
      schema: {
        fields: {
          data: image("1", { shape: [SIZE, SIZE], quantity: "change in standard deviations" }),
          first: image("s", { shape: [SIZE, SIZE], quantity: "time of first significant change" }),
        },
        metadata: METADATA,
      },
      rows: (column, time) => {
        const score = change(time);
        return column === "data" ? score : score.map((s, i) => (s < -5 ? 3600 + 300 * Math.abs(s) * ((i % SIZE) / SIZE) : NaN));
      },
    },
    {
      ...made, stream: "variance.error",
      schema: { fields: { data: image("1/{px}", { shape: [SIZE, SIZE], quantity: "standard error of the attenuation coefficient" }) }, metadata: METADATA },
      rows: () => Float32Array.from({ length: SIZE * SIZE }, (_, i) => 0.0008 + 0.0002 * Math.hypot((i % SIZE) - middle, i / SIZE - middle) / middle),
    },
    {
      ...made, stream: "views.by_angle",
      schema: { fields: { data: image("1", { shape: [180, SIZE], quantity: "line integral" }) }, metadata: { angle_step_deg: "1", pixel_size_x: "6.5e-6" } },
      rows: () => Float32Array.from({ length: 180 * SIZE }, (_, i) => {
        const t = (i % SIZE) - middle - 20 * Math.sin((Math.floor(i / SIZE) * Math.PI) / 180);
        return Math.abs(t) < 30 ? Math.sqrt(900 - t * t) / 30 : 0;
      }),
    },
  ]; // prettier-ignore
}

import {
  choice, code, defineOperator, image, integer, quantity, scalar, text, type Fields,
} from "../../runtime/index.ts"; // prettier-ignore
import { NEAR, noRuns, PHASE, type Component, type Labelled, type Runs } from "./connected-components.ts";
import { pixelSize, pixelsWithin, placeMistake, seriesOf } from "./frame-columns.ts";
import { median } from "./order-statistics.ts";
import type { PixelSpans } from "./pixel-spans.ts";
import { emptyHistogram, fillHistogram, METHODS, thresholdOf } from "./threshold.ts";
import { follow, type Tracks } from "./tracks.ts";
import { watershed } from "./watershed.ts";

/**
 * Grains of a topography, each with an identity over frames: where it is, how large, how high, how far it has moved.
 *
 *     grain     pixels above the threshold, parted along the valleys of z̃ between summits of `min_prominence` (watershed.ts)
 *     area      A = n a,   A_se² = a² (2m/√π + s/12)        height   h = max z̃ - z₀
 *     volume    V = a Σ (z - z₀),   V_se² = a² (n σ² + n² z₀_se² + s (t - z₀)²/12)
 *
 *     z   height [m], z̃ the same smoothed by `smooth`       n  pixels of the grain, s of its sides towards other pixels
 *     z₀  median of what is not above the threshold         a  area of a pixel [m²]
 *     t   threshold [m]                                     σ  noise of a pixel [m]
 *     m   pixels of the grain less than σ/2 above the threshold
 *
 * σ is from second differences along the lines (their median size), so texture finer than three pixels counts as noise.
 * A side is taken to lie anywhere within its pixel (variance 1/12). h_se is σ through the smoothing; the largest of many
 * noisy pixels lies above the true summit by about as much.
 *
 * A threshold that is not given is found in the first frame that shows two classes, and held, so that growth is not
 * followed by its own threshold. Identity is by overlap with the frame before (tracks.ts): frames that drift by less than
 * half a grain may be given as they are, others through drift/images first. A grain at the rim is `cut`.
 *
 * Trace and retrace are two series. Rows run from the smallest y up where the stream says so; x, y are from the middle
 * of the first pixel.
 */
export const grains = defineOperator({
  name: "image/grains",
  doc: "Grains of a topography with area, height and volume, tracked over frames with identity and displacement",
  input: { images: { data: image("m"), direction: code({ optional: true }) } },
  output: ({ images }, config) => {
    const shape = (images.data as Fields[string]).shape;
    pixelsWithin("within", config.within, shape);
    return {
      grains: GRAINS,
      frames: FRAMES,
      events: EVENTS,
      labels: {
        data: image("", { type: "i32", ...(shape && { shape }), doc: "id of the grain; -1 where there is none" }),
      },
    };
  },
  provisional: ["labels"],
  config: {
    threshold: quantity("m", NaN, { doc: "height above which there are grains; default: found by `method` in the first frame, then held" }),
    method: choice(METHODS, "otsu", { doc: "of finding it: otsu for classes of like size, minimum-error for few grains on much ground" }),
    min_prominence: quantity("m", NaN, { min: 0, doc: "by how much a summit rises above the pass to the next to be a grain of its own; default five times the smoothed noise; .inf: touching grains are one" }),
    smooth: quantity("{px}", 1, { min: 0, max: 20, doc: "standard deviation of the smoothing before summits are looked for; 0: none. What is above the threshold is not smoothed" }),
    min_size: integer(12, { min: 1, doc: "pixels; what is smaller is a speck" }),
    max_objects: integer(1000, { min: 1, doc: "grains that are tracked and given out, the largest; all are counted" }),
    within: text("", { check: placeMistake("within"), doc: 'where to look: "x0,y0,x1,y1" or "circle x,y,r" in px; default everywhere' }),
    pixel_size: quantity("m", NaN, { min: 1e-13, doc: "in place of that in the stream's metadata" }),
  },
  start(config, { inputs }) {
    const { fields, metadata } = inputs.images;
    const shape = fields["data"]!.shape as [number, number];
    const [rows, cols] = shape;
    const spans = pixelsWithin("within", config.within, shape)!;
    const { x_m, y_m } = pixelSize(config.pixel_size, metadata);
    const histogram = emptyHistogram();
    const runs = noRuns();
    let state: State = { nextId: 0, thresholds: [], tracks: [] };

    return {
      step({ images }, out) {
        for (let i = 0; i < images.length; i++) {
          const row = images.at(i) as { time: bigint; seconds: number; data: Float32Array; direction?: number };
          const { time, seconds, data } = row;
          const series = seriesOf(row);
          fillHistogram(histogram, data, cols, spans);
          const threshold = Number.isNaN(config.threshold) ? (state.thresholds[series] ?? thresholdOf(histogram, config.method)) : config.threshold;
          if (histogram.pixels === 0 || Number.isNaN(threshold)) {
            const why = histogram.pixels === 0 ? NO_PIXELS : ONE_CLASS;
            out.fault(time, `no grains looked for: ${REASONS[why]}`);
            out.frames.add({ time, direction: series, ...UNKNOWN, pixels: histogram.pixels, valid: why });
            continue;
          }
          state.thresholds[series] = threshold;
          const noise = noiseAlongLines(data, cols, spans);
          const { heights, noise: left } = smoothed(data, rows, cols, config.smooth, noise);
          const mask = new Uint8Array(rows * cols);
          const ground: number[] = [];
          let known = 0;
          for (let y = 0; y < rows; y++) {
            for (let at = y * cols + spans.first[y]!; at < y * cols + spans.end[y]!; at++) {
              if (!Number.isFinite(data[at])) continue;
              known++;
              if (data[at]! > threshold) mask[at] = data[at]! < threshold + noise / 2 ? NEAR : PHASE;
              else ground.push(data[at]!);
            }
          }
          const z0 = median(Float64Array.from(ground));
          const z0_se = (1.2533 * noise) / Math.sqrt(ground.length);
          const prominence = Number.isNaN(config.min_prominence) ? 5 * left : config.min_prominence;
          const { labels, count } = watershed(heights, mask, rows, cols, prominence);
          const { labelled, cut } = componentsOf(labels, mask, count, rows, cols, runs, spans);
          const { components } = labelled;
          const followed = follow(state.tracks[series] ?? undefined, labelled, runs, {
            seconds, minSize: config.min_size, most: config.max_objects, newId: () => state.nextId++,
          });
          state.tracks[series] = followed.state;

          const sums = measure(labels, count, data, heights, z0);
          let [number, area_px, volume, cover_var, volume_var] = [0, 0, 0, 0, 0];
          const a = x_m * y_m;
          const volumeVariance = ({ pixels, sides }: Component): number =>
            pixels * noise ** 2 + (pixels * z0_se) ** 2 + (sides * (threshold - z0) ** 2) / 12;
          const area_se = ({ near, sides }: Component): number => Math.sqrt((2 * near) / Math.sqrt(Math.PI) + sides / 12);
          for (const [index, c] of components.entries()) {
            if (c.pixels < config.min_size) continue;
            number++;
            area_px += c.pixels;
            volume += sums.volume[index]!;
            cover_var += area_se(c) ** 2;
            volume_var += volumeVariance(c);
          }
          for (const [index, track] of followed.trackOf) {
            const c = components[index]!;
            if (c.pixels < config.min_size) continue;
            const last = followed.before.get(index);
            out.grains.add({
              time, direction: series, id: track.id, x_px: c.x, y_px: c.y, x: c.x * x_m, y: c.y * y_m,
              area_px: c.pixels, area_px_se: area_se(c), area: c.pixels * a, area_se: area_se(c) * a,
              diameter: Math.sqrt((4 * c.pixels * a) / Math.PI),
              height: sums.summit[index]! - z0, height_se: Math.hypot(left, z0_se),
              volume: sums.volume[index]! * a, volume_se: Math.sqrt(volumeVariance(c)) * a,
              dx: last ? (c.x - last.x) * x_m : NaN, dy: last ? (c.y - last.y) * y_m : NaN,
              dx_px: last ? c.x - last.x : NaN, dy_px: last ? c.y - last.y : NaN,
              age: seconds - track.since,
              cut: cut[index]!,
            });
          }
          for (const { event, track, other } of followed.events)
            out.events.add({ time, direction: series, id: track.id, event, other, x_px: track.x, y_px: track.y, area_px: track.pixels });
          out.frames.add({
            time, direction: series, number, specks: count - number, coverage: area_px / known, coverage_se: Math.sqrt(cover_var) / known,
            volume: volume * a, volume_se: Math.sqrt(volume_var) * a, ground: z0, ground_se: z0_se, threshold, noise, pixels: known, valid: FOUND,
          });
          const shown = new Int32Array(rows * cols).fill(-1);
          for (let at = 0; at < labels.length; at++) if (labels[at]! >= 0) shown[at] = followed.trackOf.get(labels[at]!)?.id ?? -1;
          out.labels.put({ time: BigInt64Array.of(time), data: shown });
        }
      },
      save: () => structuredClone(state),
      load: (saved: State) => void (state = structuredClone(saved)),
    };
  },
}); // prettier-ignore

const FOUND = 0, NO_PIXELS = 1, ONE_CLASS = 2; // prettier-ignore
const REASONS = {
  [FOUND]: "grains looked for",
  [NO_PIXELS]: "no pixel has a value where they are looked for",
  [ONE_CLASS]:
    "the frame does not show two classes of heights; give a threshold, level the frame, or narrow within",
};

const DIRECTION = code({ codes: { 0: "trace", 1: "retrace" } });
const GRAINS = {
  direction: DIRECTION,
  id: code({ doc: "the same from frame to frame, as long as it overlaps itself" }),
  x: scalar("m", { doc: "of its middle, from that of the first pixel" }),
  y: scalar("m"),
  x_px: scalar("{px}", { doc: "column" }),
  y_px: scalar("{px}", { doc: "row" }),
  area: scalar("m2", { uncertainty: "area_se", doc: "NaN where the pixel size is not known" }),
  area_se: scalar("m2"),
  area_px: scalar("{px}", { uncertainty: "area_px_se" }),
  area_px_se: scalar("{px}"),
  diameter: scalar("m", { doc: "of the circle of the same area" }),
  height: scalar("m", { uncertainty: "height_se", doc: "of its summit above the ground" }),
  height_se: scalar("m"),
  volume: scalar("m3", { uncertainty: "volume_se", doc: "above the ground" }),
  volume_se: scalar("m3"),
  dx: scalar("m", { doc: "moved since the frame before; NaN for a new one" }),
  dy: scalar("m"),
  dx_px: scalar("{px}"),
  dy_px: scalar("{px}"),
  age: scalar("s", { doc: "since it was first seen" }),
  cut: code({ codes: { 0: "whole", 1: "cut off by the rim" } }),
} as const;
const FRAMES = {
  direction: DIRECTION,
  number: scalar("1", { doc: "grains of `min_size` and more" }),
  specks: scalar("1", { doc: "smaller ones" }),
  coverage: scalar("1", { uncertainty: "coverage_se", doc: "share of the known pixels that are grains" }),
  coverage_se: scalar("1"),
  volume: scalar("m3", { uncertainty: "volume_se", doc: "of all grains" }),
  volume_se: scalar("m3"),
  ground: scalar("m", { uncertainty: "ground_se", doc: "median of what is not above the threshold" }),
  ground_se: scalar("m"),
  threshold: scalar("m"),
  noise: scalar("m", { doc: "of a pixel" }),
  pixels: scalar("{px}", { doc: "that have a value" }),
  valid: code({ codes: REASONS }),
} as const;
const EVENTS = {
  direction: DIRECTION,
  id: code(),
  event: code({ codes: { 0: "appeared", 1: "split", 2: "merged", 3: "vanished" } }),
  other: code({ doc: "what it split from or merged into; -1 where nothing" }),
  x_px: scalar("{px}"),
  y_px: scalar("{px}"),
  area_px: scalar("{px}", { doc: "of one that ended, the last" }),
} as const;
const UNKNOWN = {
  number: NaN, specks: NaN, coverage: NaN, coverage_se: NaN, volume: NaN, volume_se: NaN, ground: NaN, ground_se: NaN,
  threshold: NaN, noise: NaN,
}; // prettier-ignore

interface State {
  nextId: number;
  /** By direction. */
  thresholds: (number | undefined)[];
  tracks: (Tracks | undefined)[];
}

/** Standard deviation of a pixel's noise, from the median size of second differences: |z₋ - 2z + z₊| / √6. */
function noiseAlongLines(data: Float32Array, cols: number, { first, end }: PixelSpans): number {
  const sizes: number[] = [];
  for (let y = 0; y < first.length; y++) {
    for (let x = first[y]! + 1; x + 1 < end[y]!; x++) {
      const i = y * cols + x;
      const d = data[i - 1]! - 2 * data[i]! + data[i + 1]!;
      if (d - d === 0) sizes.push(Math.abs(d));
    }
  }
  return (1.4826 * median(Float64Array.from(sizes))) / Math.sqrt(6);
}

/** Gaussian over the known pixels, and the noise that it leaves; NaN stays NaN. */
function smoothed(
  data: Float32Array, rows: number, cols: number, sigma: number, noise: number,
): { heights: Float64Array; noise: number } {
  if (sigma === 0) return { heights: Float64Array.from(data), noise };
  const reach = Math.ceil(3 * sigma);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-(((i - reach) / sigma) ** 2) / 2));
  const total = kernel.reduce((a, b) => a + b, 0);
  const squares = kernel.reduce((a, b) => a + b * b, 0);
  const values = new Float64Array(rows * cols);
  const weights = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      for (let k = Math.max(-reach, -c); k <= Math.min(reach, cols - 1 - c); k++) {
        const z = data[r * cols + c + k]!;
        if (z - z !== 0) continue;
        values[r * cols + c]! += kernel[k + reach]! * z;
        weights[r * cols + c]! += kernel[k + reach]!;
      }
    }
  }
  const heights = new Float64Array(rows * cols).fill(NaN);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const at = r * cols + c;
      if (!Number.isFinite(data[at])) continue;
      let [sum, weight] = [0, 0];
      for (let k = Math.max(-reach, -r); k <= Math.min(reach, rows - 1 - r); k++) {
        sum += kernel[k + reach]! * values[at + k * cols]!;
        weight += kernel[k + reach]! * weights[at + k * cols]!;
      }
      heights[at] = sum / weight;
    }
  }
  return { heights, noise: (noise * squares) / total ** 2 };
} // prettier-ignore

/** Of each label its height above the ground summed over its pixels, and its smoothed summit. */
function measure(
  labels: Int32Array,
  count: number,
  data: Float32Array,
  heights: Float64Array,
  ground: number,
) {
  const volume = new Float64Array(count);
  const summit = new Float64Array(count).fill(-Infinity);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (label < 0) continue;
    volume[label]! += data[i]! - ground;
    if (heights[i]! > summit[label]!) summit[label] = heights[i]!;
  }
  return { volume, summit };
}

/** The labelled picture as runs and components, as tracks.ts takes them. */
function componentsOf(labels: Int32Array, mask: Uint8Array, count: number, rows: number, cols: number, runs: Runs, { first, end }: PixelSpans): { labelled: Labelled; cut: Uint8Array } {
  const components = Array.from({ length: count }, (): Component => ({
    pixels: 0, near: 0, sides: 0, x: 0, y: 0, z: 0,
    minX: Infinity, maxX: -1, minY: Infinity, maxY: -1, minZ: 0, maxZ: 0,
  }));
  const cut = new Uint8Array(count);
  const beyond = (x: number, y: number): boolean => y < 0 || y >= rows || x < first[y]! || x >= end[y]!;
  const of: number[] = [];
  const [x0, x1]: [number[], number[]] = [[], []];
  runs.start = new Int32Array(rows + 1);
  for (let y = 0; y < rows; y++) {
    for (let x = first[y]!; x < end[y]!; ) {
      const label = labels[y * cols + x]!;
      const from = x;
      while (x < end[y]! && labels[y * cols + x] === label) x++;
      if (label < 0) continue;
      x0.push(from);
      x1.push(x);
      of.push(label);
      const c = components[label]!;
      c.pixels += x - from;
      c.x += ((from + x - 1) * (x - from)) / 2;
      c.y += y * (x - from);
      c.minX = Math.min(c.minX, from);
      c.maxX = Math.max(c.maxX, x - 1);
      c.minY = Math.min(c.minY, y);
      c.maxY = y;
      if (beyond(from - 1, y) || beyond(x, y)) cut[label] = 1;
      if (from > 0) c.sides++;
      if (x < cols) c.sides++;
      for (let k = from; k < x; k++) {
        if (mask[y * cols + k] === NEAR) c.near++;
        if (beyond(k, y - 1) || beyond(k, y + 1)) cut[label] = 1;
        if (y > 0 && labels[(y - 1) * cols + k] !== label) c.sides++;
        if (y + 1 < rows && labels[(y + 1) * cols + k] !== label) c.sides++;
      }
    }
    runs.start[y + 1] = of.length;
  }
  runs.lines = rows;
  runs.x0 = Int32Array.from(x0);
  runs.x1 = Int32Array.from(x1);
  runs.near = new Int32Array(of.length);
  for (const c of components) {
    c.x /= c.pixels;
    c.y /= c.pixels;
  }
  return { labelled: { components, of: Int32Array.from(of) }, cut };
} // prettier-ignore

import {
  choice, code, defineOperator, image, integer, quantity, scalar, text, type Schema,
} from "../../runtime/index.ts"; // prettier-ignore
import { classify, withoutNear } from "./classify.ts";
import { addRuns, clearRuns, connect, noRuns, type Component } from "./connected-components.ts";
import { facesOf, spanning } from "./faces.ts";
import { fullCoverage_deg, gridOf } from "./grid.ts";
import { channelWidth } from "./passage.ts";
import { readShape, spansOf, type PixelSpans } from "./pixel-spans.ts";
import { boxOf, protrusions, readPlane } from "./protrusions.ts";
import {
  BUBBLES,
  EVENTS,
  OBJECTS,
  POROSITY,
  PROTRUSIONS,
  unknown,
  type Outputs,
  type Writers,
} from "./segment-columns.ts";
import { emptyHistogram, fillHistogram, METHODS, noiseOf, thresholdOf } from "./threshold.ts";
import { follow, type Tracks } from "./tracks.ts";
import { checkVariance, varianceSource } from "./variance.ts";

interface State {
  /** Of the thresholds that were found so far. */
  sum: number;
  count: number;
  nextId: number;
  /** By the slices of the volume that they are in. */
  tracks: Map<string, Tracks>;
  /** Of the last slice that was made from too few angles; it should grow. */
  coverage_deg: number;
  said: string[];
}

interface Saved {
  readonly state: Omit<State, "tracks"> & { tracks: [string, Tracks][] };
  readonly variances: [slice: number, image: Float32Array][];
}

/** One slice that can be segmented. */
interface Picture {
  readonly row: number;
  readonly slice: number;
  readonly data: Float32Array;
  readonly spans: PixelSpans;
  /** NaN where no pixel has a value. */
  readonly threshold: number;
}

/**
 * Segmentation of slices into two phases: porosity, bubbles and channels, protrusions.
 *
 *     phase      f < threshold (below: gas, pores) or f ≥ threshold (above: metal)
 *     fraction   ε = n / N,    ε_se² = (m/√π + s/12) / N²
 *
 *     f  attenuation coefficient          [1/px]   (row, col)
 *     N  pixels that have a value         within the slice's `radius` and the option `within`
 *     n  pixels in the phase              m  those within ± σ/2 of the threshold      σ  noise of a pixel [1/px]
 *     s  sides of pixels between the two classes, each with a pixel that both share
 *
 * m/√π is the variance of the count where the values near the threshold are spread evenly, with noise that is
 * independent from pixel to pixel. `fraction_low` and `fraction_high` move the threshold by `band` σ, which is
 * the wider band by far: what another choice of threshold would have given. σ comes from the port or column
 * `variance`, else from the width of the narrower class in the histogram, which a material that is not uniform widens.
 *
 * `threshold`, where it is not given, is the mean over the first `threshold_from` slices that show two classes, and is
 * held from then on, so that porosity does not follow its own threshold. A slice from less than `min_coverage` of
 * angles, or before any threshold is known, has a porosity of NaN and nothing else.
 *
 * A bubble is what hangs together: in one slice by 4 or 8 neighbours, in slices of neighbouring detector rows at the
 * same time by 6 or 26. It keeps its `id` from time to time as long as it overlaps itself; of two that merge the
 * larger goes on. One that joins two opposite faces (of `within` or the picture; of the first slice and the last) is a
 * channel. x is the column, y the row downwards, z the slice.
 *
 * Holds the runs of pixels of one volume, and from time to time of each volume those of at most `max_objects` bubbles.
 *
 * Reference: Otsu 1979; Kittler & Illingworth 1986; Pietsch et al., Sustain. Energy Fuels 2, 929 (2018), for the band.
 */
export const segment = defineOperator({
  name: "image/segment",
  doc: "Porosity with its error band, connected bubbles tracked over time, channels and protrusions, of slices",
  input: {
    slices: {
      data: image("1/{px}"),
      slice: code({ optional: true }),
      radius: scalar("{px}", { optional: true, doc: "pixels further from the axis of rotation do not count" }),
      coverage: scalar("deg", { optional: true }),
    },
    "*": {},
  },
  output: (inputs, config) => {
    checkVariance(inputs, "slices", "data");
    const [rows, cols] = inputs.slices.data.shape as [number | string, number | string];
    const within = config.within ? readShape("within", config.within, rows, cols) : undefined;
    const known = typeof rows === "number" && typeof cols === "number";
    if (config.plane) readPlane(config.plane, known ? boxOf(within, rows, cols) : undefined);
    return {
      porosity: POROSITY,
      bubbles: BUBBLES,
      objects: OBJECTS,
      events: EVENTS,
      ...(config.plane && { protrusions: PROTRUSIONS }),
      mask: {
        data: image("", { type: "u8", shape: [rows, cols], doc: "1 in the phase, 0 not, 255 not known" }),
        slice: code(),
      },
    } as Outputs;
  },
  provisional: ["mask"],
  config: {
    threshold: quantity("1/{px}", NaN, { doc: "default: found by `method`, then held" }),
    method: choice(METHODS, "otsu", { doc: "of finding it: otsu for classes of like size, minimum-error for a small beside a large one" }),
    threshold_from: integer(10, { min: 0, doc: "slices whose mean threshold is held; 0: each slice has its own" }),
    select: choice(["below", "above"], "below", { doc: "the phase looked for: below the threshold (gas, pores), or above (metal)" }),
    within: text("", { doc: 'where to look: "x0,y0,x1,y1" or "circle x,y,r" in px, x the column, y the row; default everywhere' }),
    radius: quantity("{px}", NaN, { min: 0, doc: "from the axis of rotation; default the slices' own column; .inf: all" }),
    min_coverage: quantity("deg", NaN, { min: 0, max: 360, doc: "slices made from less are not segmented; default 150 deg, in a fan beam 300 deg" }),
    band: quantity("1", 1, { min: 0, doc: "noise, in standard deviations of a pixel, that the threshold is moved by" }),
    connectivity: choice(["faces", "corners"], "faces", { doc: "4 and 6 neighbours, or 8 and 26" }),
    stacks: choice(["neighbours", "never"], "neighbours", { doc: "slices next to each other are one volume, or each is its own" }),
    min_size: integer(5, { min: 1, doc: "pixels; what is smaller is a speck" }),
    max_objects: integer(1000, { min: 1, doc: "bubbles that are tracked and given out, the largest; all are counted" }),
    channels: choice(["count", "width"], "count", { doc: "width: also how wide, which takes 0.1 s for a channel all over a slice of 1024 × 1024" }),
    plane: text("", { doc: 'protrusions from it: "y<400", "x>12", or the edge that they grow from: top, bottom, left, right' }),
    min_height: quantity("{px}", 3, { min: 1, doc: "of a protrusion" }),
  },
  start(config, { inputs }) {
    const { fields, metadata } = inputs.slices;
    const [rows, cols] = fields["data"]!.shape as [number, number];
    const within = config.within ? readShape("within", config.within, rows, cols) : undefined;
    const box = boxOf(within, rows, cols);
    const plane = config.plane ? readPlane(config.plane, box) : undefined;
    const above = config.select === "above";
    const stacked = "slice" in fields;
    const variances = varianceSource(inputs as Record<string, Schema>, "slices", "data", rows * cols);
    const { pixel_m2, voxel_m3, circle } = gridOf(metadata, rows, cols);
    const enough_deg = Number.isNaN(config.min_coverage) ? (5 / 6) * fullCoverage_deg(metadata) : config.min_coverage;

    let state: State = { sum: 0, count: 0, nextId: 0, tracks: new Map(), coverage_deg: -1, said: [] };
    const histogram = emptyHistogram();
    const runs = noRuns();
    const onPlane = noRuns();
    const spansBy = new Map<number, PixelSpans>();

    function spansAt(radius: number): PixelSpans {
      const r = Number.isNaN(config.radius) ? radius : config.radius;
      let spans = spansBy.get(r);
      if (!spans) {
        const round = r < Infinity ? circle(r) : undefined;
        const shapes = [...(within ? [within] : []), ...(round ? [round] : [])];
        spans = spansOf(rows, cols, shapes);
        if (spansBy.size >= 8) spansBy.clear();
        spansBy.set(r, spans);
      }
      return spans;
    }

    /** Threshold for the picture that the histogram is of. */
    function threshold(): number {
      if (!Number.isNaN(config.threshold)) return config.threshold;
      if (config.threshold_from > 0 && state.count >= config.threshold_from) return state.sum / state.count;
      const own = thresholdOf(histogram, config.method);
      if (config.threshold_from === 0) return own;
      if (!Number.isNaN(own)) {
        state.sum += own;
        state.count++;
      }
      return state.count > 0 ? state.sum / state.count : NaN;
    }
    const held = (): number =>
      !Number.isNaN(config.threshold) || (config.threshold_from > 0 && state.count >= config.threshold_from) ? 1 : 0;

    return {
      step(given, output) {
        const { slices } = given;
        const out = output as unknown as Writers;
        const variance = variances?.open(given);
        const once = (time: bigint, key: string, what: string): void => {
          if (state.said.includes(key)) return;
          state.said.push(key);
          out.fault(time, what);
        };

        /** Classes of a picture, its porosity and its protrusions; its runs are added to those of the volume. */
        function take(time: bigint, { row, slice, data, spans, threshold }: Picture): void {
          // A new one for each slice: it is handed over as the mask, without a copy.
          const fours = new Uint32Array(Math.ceil((rows * cols) / 4));
          const classes = new Uint8Array(fours.buffer, 0, rows * cols);
          const known = variance?.at(row, time, slice);
          const noise = known ? NaN : noiseOf(histogram, threshold);
          const n = classify(data, classes, { cols, spans, threshold, above, noise, variance: known, band: config.band });
          const se_px = Math.sqrt(n.near / Math.sqrt(Math.PI) + n.interface / 12);
          const used = known ? Math.sqrt(n.variance) : noise;
          out.porosity.add({
            time, slice, threshold, held: held(),
            fraction: n.phase / n.pixels, fraction_se: se_px / n.pixels,
            fraction_low: Math.min(n.lower, n.higher) / n.pixels, fraction_high: Math.max(n.lower, n.higher) / n.pixels,
            partial_volume: n.interface / 2 / n.pixels,
            area_px: n.phase, area: n.phase * pixel_m2, area_se: se_px * pixel_m2,
            interface: n.interface, pixels: n.pixels, missing: n.missing,
            noise: used, noise_of: known ? 1 : Number.isNaN(noise) ? 0 : 2,
          });
          addRuns(runs, classes, cols, spans);
          withoutNear(fours);
          if (plane) {
            const p = protrusions(data, classes, rows, cols, {
              plane, box, threshold, noise: used, minHeight: config.min_height, connectivity: config.connectivity, runs: onPlane,
            });
            out.protrusions!.add({
              time, slice, number: p.number, height: p.height, height_se: p.height_se, height_x: p.x, height_y: p.y,
              base_width: p.baseWidth, ratio: p.height / p.baseWidth, reach: p.reach, area_px: p.pixels, profile: p.profile,
            });
          }
          out.mask.put({ time: BigInt64Array.of(time), data: classes, slice: Int32Array.of(slice) });
        }

        /** Bubbles of slices that are next to each other, or of one. */
        function volume(time: bigint, seconds: number, pictures: readonly Picture[]): void {
          const labelled = connect(runs, rows, config.connectivity);
          const { components } = labelled;
          const from = pictures[0]!.slice;
          const faces = facesOf(pictures[0]!.spans, box, pictures.length);
          const spans = components.map((c) => spanning(c, faces));
          const widths = (index: number): number => {
            if (config.channels === "count" || !spans[index]) return NaN;
            const joined = AXES.filter((_, bit) => spans[index]! & (1 << bit));
            return Math.max(...joined.map((axis) => channelWidth(labelled, runs, rows, index, axis, config.connectivity)));
          };

          const key = `${from} to ${from + pictures.length - 1}`;
          const before = state.tracks.get(key);
          if (!before) forget(from, from + pictures.length - 1);
          const followed = follow(before, labelled, runs, {
            seconds, minSize: config.min_size, most: config.max_objects, newId: () => state.nextId++,
          });
          state.tracks.set(key, followed.state);
          let channel = NaN;
          for (const [index, track] of followed.trackOf) {
            const c = components[index]!;
            const channel_width = widths(index);
            if (channel_width > channel || Number.isNaN(channel)) channel = channel_width;
            if (c.pixels < config.min_size) continue;
            const last = followed.before.get(index);
            const se = error_px(c);
            out.objects.add({
              time, slice: from, id: track.id, x: c.x, y: c.y, z: from + c.z,
              volume_px: c.pixels, volume_px_se: se, volume: c.pixels * voxel_m3, volume_se: se * voxel_m3,
              dx: last ? c.x - last.x : NaN, dy: last ? c.y - last.y : NaN, dz: last ? c.z - last.z : NaN,
              age: seconds - track.since, spanning: spans[index]!, channel_width,
            });
          }
          for (const { event, track, other } of followed.events) {
            const { id, x, y, z, pixels } = track;
            out.events.add({ time, slice: from, id, event, other, x, y, z: from + z, volume_px: pixels });
          }

          let [number, pixels, squares, largest, all] = [0, 0, 0, -1, 0];
          const counts = [0, 0, 0];
          for (let i = 0; i < components.length; i++) {
            const c = components[i]!;
            all |= spans[i]!;
            for (let bit = 0; bit < 3; bit++) counts[bit]! += (spans[i]! >> bit) & 1;
            if (c.pixels < config.min_size) continue;
            number++;
            pixels += c.pixels;
            squares += error_px(c) ** 2;
            if (largest < 0 || c.pixels > components[largest]!.pixels) largest = i;
          }
          if (number > config.max_objects) {
            once(time, "many", `${number} bubbles of min_size ${config.min_size} px and more; the ${config.max_objects} largest are tracked and ` +
              "given out, all are counted; raise min_size, or max_objects");
          }
          const big = components[largest];
          out.bubbles.add({
            time, slice: from, slices: pictures.length, number, specks: components.length - number,
            volume_px: pixels, volume_px_se: Math.sqrt(squares), volume: pixels * voxel_m3, volume_se: Math.sqrt(squares) * voxel_m3,
            largest_px: big?.pixels ?? NaN, largest: (big?.pixels ?? NaN) * voxel_m3, largest_id: followed.trackOf.get(largest)?.id ?? -1,
            largest_x: big?.x ?? NaN, largest_y: big?.y ?? NaN, largest_z: big ? from + big.z : NaN,
            spanning: all,
            spanning_x: faces.x ? counts[0]! : NaN, spanning_y: faces.y ? counts[1]! : NaN, spanning_z: faces.z ? counts[2]! : NaN,
            channel_width: channel,
          });
        }

        for (let i = 0, end = 0; i < slices.length; i = end) {
          const { time, seconds } = slices.at(i);
          for (end = i + 1; stacked && end < slices.length && slices.time[end] === time; ) end++;
          const group = new Map<number, number>();
          for (let k = i; k < end; k++) {
            const slice = stacked ? slices.slice[k]! : 0;
            if (group.has(slice)) out.fault(time, `two pictures of slice ${slice} at one time; the later one counts`);
            group.set(slice, k);
          }
          const rowsOf = [...group].sort(([a], [b]) => a - b);
          let pictures: Picture[] = [];
          const close = (): void => {
            if (pictures.some((p) => !Number.isNaN(p.threshold))) volume(time, seconds, pictures);
            pictures = [];
            clearRuns(runs);
          };
          clearRuns(runs);
          for (const [slice, row] of rowsOf) {
            const { data, radius = Infinity, coverage = Infinity } = slices.at(row) as SliceRow;
            const spans = spansAt(Number.isNaN(radius) ? Infinity : radius);
            const last = pictures.at(-1);
            if (last && (config.stacks === "never" || slice !== last.slice + 1)) close();
            fillHistogram(histogram, data, cols, spans);
            const enough = coverage >= enough_deg;
            const limit = histogram.pixels > 0 && enough ? threshold() : NaN;
            if (histogram.pixels === 0) {
              out.fault(time, `slice ${slice} has no pixel with a value where it is looked at; see within and radius`);
              out.porosity.add(unknown(time, slice, 0));
              // Its neighbours stay one volume, with nothing known of this slice.
              addRuns(runs, new Uint8Array(rows * cols), cols, spans);
              pictures.push({ row, slice, data, spans, threshold: NaN });
              continue;
            }
            if (Number.isNaN(limit)) {
              if (enough) {
                once(time, "classes", `slice ${slice} does not show two classes of pixels (method ${config.method}), so there is no threshold ` +
                  "and no porosity until one does; give a threshold, or narrow within");
              } else if (slice === rowsOf[0]![0]) {
                if (coverage <= state.coverage_deg) {
                  once(time, "coverage", `slices are made from ${coverage.toFixed(1)} deg of angles, which does not grow, and are not segmented ` +
                    `below ${enough_deg} deg; set min_coverage, or give them a longer window`);
                }
                state.coverage_deg = coverage;
              }
              out.porosity.add(unknown(time, slice, NaN));
              close();
              continue;
            }
            const picture = { row, slice, data, spans, threshold: limit };
            pictures.push(picture);
            take(time, picture);
          }
          close();
        }
        variance?.close();
      },
      save: (): Saved => ({
        state: structuredClone({ ...state, tracks: [...state.tracks] }),
        variances: variances?.save() ?? [],
      }),
      load: (saved: Saved) => {
        state = { ...saved.state, tracks: new Map(saved.state.tracks) };
        variances?.load(saved.variances);
      },
    };

    /** Volumes that share slices with a new one are no more; their bubbles begin anew. */
    function forget(first: number, last: number): void {
      for (const key of state.tracks.keys()) {
        const [from, to] = key.split(" to ").map(Number) as [number, number];
        if (from <= last && to >= first) state.tracks.delete(key);
      }
    }
  },
}); // prettier-ignore

interface SliceRow {
  readonly data: Float32Array;
  readonly radius?: number;
  readonly coverage?: number;
}

const AXES = ["x", "y", "z"] as const;

/** Standard error of a component's pixels; the outer side of its edge is taken to be like the inner. */
const error_px = ({ near, sides }: Component): number =>
  Math.sqrt((2 * near) / Math.sqrt(Math.PI) + sides / 12);

import {
  code, defineOperator, flag, image, quantity, scalar, text, WiringError, type Field, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { BlockError } from "./block-error.ts";
import { BELOW_FLOOR, limitsOf, MEASURED, MISSING, noiseOf, REVERSED, SATURATED } from "./current-classes.ts";
import { carriedBeside, pixelsWithin, placeMistake } from "./frame-columns.ts";
import { LineValues, type SavedLineValues } from "./line-values.ts";
import { meanOf, medianOf, shareOf } from "./pixel-statistics.ts";

/**
 * Conductive AFM: from current and bias to resistance, conductance and conductivity, and statistics in decades.
 *
 *     R = V / (I - offset) - series_resistance        G = 1 / R        σ = G / (4 a)
 *
 *     I  current through the tip      [A]    V  bias of the line that the pixel lies in (option `bias`, or port `bias`)
 *     R  resistance of the sample     [Ohm]  a  contact radius [m]
 *     G  conductance                  [S]    σ  conductivity   [S/m]
 *
 * A pixel says one of these: measured; below the floor, so that nothing is known but that R is above V / floor;
 * saturated, the amplifier being at its limit; reversed, current against the bias beyond the floor; missing. Maps have
 * numbers where a pixel was measured, NaN elsewhere, and `state` says why. The floor is 3 × the noise, which is read
 * from the quietest tiles of the map (current-classes.ts): on a map that conducts all over give `floor`.
 *
 * Mean and median of the current count all but saturated pixels. `log_` are of log10 of the current along the bias in A:
 * the median and the spread count pixels below the floor as low and saturated ones as high, and are NaN where they fall
 * among them; the mean is over measured pixels alone. `share` is of pixels at or above `threshold` and above the floor, saturated ones
 * among them. Errors are by blocks (block-error.ts).
 *
 * σ holds for an ohmic contact on a half space of one material: a much smaller than the thickness and the grains, and much larger
 * than the mean free path (else Sharvin's resistance adds 4 ρ l / (3 π a²)). a is rarely known to 30 %, which all pixels
 * share: `conductivity_scale_se` is apart from the errors of the statistics. A tip in liquid also draws faradaic current.
 *
 * The bias is that of the line's end where the frames have `duration` and `slow_scan`, else that of the frame's end.
 *
 * Reference: Holm, Electric Contacts (1967), §3 and §4, for 1 / (4 a σ); Sharvin, Sov. Phys. JETP 21, 655 (1965).
 */
export const conductivity = defineOperator({
  name: "image/conductivity",
  doc: "Maps of resistance, conductance and conductivity from C-AFM currents, and their statistics in decades",
  input: {
    images: {
      data: image("A"),
      duration: scalar("s", { optional: true }),
      slow_scan: code({ optional: true }),
    },
    "*": {},
  },
  output: (inputs, { bias, bias_column, contact_radius, within }) => {
    const extra = Object.keys(inputs).find((port) => port !== "images" && port !== "bias");
    if (extra) throw new WiringError(`port ${extra} is not known; there are images and bias`);
    const port = (inputs as Record<string, Fields>)["bias"];
    if (port && !Number.isNaN(bias)) throw new WiringError("bias: is given as an option and as a port; leave one out");
    if (!port && Number.isNaN(bias)) throw new WiringError("bias: is not known; give the option bias, or a stream as port bias");
    const { data } = inputs.images;
    pixelsWithin("within", within, data.shape);
    if (port) checkBias(port, bias_column);
    const carried = Object.fromEntries(carriedBeside(inputs.images, OWN));
    const map = (unit: string, long_name: string): Fields => ({ ...carried, data: image(unit, { shape: data.shape ?? [], long_name }) });
    return {
      resistance: map("Ohm", "resistance"),
      conductance: map("S", "conductance"),
      ...(contact_radius > 0 && { conductivity: map("S/m", "conductivity") }),
      state: { ...carried, data: image("", { type: "u8", shape: data.shape ?? [], doc: "0 measured, 1 below the floor, 2 saturated, 3 reversed, 4 no more than the series resistance, 5 no bias, 255 missing" }) },
      statistics: { ...carried, ...STATISTICS, ...(contact_radius > 0 && CONDUCTIVITY) },
    } as Record<string, Fields>;
  },
  provisional: ["state"],
  config: {
    bias: quantity("V", NaN, { doc: "between tip and sample, of the sign that drives a positive current; default from the port bias" }),
    bias_column: text("bias", { doc: "of the port bias, such as voltage_volt" }),
    offset: quantity("A", 0, { doc: "of the amplifier: current at no bias" }),
    inverted: flag(false, { doc: "the instrument counts the current the other way round" }),
    series_resistance: quantity("Ohm", 0, { min: 0, doc: "of tip, amplifier and contacts" }),
    contact_radius: quantity("m", 0, { min: 0, doc: "of tip and sample, for the conductivity; default: none is given out" }),
    contact_radius_se: quantity("m", NaN, { min: 0, doc: "its standard error" }),
    floor: quantity("A", NaN, { min: 0, doc: "current that is not told from none; default 3 × the noise of the quietest tiles" }),
    saturation: quantity("A", NaN, { min: 0, doc: "limit of the amplifier; default where many pixels lie exactly on the extreme" }),
    threshold: quantity("A", NaN, { min: 0, doc: "from which a pixel conducts, for `share`; default the floor" }),
    within: text("", { check: placeMistake("within"), doc: "where the statistics look, in px; default everywhere" }),
  },
  start(config, { inputs }) {
    const { fields } = inputs.images as { fields: Fields };
    const field = fields["data"]!;
    const [rows, cols] = field.shape as [number, number];
    const spans = pixelsWithin("within", config.within, field.shape)!;
    const beside = carriedBeside(fields, OWN).map(([name]) => name);
    const biases = new LineValues();
    const [R, G, sigma] = [new Float32Array(rows * cols), new Float32Array(rows * cols), new Float32Array(rows * cols)];
    const state = new Uint8Array(rows * cols);
    const current = new Float64Array(rows * cols);
    let room = 0; // pixels within
    for (let r = 0; r < rows; r++) room += spans.end[r]! - spans.first[r]!;
    const error = new BlockError(rows, cols, room);
    let told = false;

    return {
      step(given, out) {
        // Which columns go along is known from the stream only, so the writers take what the schema names.
        const writers = out as unknown as Record<string, { add(row: object): void } | undefined>;
        const images = given.images as unknown as Rows<Fields>;
        const port = (given as unknown as Record<string, Rows<Fields> | undefined>)["bias"];
        const volts = port?.columns[config.bias_column] as Float64Array | undefined;
        let next = 0;
        const takeUntil = (time?: bigint): void => {
          for (; port && next < port.length && (time === undefined || port.time[next]! <= time); next++)
            biases.add(port.time[next]!, volts![next]!);
        };
        for (let i = 0; i < images.length; i++) {
          const row = images.at(i) as unknown as Frame;
          takeUntil(row.time);
          const lines = port ? biases.ofLines(rows, timingOf(row)) : new Float64Array(rows).fill(config.bias);
          if (biases.forgotten && !told) {
            out.fault(row.time, "the bias changes so often that its oldest values have no room; lines that were scanned then have none");
            told = true;
          }
          const sign = config.inverted ? -1 : 1;
          for (let k = 0; k < current.length; k++) current[k] = sign * row.data[k]! - config.offset;
          const noise = noiseOf(current, rows, cols);
          const floor = Number.isNaN(config.floor) ? 3 * noise : config.floor;
          const limits = Number.isNaN(config.saturation)
            ? limitsOf(current, floor || 0)
            : { low: -config.saturation - config.offset, high: config.saturation - config.offset };
          const counts = classify(current, lines, floor, limits);
          const passed = Object.fromEntries(beside.map((name) => [name, row[name]]));
          writers["resistance"]!.add({ ...passed, time: row.time, data: R });
          writers["conductance"]!.add({ ...passed, time: row.time, data: G });
          writers["conductivity"]?.add({ ...passed, time: row.time, data: sigma });
          writers["state"]!.add({ ...passed, time: row.time, data: state });
          writers["statistics"]!.add({ ...passed, time: row.time, ...statistics(lines, floor, noise, counts) });
        }
        takeUntil();
      },
      save: (): Saved => ({ biases: biases.save(), told }),
      load(saved: Saved) {
        biases.load(saved.biases);
        told = saved.told;
      },
    };

    /** Fills maps and states, and counts the latter where the statistics look. */
    function classify(I: Float64Array, lines: Float64Array, floor: number, { low, high }: { low: number; high: number }): Map<number, number> {
      const counts = new Map<number, number>();
      for (let r = 0, k = 0; r < rows; r++) {
        const V = lines[r]!;
        for (let c = 0; c < cols; c++, k++) {
          const along = V < 0 ? -I[k]! : I[k]!;
          const resistance = V / I[k]! - config.series_resistance;
          let s = MEASURED;
          if (I[k]! - I[k]! !== 0) s = MISSING;
          else if (I[k]! >= high || I[k]! <= low) s = SATURATED;
          else if (Number.isNaN(V) || V === 0) s = NO_BIAS;
          else if (along < -floor) s = REVERSED;
          else if (!(along > floor)) s = BELOW_FLOOR;
          else if (!(resistance > 0)) s = SHORTED;
          state[k] = s;
          R[k] = s === MEASURED ? resistance : NaN;
          G[k] = s === MEASURED ? 1 / resistance : NaN;
          sigma[k] = s === MEASURED ? 1 / resistance / (4 * config.contact_radius) : NaN;
          if (c >= spans.first[r]! && c < spans.end[r]!) counts.set(s, (counts.get(s) ?? 0) + 1);
        }
      }
      return counts;
    }

    function statistics(lines: Float64Array, floor: number, noise: number, counts: Map<number, number>): Record<string, number> {
      const count = (s: number): number => counts.get(s) ?? 0;
      const pixels = room - count(MISSING);
      const threshold = Number.isNaN(config.threshold) ? floor : config.threshold;
      /** Of the pixels where the statistics look, what a state and a pixel say; NaN where nothing. */
      const where = (of: (s: number, k: number, V: number) => number): Float64Array => {
        const values = new Float64Array(rows * cols).fill(NaN);
        for (let r = 0; r < rows; r++)
          for (let k = r * cols + spans.first[r]!; k < r * cols + spans.end[r]!; k++)
            if (state[k] !== MISSING) values[k] = of(state[k]!, k, lines[r]!);
        return values;
      };
      const along = (k: number, V: number): number => (V < 0 ? -current[k]! : current[k]!);
      const signed = where((s, k) => (s === SATURATED ? NaN : current[k]!));
      const { mean, mean_se } = meanOf(signed, error);
      const { median, median_se } = medianOf(signed, error);
      const conducting = where((s, k, V) => {
        const I = Number.isNaN(V) ? Math.abs(current[k]!) : along(k, V);
        return s === SATURATED || (I > floor && I >= threshold) ? 1 : 0;
      });
      const { share, share_se } = shareOf(rows * cols, (k) => (Number.isNaN(conducting[k]) ? undefined : conducting[k] === 1), error);
      const decades = where((s, k, V) =>
        s === BELOW_FLOOR ? -Infinity : s === SATURATED ? Infinity : s === REVERSED || s === NO_BIAS ? NaN : Math.log10(along(k, V)));
      const log = medianOf(decades, error);
      const logs = meanOf(decades.map((v) => (Number.isFinite(v) ? v : NaN)), error);
      // A sample's resistance may be any number above what the floor allows.
      const siemens = where((s, k) => (s === BELOW_FLOOR ? -Infinity : s === SATURATED || s === SHORTED ? Infinity : s === MEASURED ? G[k]! : NaN));
      const conductance = medianOf(siemens, error);
      const known = lines.filter((V) => !Number.isNaN(V));
      const a = config.contact_radius;
      return {
        bias: known.reduce((sum, V) => sum + V, 0) / known.length,
        bias_range: known.length === 0 ? NaN : Math.max(...known) - Math.min(...known),
        mean, mean_se, median, median_se,
        share: 100 * share, share_se: 100 * share_se,
        log_median: log.median, log_median_se: log.median_se, log_spread: log.spread,
        log_mean: logs.mean, log_mean_se: logs.mean_se, log_sd: logs.sd,
        conductance_median: conductance.median, conductance_median_se: conductance.median_se,
        conductivity_median: conductance.median / (4 * a), conductivity_median_se: conductance.median_se / (4 * a),
        conductivity_scale_se: ((conductance.median / (4 * a)) * config.contact_radius_se) / a,
        noise, floor, pixels, missing: count(MISSING), below_floor: count(BELOW_FLOOR), saturated: count(SATURATED),
        reversed: count(REVERSED), shorted: count(SHORTED),
        reason: pixels === 0 ? NO_VALUES : Number.isNaN(floor) ? NO_FLOOR : known.every((V) => V === 0) ? WITHOUT_BIAS : FINE,
      };
    }
  },
}); // prettier-ignore

interface Frame {
  readonly time: bigint;
  readonly data: Float32Array;
  readonly duration?: number;
  readonly slow_scan?: number;
  readonly [column: string]: unknown;
}

interface Saved {
  readonly biases: SavedLineValues;
  readonly told: boolean;
}

const SHORTED = 4, NO_BIAS = 5; // prettier-ignore
const FINE = 0, NO_VALUES = 1, WITHOUT_BIAS = 2, NO_FLOOR = 3; // prettier-ignore

const STATISTICS = {
  bias: scalar("V", { doc: "mean over the lines" }),
  bias_range: scalar("V", { doc: "by which it changed while the frame was scanned" }),
  mean: scalar("A", { uncertainty: "mean_se", doc: "without saturated pixels, so a lower limit where there are any" }),
  mean_se: scalar("A"),
  median: scalar("A", { uncertainty: "median_se" }),
  median_se: scalar("A"),
  share: scalar("%", { uncertainty: "share_se", doc: "of the pixels that conduct: at or above the threshold" }),
  share_se: scalar("%"),
  log_median: scalar("1", { uncertainty: "log_median_se", doc: "log10 of the current in A; NaN where over half lies below the floor" }),
  log_median_se: scalar("1"),
  log_spread: scalar("1", { doc: "decades, half of those between 16 and 84 %" }),
  log_mean: scalar("1", { uncertainty: "log_mean_se", doc: "of the pixels above the floor alone" }),
  log_mean_se: scalar("1"),
  log_sd: scalar("1", { doc: "decades, of the pixels above the floor alone" }),
  conductance_median: scalar("S", { uncertainty: "conductance_median_se" }),
  conductance_median_se: scalar("S"),
  noise: scalar("A", { doc: "of a pixel, from the quietest tiles" }),
  floor: scalar("A", { doc: "that was used" }),
  pixels: scalar("{px}", { doc: "that have a value" }),
  missing: scalar("{px}"),
  below_floor: scalar("{px}"),
  saturated: scalar("{px}"),
  reversed: scalar("{px}", { doc: "current against the bias" }),
  shorted: scalar("{px}", { doc: "no more than the series resistance" }),
  reason: code({ codes: { [FINE]: "fine", [NO_VALUES]: "no pixel has a value", [WITHOUT_BIAS]: "no bias", [NO_FLOOR]: "noise cannot be read from the map; give floor" } }),
} satisfies Fields; // prettier-ignore
const CONDUCTIVITY = {
  conductivity_median: scalar("S/m", { uncertainty: "conductivity_median_se" }),
  conductivity_median_se: scalar("S/m"),
  conductivity_scale_se: scalar("S/m", { doc: "from the contact radius, which all frames share" }),
} satisfies Fields;
const OWN = [...Object.keys(STATISTICS), ...Object.keys(CONDUCTIVITY)];

function checkBias(fields: Fields, name: string): void {
  const field: Field | undefined = fields[name];
  if (field?.kind === "scalar" && field.unit === "V" && field.type !== "i64") return;
  throw new WiringError(
    `bias_column: bias needs a column ${name} [V]; it has ${Object.keys(fields).join(", ") || "no columns"}`,
  );
}

function timingOf({ time, duration, slow_scan }: Frame): {
  time: bigint;
  duration_s: number;
  up: boolean | undefined;
} {
  return { time, duration_s: duration ?? NaN, up: slow_scan === 0 ? true : slow_scan === 1 ? false : undefined };
} // prettier-ignore

import {
  code, defineOperator, integer, list, parseQuantity, quantity, scalar, WiringError, type Schema,
} from "../../runtime/index.ts"; // prettier-ignore
import type { Shape } from "../image/pixel-spans.ts";

/**
 * Rolling estimate of a modulus: median and weighted mean of the rows in a window of event time.
 *
 *     M      median of E_i
 *     MAD    median of |E_i - M|;  1.4826 MAD is the standard deviation of a normal spread
 *     M_se   √(π/2) · 1.4826 MAD / √n
 *     mean   Σ w_i E_i / Σ w_i,  w_i = 1 / (se_i² + τ²)
 *     mean_se  1 / √(Σ w_i)
 *     τ²     max(0, (χ² - (n - 1)) / (Σ v_i - Σ v_i² / Σ v_i)),  v_i = 1 / se_i²,  χ² = Σ v_i (E_i - Σ v_i E_i / Σ v_i)²
 *
 *     E_i    modulus [Pa] of the curves with t - window ≤ time < t, se_i its standard error [Pa]
 *     t      whole multiples of `every` since the run's origin; the time of the row
 *
 * τ is what the curves differ by beyond their own noise: on a real surface most of it. Without it soft curves, whose
 * standard errors are small, would count for all. Rows with NaN are not counted; rows without a standard error count for the median alone.
 * A row is given where a curve came since the row before it: no new curve, no new estimate.
 *
 * With `regions`, each is a window of its own: of the curves whose x, y lie in it. These are places of the scanner, or, after
 * drift/coordinates, of the sample; only then does a region stay on its material.
 *
 * What all curves share (spring constant, sensitivity, tip radius) no average reduces: `mean_scale_se` is the weighted
 * mean of the rows' `modulus_scale_se`, apart from mean_se.
 *
 * Reference: DerSimonian & Laird, Control. Clin. Trials 7, 177 (1986), eq. 8; Rousseeuw & Croux, J. Am. Stat. Assoc. 88, 1273 (1993).
 */
export interface RollingEstimate {
  median: number;
  mad: number;
  median_se: number;
  mean: number;
  mean_se: number;
  mean_scale_se: number;
}

/** `values` are put in order in place; values and errors need not stay in step after it. */
export function rollingEstimate(
  values: Float64Array,
  errors: Float64Array,
  scales?: Float64Array,
): RollingEstimate {
  const n = values.length;
  const own = weighted(values, errors, 0);
  const beyond =
    own.count > 1 ? Math.max(0, (own.chi - (own.count - 1)) / (own.weight - own.squares / own.weight)) : 0;
  const { mean, weight, count } = weighted(values, errors, beyond);
  const mean_scale_se = scales ? weighted(scales, errors, beyond).mean : NaN;
  const median = medianOf(values);
  const mad = medianOf(values.map((value) => Math.abs(value - median)));
  return {
    median,
    mad,
    // One value says nothing of its spread.
    median_se: n > 1 ? (Math.sqrt(Math.PI / 2) * 1.4826 * mad) / Math.sqrt(n) : NaN,
    mean,
    mean_se: count > 0 ? 1 / Math.sqrt(weight) : NaN,
    mean_scale_se,
  };
}

/** Mean with weights 1 / (se² + variance) of the values that have a standard error, and the sums it is made of. */
function weighted(values: Float64Array, errors: Float64Array, variance: number) {
  let [weight, squares, sum, count, chi] = [0, 0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if (!(errors[i]! > 0)) continue;
    const w = 1 / (errors[i]! ** 2 + variance);
    weight += w;
    squares += w * w;
    sum += w * values[i]!;
    count++;
  }
  const mean = count > 0 ? sum / weight : NaN;
  for (let i = 0; i < values.length; i++)
    if (errors[i]! > 0) chi += (values[i]! - mean) ** 2 / (errors[i]! ** 2 + variance);
  return { mean, weight, squares, count, chi };
}

/** Sorts in place. */
function medianOf(values: Float64Array): number {
  values.sort();
  const n = values.length;
  return n === 0 ? NaN : (values[(n - 1) >> 1]! + values[n >> 1]!) / 2;
}

/** The curves in a window, oldest first, in arrays that grow up to `most`. */
class Window {
  #columns = [
    new Float64Array(64),
    new Float64Array(64),
    new Float64Array(64),
    new Float64Array(64),
  ] as const;
  #first = 0; // rows first … end of the columns are in the window
  #end = 0;
  /** A curve came since the last row was given. */
  fresh = false;
  /** Curves that had no room since then. */
  dropped = 0;

  get count(): number {
    return this.#end - this.#first;
  }

  /** Seconds, modulus, its standard error and its scale's, of each curve. */
  get rows(): readonly [Float64Array, Float64Array, Float64Array, Float64Array] {
    const part = (column: Float64Array): Float64Array => column.subarray(this.#first, this.#end);
    const [seconds, modulus, se, scale] = this.#columns;
    return [part(seconds), part(modulus), part(se), part(scale)];
  }

  forget(before: number): void {
    while (this.#first < this.#end && this.#columns[0][this.#first]! < before) this.#first++;
  }

  add(row: readonly [number, number, number, number], most: number): void {
    if (this.count === most) {
      this.#first++;
      this.dropped++;
    }
    if (this.#end === this.#columns[0].length) {
      const held = this.count;
      const moved = (from: Float64Array): Float64Array<ArrayBuffer> => {
        const to = new Float64Array(Math.max(64, 2 * held));
        to.set(from.subarray(this.#first, this.#end));
        return to;
      };
      const [a, b, c, d] = this.#columns;
      this.#columns = [moved(a), moved(b), moved(c), moved(d)];
      [this.#first, this.#end] = [0, held];
    }
    for (const [i, value] of row.entries()) this.#columns[i]![this.#end] = value;
    this.#end++;
    this.fresh = true;
  }

  save(): SavedWindow {
    return { rows: this.rows.map((column) => column.slice()), fresh: this.fresh, dropped: this.dropped };
  }

  load({ rows, fresh, dropped }: SavedWindow): void {
    const [a, b, c, d] = rows.map((column) => column.slice()) as [Column, Column, Column, Column];
    this.#columns = [a, b, c, d];
    [this.#first, this.#end] = [0, a.length];
    this.fresh = fresh;
    this.dropped = dropped;
  }
}

type Column = Float64Array<ArrayBuffer>;
interface SavedWindow {
  readonly rows: readonly Float64Array[];
  readonly fresh: boolean;
  readonly dropped: number;
}
interface Saved {
  /** Number of the pane under way; where none is, -1. */
  readonly pane: number;
  readonly windows: readonly SavedWindow[];
}

/** A place in metres; undefined for everywhere. */
type Region = Shape | undefined;

/** "0.1,0.2,0.3,0.4 um" or "circle 1.2,0.8,0.1 um". */
function regionOf(text: string): Region {
  const [, round, numbers, unit] = /^\s*(circle\s)?(.*\d)\s*([a-z]+)\s*$/i.exec(text) ?? [];
  const scale = metresPer(unit ?? "");
  const values = (numbers ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part) * scale));
  if (values.length !== (round ? 3 : 4) || !values.every(Number.isFinite))
    throw new WiringError(`regions: "${text}" is not a place; wanted "x0,y0,x1,y1 um" or "circle x,y,r um"`);
  const [a, b, c, d] = values as [number, number, number, number];
  if (round ? !(c > 0) : !(c > a && d > b))
    throw new WiringError(`regions: "${text}" is empty${round ? "" : "; x1 and y1 are above x0 and y0"}`);
  return round ? { kind: "circle", x: a, y: b, r: c } : { kind: "rectangle", x0: a, y0: b, x1: c, y1: d };
}

/** NaN of what is no length. */
function metresPer(unit: string): number {
  try {
    return parseQuantity(`1 ${unit}`, "m");
  } catch {
    return NaN;
  }
}

const holds = (region: Region, x: number, y: number): boolean =>
  region === undefined ||
  (region.kind === "circle"
    ? (x - region.x) ** 2 + (y - region.y) ** 2 <= region.r ** 2
    : x >= region.x0 && x < region.x1 && y >= region.y0 && y < region.y1);

export const rolling = defineOperator({
  name: "mechanics/rolling",
  doc: "Median and weighted mean of the modulus over a window of time, given at whole multiples of `every`, also by region.",
  input: {
    modulus: {
      modulus: scalar("Pa"),
      modulus_se: scalar("Pa"),
      modulus_scale_se: scalar("Pa", { optional: true }),
      x: scalar("m", { optional: true }),
      y: scalar("m", { optional: true }),
    },
  },
  output: ({ modulus }, { regions }) => {
    const read = regions.map(regionOf);
    if (read.length > 0 && !("x" in modulus && "y" in modulus))
      throw new WiringError("regions need curves that say where they are: columns x and y");
    return {
      rolling: {
        ...(regions.length > 0 && { region: code({ codes: Object.fromEntries(regions.map((name, i) => [i, name])) }) }),
        median: scalar("Pa", { uncertainty: "median_se" }),
        median_se: scalar("Pa"),
        mad: scalar("Pa", { doc: "median absolute deviation from the median" }),
        mean: scalar("Pa", {
          uncertainty: "mean_se",
          doc: "weighted by 1 / (modulus_se² + the variance that the curves have beyond it)",
        }),
        mean_se: scalar("Pa"),
        mean_scale_se: scalar("Pa", { doc: "of what all curves share, from modulus_scale_se; NaN where it is not known" }),
        count: scalar("1", { doc: "curves with a modulus in the window" }),
      },
    };
  },
  metadata: ({ modulus }, { window, every }) => ({
    rolling: {
      ...modulus?.metadata,
      window: `${window} s`,
      every: `${every} s`,
    } satisfies Schema["metadata"],
  }),
  config: {
    window: quantity("s", 60, { min: 1e-6, doc: "length of time that each estimate looks back on" }),
    every: quantity("s", 10, { min: 1e-6, doc: "time between estimates" }),
    regions: list<string>([], {
      doc: 'places that have a window each: "x0,y0,x1,y1 um" or "circle x,y,r um"; default: everywhere, as one',
    }),
    max_rows: integer(100_000, {
      min: 1,
      doc: "curves that a window holds at most; of more, the newest count and a fault says so",
    }),
  },
  start({ window, every, regions, max_rows }, { timeAt }) {
    const places: readonly Region[] = regions.length > 0 ? regions.map(regionOf) : [undefined];
    const windows = places.map(() => new Window());
    let pane = -1;

    /** Pane k ends at (k + 1) × every, by the very product that the output is timed with. */
    const paneOf = (seconds: number): number => {
      let k = Math.floor(seconds / every);
      while (seconds >= (k + 1) * every) k++;
      while (seconds < k * every) k--;
      return k;
    };

    return {
      step({ modulus: rows }, out, upTo) {
        // Whether there is a region column is known from the options only, so the writer takes what the schema names.
        const writer = out.rolling as { add(row: object): void };
        const give = (): void => {
          const t = (pane + 1) * every;
          pane = -1;
          for (const [region, held] of windows.entries()) {
            held.forget(t - window);
            if (held.dropped > 0) {
              const where = regions.length > 0 ? ` of region ${regions[region]}` : "";
              out.fault(t, `${held.dropped} curves${where} had no room in a window of ${window} s; the newest ${max_rows} count (max_rows)`);
            }
            held.dropped = 0;
            if (!held.fresh || held.count === 0) continue; // 0 only where the window is shorter than `every`
            held.fresh = false;
            const [, modulus, se, scale] = held.rows;
            // Of the same weights as the mean, so before the values are put in order.
            const estimate = rollingEstimate(modulus.slice(), se, scale);
            writer.add({ time: timeAt(t), ...(regions.length > 0 && { region }), ...estimate, count: held.count });
          }
        };
        for (let i = 0; i < rows.length; i++) {
          const E = rows.modulus[i]!;
          if (!Number.isFinite(E)) continue;
          const seconds = rows.seconds[i]!;
          const next = paneOf(seconds);
          if (pane >= 0 && next > pane) give();
          const row = [seconds, E, rows.modulus_se[i]!, rows.modulus_scale_se?.[i] ?? NaN] as const;
          for (const [region, place] of places.entries()) {
            if (place && !holds(place, rows.x![i]!, rows.y![i]!)) continue;
            pane = next;
            windows[region]!.forget((next + 1) * every - window);
            windows[region]!.add(row, max_rows);
          }
        }
        if (pane >= 0 && (pane + 1) * every <= upTo) give();
      },
      save: (): Saved => ({ pane, windows: windows.map((held) => held.save()) }),
      load(saved: Saved) {
        pane = saved.pane;
        for (const [i, held] of windows.entries()) held.load(saved.windows[i]!);
      },
    };
  },
}); // prettier-ignore

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { rampFilter } from "../../../operators/tomography/ramp-filter.ts";
import { rowVariance, throughRamp } from "../../../operators/tomography/row-variance.ts";
import { variance } from "../../../operators/tomography/variance.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project } from "./phantom.ts";
import { random } from "./random.ts";

const SECOND = 1_000_000_000n;
const FLUX = 5000;
const steps = (n: number, step: number, from = 0): number[] =>
  Array.from({ length: n }, (_, k) => from + k * step);

/** Photons counted behind the phantom; without a seed those expected. `fan`: distance of the source [px]. */
function scan(angles: readonly number[], cols: number, { axis = (cols - 1) / 2, seed = NaN, flux = FLUX, fan = Infinity } = {}) {
  const { poisson } = random(seed);
  const data = new Float32Array(angles.length * cols);
  angles.forEach((angle, k) => {
    const p = fan === Infinity ? project(cell(cols), angle, cols, axis) : fanProject(cols, angle, axis, fan);
    p.forEach((one, c) => {
      const expected = flux * Math.exp(-one);
      data[k * cols + c] = (Number.isNaN(seed) ? expected : poisson(expected)) / flux;
    });
  });
  return {
    projections: {
      time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(angles),
    },
    flux: { time: BigInt64Array.of(0n), data: new Float32Array(cols).fill(flux) },
  };
} // prettier-ignore

/** A disc off the middle, by chords. */
function fanProject(cols: number, angle_deg: number, axis: number, distance: number): Float64Array {
  const theta = (angle_deg * Math.PI) / 180;
  const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
  const source = [distance * sin, -distance * cos] as const;
  return Float64Array.from({ length: cols }, (_, c) => {
    const on = [(c - axis) * cos, (c - axis) * sin] as const;
    const [dx, dy] = [on[0] - source[0], on[1] - source[1]];
    const off = Math.abs(dx * (source[1] - 4) - dy * (source[0] - 6)) / Math.hypot(dx, dy);
    return off < 0.7 * (cols / 2) ? (2 * Math.sqrt((0.35 * cols) ** 2 - off * off) * 1.5) / cols : 0;
  });
}

type Scan = ReturnType<typeof scan>;
const shapes = (cols: number) => ({
  projections: { ...variance.input.projections, data: image("1", { shape: [1, cols] }) },
  flux: { data: image("{count}", { shape: [1, cols] }) },
});
const errors = (
  taken: Scan,
  cols: number,
  options: Record<string, unknown> = {},
  how: Record<string, unknown> = {},
) => feed(variance, taken as never, { schema: shapes(cols), with: { every: 1000, ...options }, ...how });
const sliceOf = ({ projections }: Scan, cols: number, options: Record<string, unknown> = {}, metadata = {}): Float32Array => {
  const schema = { projections: shapes(cols).projections };
  const { slices } = feed(incremental, { projections }, { schema, with: { every: 1000, ...options }, metadata: { projections: metadata } });
  return slices.data.slice(-cols * cols);
}; // prettier-ignore
const lastOf = (column: Float32Array | Float64Array, n: number): number[] => [...column.slice(-n)];

describe("what is predicted against noise draws of a scan", () => {
  const cols = 64;
  const regions = ["13,19,6", "-20,-15,-10,-5", "0,0,25"];
  const inside: Record<string, (x: number, y: number) => boolean> = {
    "13,19,6": (x, y) => Math.hypot(x - 13, y - 19) <= 6,
    "-20,-15,-10,-5": (x, y) => x >= -20 && x <= -10 && y >= -15 && y <= -5,
    "0,0,25": (x, y) => Math.hypot(x, y) <= 25,
  };

  test.each([
    ["a half-turn, Shepp-Logan, axis between columns", steps(90, 2), { axis: 31.2 }, {}, 240],
    [
      "Hann, uneven views, two half-turns",
      steps(120, 3).map((a, i) => a + 0.8 * Math.sin(i * i)),
      { filter: "hann", axis: 31.5 },
      {},
      60,
    ],
    [
      "a fan beam",
      steps(120, 3),
      { axis: 31.5, window: "360 deg" },
      { geometry: "fan", source_distance: "300", sample_pixel_size_x: "1" },
      60,
    ],
  ])(
    "%s",
    (name, angles, options, metadata, draws) => {
      const fan = "geometry" in metadata ? 300 : Infinity;
      const make = (seed: number) => scan(angles, cols, { axis: options.axis, seed, fan });
      const how = { metadata: { projections: metadata } };
      const truth = sliceOf(make(NaN), cols, options, metadata);
      const sum = new Float64Array(cols * cols);
      const square = new Float64Array(cols * cols);
      const means = regions.map((): number[] => []);
      let predicted: { se: number[]; error: Float32Array } | undefined;
      let [within, all] = [0, 0];
      for (let seed = 0; seed < draws; seed++) {
        const taken = make(seed);
        const f = sliceOf(taken, cols, options, metadata);
        const fed = errors(taken, cols, { ...options, regions, pitch: 1 }, how);
        expect(fed.faults).toEqual([]);
        const [mean, se] = [lastOf(fed.regions.mean, 3), lastOf(fed.regions.mean_se, 3)];
        const error = fed.error.data.slice(-cols * cols) as Float32Array;
        predicted ??= { se, error };
        for (let i = 0; i < f.length; i++) {
          sum[i]! += f[i]!;
          square[i]! += f[i]! ** 2;
          if (Math.hypot((i % cols) - 31.5, Math.floor(i / cols) - 31.5) > 28) continue;
          all++;
          if (Math.abs(f[i]! - truth[i]!) < error[i]!) within++;
        }
        regions.forEach((region, r) => {
          means[r]!.push(mean[r]!);
          if (seed > 0) return;
          // the mean is that of the slice's own pixels
          let [total, n] = [0, 0];
          f.forEach((value, i) => {
            if (!inside[region]!((i % cols) - 31.5, 31.5 - Math.floor(i / cols))) return;
            total += value;
            n++;
          });
          expect(fed.regions.pixels.at(-3 + r)).toBe(n);
          expect(mean[r]! / (total / n)).toBeCloseTo(1, 4);
        });
      }
      // bulk pixels: scatter of one is known to 1 / √(2 draws), 4.6 % of 240, so means over them are compared, in rings
      for (const [from, to] of [[3, 12], [12, 20], [20, 28]] as const) {
      let [seen, said] = [0, 0];
      for (let i = 0; i < sum.length; i++) {
        const r = Math.hypot((i % cols) - 31.5, Math.floor(i / cols) - 31.5);
        if (r < from || r >= to) continue;
        seen += square[i]! / draws - (sum[i]! / draws) ** 2;
        said += predicted!.error[i]! ** 2;
      }
      expect(Math.abs(Math.sqrt(said / seen) - 1), `${name}, ${from} to ${to} px`).toBeLessThan(0.05);
    } // prettier-ignore
      expect(within / all).toBeGreaterThan(0.64);
      expect(within / all).toBeLessThan(0.72);
      means.forEach((list, r) => {
        const mean = list.reduce((a, b) => a + b) / draws;
        const scatter = Math.sqrt(list.reduce((s, x) => s + (x - mean) ** 2, 0) / (draws - 1));
        const known = 1 / Math.sqrt(2 * draws);
        expect(Math.abs(predicted!.se[r]! / scatter - 1), regions[r]).toBeLessThan(3 * known);
        const share = list.filter((x) => Math.abs(x - mean) < predicted!.se[r]!).length / draws;
        expect(Math.abs(share - 0.683)).toBeLessThan(3 * Math.sqrt(0.22 / draws));
      });
    },
    60_000,
  );
});

describe("the variance of a filtered row", () => {
  test.each(["ram-lak", "hann"] as const)(
    "%s: sums over squares, written out, on average between two samples",
    (window) => {
      const cols = 40;
      const h = (n: number): number => {
        const one = new Float64Array(2 * cols + 1);
        one[cols] = 1;
        return rampFilter(2 * cols + 1, window, "zero")(one)[0][cols + n]!;
      };
      const { uniform } = random(3);
      const v = Float64Array.from({ length: cols }, () => 0.5 + uniform());
      const taps = Float64Array.from({ length: 2 * cols + 1 }, (_, i) => h(i - cols));
      const at = (i: number, f: number): number =>
        v.reduce(
          (sum, one, s) =>
            sum + ((1 - f) * taps[i - s + cols]! + f * (taps[i + 1 - s + cols] ?? 0)) ** 2 * one,
          0,
        );
      // mean over f by Simpson's rule, exact for a parabola; a column has a half on either side
      const mean = (i: number): number => (at(i, 0) + 4 * at(i, 0.5) + at(i, 1)) / 6;
      const found = rowVariance(cols, window, 1)(v);
      for (let i = 1; i < cols - 1; i++) expect(found[i]! / ((mean(i) + mean(i - 1)) / 2)).toBeCloseTo(1, 3);
    },
  );

  test("over white noise it is that of the ramp: 2/3 of 1/12 less a third of 1 / 2π²", () => {
    const found = rowVariance(512, "ram-lak", 1)(new Float64Array(512).fill(1));
    expect(found[256]! / ((2 / 12 - 1 / (2 * Math.PI ** 2)) / 3)).toBeCloseTo(1, 4);
  });

  test.each(["zero", "edge"] as const)("weights through the ramp are its adjoint, padding %s", (padding) => {
    const { uniform } = random(4);
    const rowOf = (): Float64Array => Float64Array.from({ length: 37 }, uniform);
    const [a, p] = [rowOf(), rowOf()];
    const dot = (x: ArrayLike<number>, y: Float64Array): number =>
      y.reduce((sum, one, i) => sum + one * x[i]!, 0);
    const filtered = rampFilter(37, "shepp-logan", padding)(p)[0].slice();
    expect(dot(throughRamp(37, "shepp-logan", padding)(a), p)).toBeCloseTo(dot(filtered, a), 12);
  });
});

describe("views that come and go", () => {
  const cols = 48;
  test("after many half-turns it is as if made from the window alone; means are those of the slice", () => {
    const taken = scan(steps(60 * 9 + 17, 3), cols, { axis: 22.6, seed: 1 });
    const options = { axis: 22.6, regions: ["0,0,10"], window: "180 deg" };
    const live = errors(taken, cols, options);
    const from = taken.projections.time.length - 60;
    const tail = {
      projections: {
        time: taken.projections.time.slice(from), data: taken.projections.data.slice(from * cols),
        rotation_angle: taken.projections.rotation_angle.slice(from),
      },
      flux: { ...taken.flux, time: BigInt64Array.of(taken.projections.time[from]!) },
    }; // prettier-ignore
    const fresh = errors(tail, cols, options);
    const [one, other] = [live.error.data.slice(-144), fresh.error.data.slice(-144)];
    for (let i = 0; i < 144; i++) expect(one[i]! / other[i]!).toBeCloseTo(1, 5);
    expect(live.regions.mean.at(-1) / fresh.regions.mean.at(-1)).toBeCloseTo(1, 9);
    expect(live.regions.mean_se.at(-1) / fresh.regions.mean_se.at(-1)).toBeCloseTo(1, 9);
  });

  test("half the angles: a larger error, and it says how much is covered", () => {
    const taken = scan(steps(30, 3), cols);
    const fed = errors(taken, cols, { regions: ["0,0,10"] });
    expect(fed.error.coverage.at(-1)).toBe(87);
    const whole = errors(scan(steps(60, 3), cols), cols);
    const middle = 6 * 12 + 6;
    expect(fed.error.data.slice(-144)[middle] / whole.error.data.slice(-144)[middle]).toBeCloseTo(
      Math.SQRT2,
      0,
    );
  });

  test.each([
    ["a window of views", { window: "40 views" }],
    ["a tapered window", { taper: "20 deg" }],
  ])("the mean is the slice's in %s", (_, options) => {
    const taken = scan(steps(100, 3), cols, { seed: 5 });
    const f = sliceOf(taken, cols, options);
    const fed = errors(taken, cols, { ...options, regions: ["-5,-5,5,5"] });
    let [sum, n] = [0, 0];
    f.forEach((value, i) => {
      if (Math.abs((i % cols) - 23.5) > 5 || Math.abs(Math.floor(i / cols) - 23.5) > 5) return;
      sum += value;
      n++;
    });
    expect(fed.regions.mean.at(-1) / (sum / n)).toBeCloseTo(1, 4);
  });

  test("four times the photons: half the error", () => {
    const [one, four] = [FLUX, 4 * FLUX].map((flux) =>
      errors(scan(steps(60, 3), cols, { flux }), cols).error.data.at(-70),
    );
    expect(one / four).toBeCloseTo(2, 5);
    const counts = errors(scan(steps(60, 3), cols), cols, { photons_per_count: 4 }).error.data.at(-70);
    expect(one / counts).toBeCloseTo(2, 5);
    expect(errors(scan(steps(60, 3), cols), cols, { read_noise: 50 }).error.data.at(-70)).toBeGreaterThan(
      one,
    );
  });
});

describe("the stream", () => {
  const cols = 32;
  const taken = scan(steps(90, 3), cols, { seed: 2 });
  const options = { every: 7, regions: ["3,4,5", "-6,-6,0,0"], slices: [0] };
  const whole = errors(taken, cols, options);

  test("cut anywhere, saved and loaded: the same bits", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5 }), (rows, after) => {
        expect(errors(taken, cols, options, { rows, reloadAfter: [after] })).toEqual(whole);
      }),
      { seed: 1, numRuns: 12 },
    );
  });

  test("plain TypeScript agrees with WebAssembly to single precision", () => {
    const plain = errors(taken, cols, { ...options, kernel: "typescript" });
    for (let i = 0; i < plain.error.data.length; i++) {
      if (whole.error.data[i]! > 0) expect(plain.error.data[i]! / whole.error.data[i]!).toBeCloseTo(1, 4);
    }
    expect(plain.regions.mean_se.at(-1) / whole.regions.mean_se.at(-1)).toBeCloseTo(1, 4);
  });

  test("several slices in the order of the list, each as if alone", () => {
    const both = errors(taken, cols, { ...options, slices: [0, 0] });
    expect([...both.error.slice.slice(0, 2)]).toEqual([0, 0]);
    expect(both.regions.time.length).toBe(2 * whole.regions.time.length);
    expect(both.regions.mean_se.slice(-2)).toEqual(whole.regions.mean_se.slice(-2));
  });

  test("regions picked while it runs: of all views that are kept", () => {
    const at = 50n * SECOND;
    const fed = errors(taken, cols, { every: 7 }, { actions: [{ at, changes: { regions: ["3,4,5"] } }] });
    expect(fed.regions.time[0]).toBeGreaterThanOrEqual(at);
    const from = [...whole.regions.time].indexOf(fed.regions.time[0]);
    expect(fed.regions.mean[0]).toBe(whole.regions.mean[from]);
    expect(fed.regions.mean_se[0]).toBe(whole.regions.mean_se[from]);
    const refused = errors(taken, cols, {}, { actions: [{ at, changes: { regions: ["14,0,3"] } }] });
    expect(refused.faults[0].what).toMatch(/14,0,3 reaches further than 15.5 px from the axis/);
  });

  test("no views, one view", () => {
    const part = (n: number) => ({
      projections: {
        time: taken.projections.time.slice(0, n), data: taken.projections.data.slice(0, n * cols),
        rotation_angle: taken.projections.rotation_angle.slice(0, n),
      },
      flux: taken.flux,
    }); // prettier-ignore
    expect(errors(part(0), cols, options).error.time.length).toBe(0);
    const one = errors(part(1), cols, options);
    expect(one.error.time.length).toBe(1);
    expect(one.regions.mean_se[0]).toBeGreaterThan(whole.regions.mean_se.at(-2));
  });

  test("bad input: said, counted, and nothing of it in the result", () => {
    const bad = structuredClone(taken);
    bad.projections.rotation_angle[10] = NaN;
    bad.projections.data.fill(NaN, 20 * cols, 21 * cols);
    bad.projections.data.fill(0, 30 * cols, 31 * cols); // saturated absorber: nothing came through
    for (let k = 0; k < 90; k++) bad.projections.data[k * cols + 9] = NaN; // dead column
    const fed = errors(bad, cols, options);
    expect(fed.faults.map(({ what }: { what: string }) => what.slice(0, 40))).toEqual([
      "projection without a rotation angle, lef",
      "less than half of each detector row is k",
      "less than half of each detector row is k",
    ]);
    expect(fed.error.left_out.at(-1)).toBe(3);
    expect([...fed.error.data.slice(-64)].every((x) => x > 0)).toBe(true);

    const late = errors(
      { ...taken, flux: { ...taken.flux, time: BigInt64Array.of(5n * SECOND) } },
      cols,
      options,
    );
    expect(late.faults.length).toBe(5);
    expect(late.faults[0].what).toMatch(/came before its flux/);
    const dark = { ...taken, flux: { ...taken.flux, data: new Float32Array(cols) } };
    expect(errors(dark, cols, options).error.time.length).toBe(0);
  });

  test.each([
    [{ regions: ["1,2"] }, /1,2 is no region; wanted a circle/],
    [{ regions: ["a,b,c"] }, /a,b,c is no region/],
    [{ regions: ["0.2,0.2,0.1"] }, /holds no pixel/],
    [{ regions: ["0,0,40"] }, /reaches further than 15.5 px/],
    [{ regions: Array(65).fill("0,0,3") }, /at most 64/],
    [{ axis: 99 }, /axis: 99 px is not on the detector/],
    [{ slices: [3] }, /slices: 3 is not a row/],
    [{ window: "7 kg" }, /7 kg is no window/],
  ])("refused at the start: %j", (wrong, why) => {
    expect(() => errors(taken, cols, wrong)).toThrow(why);
  });

  test("a fan beam needs full turns, a flux the frames' size", () => {
    const metadata = { projections: { geometry: "fan", source_distance: "300", sample_pixel_size_x: "1" } };
    expect(() => errors(taken, cols, {}, { metadata })).toThrow(
      /half-turn shows all only in a parallel beam/,
    );
    const schema = { ...shapes(cols), flux: { data: image("{count}", { shape: [1, 16] }) } };
    const flux = { time: BigInt64Array.of(0n), data: new Float32Array(16) };
    expect(() => feed(variance, { ...taken, flux }, { schema })).toThrow(
      /flux is 1 × 16 pixels but projections are 1 × 32/,
    );
  });
});

import fc from "fast-check";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { standingOut, stripes } from "../../../operators/tomography/stripes.ts";
import { image, scalar } from "../../../runtime/index.ts";
import { readHdf5 } from "../../../sources/hdf5.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project, rms, textbook, type Ellipse } from "./phantom.ts";

const SECOND = 1_000_000_000n;
const steps = (n: number, step: number): number[] => Array.from({ length: n }, (_, k) => k * step);

/** Numbers in -1 … 1, the same every time. */
function seeded(seed: number): () => number {
  let s = seed;
  return () => (s = (s * 1103515245 + 12345) % 2147483648) / 1073741824 - 1;
}

interface Making {
  readonly cols?: number;
  readonly rows?: number;
  readonly sample?: readonly Ellipse[];
  readonly axis?: number;
  readonly stripe?: (c: number) => number;
  readonly noise?: number;
  /** What is stored: transmission, or line integrals. */
  readonly integrals?: boolean;
}

/** Views of a sample, with stripes; every row the same but for its noise. */
function scan(angles: readonly number[], { cols = 64, rows = 1, sample = cell(cols), axis = cols * 0.479, stripe = () => 0, noise = 0, integrals = false }: Making = {}) {
  const random = seeded(7);
  const data = new Float32Array(angles.length * rows * cols);
  angles.forEach((angle, k) => {
    const p = project(sample, angle, cols, axis).map((x, c) => x + stripe(c));
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const noisy = p[c]! + noise * (random() + random() + random());
        data[(k * rows + r) * cols + c] = integrals ? noisy : Math.exp(-noisy);
      }
    }
  });
  const field = image("1", { shape: [rows, cols], ...(integrals && { quantity: "line integral" }) });
  return {
    cols, rows, axis, angles,
    projections: { time: BigInt64Array.from(angles, (_, k) => BigInt(k) * SECOND), data, rotation_angle: Float64Array.from(angles) },
    schema: { projections: { data: field, rotation_angle: scalar("deg") } },
  };
} // prettier-ignore

type Scan = ReturnType<typeof scan>;
const clean = ({ projections, schema }: Scan, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) =>
  feed(stripes, { projections }, { schema, with: options, ...how }); // prettier-ignore

/** Slice from the line integrals of every second of the last views. */
function slice(data: Float32Array, { cols, axis, angles }: Scan, count: number): Float64Array {
  const chosen = Array.from({ length: count / 2 }, (_, k) => angles.length - count + 2 * k);
  const lines = chosen.map((k) =>
    Float64Array.from(data.subarray(k * cols, (k + 1) * cols), (T) => -Math.log(T)),
  );
  return textbook(lines, chosen.map((k) => angles[k]!), axis, cols); // prettier-ignore
}

/** The sample itself, with soft edges: what a slice should look like. */
function truth(sample: readonly Ellipse[], cols: number): Float64Array {
  const middle = (cols - 1) / 2;
  const image = new Float64Array(cols * cols);
  for (let k = 0; k < 16 * image.length; k++) {
    const [i, sub] = [k >> 4, k & 15];
    const X = (i % cols) - middle + ((sub & 3) - 1.5) / 4;
    const Y = middle - Math.floor(i / cols) + ((sub >> 2) - 1.5) / 4;
    for (const { x, y, a, b, angle_deg, attenuation } of sample) {
      const turned = (angle_deg * Math.PI) / 180;
      const u = (X - x) * Math.cos(turned) + (Y - y) * Math.sin(turned);
      const v = (Y - y) * Math.cos(turned) - (X - x) * Math.sin(turned);
      if ((u / a) ** 2 + (v / b) ** 2 <= 1) image[i]! += attenuation / 16;
    }
  }
  return image;
}

/** How much stands in rings: rms over the radius of what stands out of the mean over the angle. */
function rings(slice: ArrayLike<number>, size: number, radius: number): number {
  const middle = (size - 1) / 2;
  const profile = new Float64Array(Math.floor(radius) - 10);
  for (let r = 0; r < profile.length; r++) {
    const n = Math.ceil(2 * Math.PI * (r + 10));
    for (let k = 0; k < n; k++) {
      const x = middle + (r + 10) * Math.cos((2 * Math.PI * k) / n);
      const y = middle + (r + 10) * Math.sin((2 * Math.PI * k) / n);
      const [i, j, u, v] = [Math.floor(x), Math.floor(y), x % 1, y % 1];
      const at = (row: number, col: number): number => slice[row * size + col]!;
      profile[r]! += ((1 - v) * ((1 - u) * at(j, i) + u * at(j, i + 1)) + v * ((1 - u) * at(j + 1, i) + u * at(j + 1, i + 1))) / n;
    }
  }
  const high = new Float64Array(profile.length);
  standingOut(profile.length, 9)(profile, high);
  return rms(high, new Float64Array(high.length));
} // prettier-ignore

describe("what stands out of a row", () => {
  test("a column that is off comes out as it is, its neighbours do not", () => {
    const row = Float64Array.from({ length: 40 }, (_, c) => 3 + 0.001 * c + (c === 17 ? 0.5 : 0));
    const d = new Float64Array(40);
    standingOut(40, 9)(row, d);
    expect(d[17]).toBeCloseTo(0.5, 2);
    for (const c of [8, 10, 14, 20, 30]) expect(d[c]).toBeCloseTo(0, 2);
  });

  test("the median is that of sorting", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 7, maxLength: 30 }), (values) => {
        const n = values.length;
        const median = values.map((_, i) => {
          const near = values.slice(Math.max(0, i - 3), i + 4).sort((a, b) => a - b);
          return (near[(near.length - 1) >> 1]! + near[near.length >> 1]!) / 2;
        });
        const expected = values.map((x, i) => {
          const near = median.slice(Math.max(0, i - 3), i + 4);
          return x - near.reduce((sum, m) => sum + m, 0) / near.length;
        });
        const d = new Float64Array(n);
        standingOut(n, 7)(Float64Array.from(values), d);
        expect([...d]).toEqual(expected.map((x) => expect.closeTo(x, 12)));
      }),
      { seed: 4, numRuns: 50 },
    );
  });
});

describe("ground truth", () => {
  const cols = 256;
  const random = seeded(11);
  const gain = Float64Array.from({ length: cols }, (_, c) => (c % 7 === 3 ? 0.03 * random() : 0));
  const beside = cell(cols).slice(2).map((e) => ({ ...e, attenuation: Math.abs(e.attenuation) })); // prettier-ignore

  test("columns of a wrong gain: their rings go down tenfold", () => {
    const angles = steps(720, 0.5);
    const pure = scan(angles, { cols, sample: beside });
    const striped = scan(angles, { cols, sample: beside, stripe: (c) => gain[c]! });
    const { projections, faults } = clean(striped);
    const none = slice(pure.projections.data, pure, 360);
    const before = rms(slice(striped.projections.data, striped, 360), none);
    const after = rms(slice(projections.data, striped, 360), none);
    expect(before / after).toBeGreaterThan(10);
    expect(projections.stripe_rms.at(-1)).toBeCloseTo(rms(gain, new Float64Array(cols)), 3);
    expect(projections.dead.at(-1)).toBe(0);
    expect(faults).toEqual([]);
  });

  test.each([
    ["beside the axis", beside, {}, 1.05],
    // The wall stands in the same columns in every view: the known weakness, and what limits it.
    ["a can about the axis", cell(cols), {}, 1.2],
    ["a can about the axis, a small max", cell(cols), { max: 0.005 }, 1.05],
  ])("without stripes the slice stays as near to the sample: %s", (_, sample, options, most) => {
    const taken = scan(steps(720, 0.5), { cols, sample });
    const { projections } = clean(taken, options);
    const real = truth(sample, cols);
    const before = rms(slice(taken.projections.data, taken, 360), real);
    expect(rms(slice(projections.data, taken, 360), real) / before).toBeLessThan(most);
  });

  test("from line integrals come the same, as line integrals", () => {
    const making = { sample: beside.map((e) => ({ ...e, x: e.x / 4, y: e.y / 4, a: e.a / 4, b: e.b / 4 })), stripe: (c: number) => gain[c]! };
    const one = clean(scan(steps(300, 1), making)).projections;
    const other = clean(scan(steps(300, 1), { ...making, integrals: true })).projections;
    expect(one.stripe_rms.at(-1)).toBeGreaterThan(0.001);
    expect(rms(one.data.map((T: number) => -Math.log(T)), other.data)).toBeLessThan(1e-6);
    expect(other.stripe_rms.at(-1)).toBeCloseTo(one.stripe_rms.at(-1), 6);
  }); // prettier-ignore
});

describe("when it corrects, and how far", () => {
  const stripe = (c: number): number => (c === 20 ? 0.05 : 0);

  test("not before enough of the half-turn is covered; then it says from what", () => {
    const taken = scan(steps(400, 1), { stripe });
    const { projections } = clean(taken);
    const first = [...projections.coverage].findIndex((deg) => (deg as number) >= 90);
    expect(first).toBeGreaterThanOrEqual(90);
    expect(first).toBeLessThan(110);
    expect(projections.data.slice(0, first * 64)).toEqual(taken.projections.data.slice(0, first * 64));
    expect(projections.stripe_rms.slice(0, first).every(Number.isNaN)).toBe(true);
    expect([...projections.views.slice(0, first)]).toEqual(Array(first).fill(0));
    expect(projections.data[first * 64 + 20] / taken.projections.data[first * 64 + 20]!).toBeCloseTo(Math.exp(0.05), 1);
    expect(projections.coverage.at(-1)).toBe(180);
    expect(projections.views.at(-1)).toBeGreaterThanOrEqual(180);
    expect(projections.views.at(-1)).toBeLessThanOrEqual(180 + 16);
  }); // prettier-ignore

  test("a stripe that changes is followed, the old one forgotten", () => {
    const angles = steps(900, 1);
    const taken = scan(angles, { stripe: () => 0 });
    for (let k = 0; k < 900; k++) taken.projections.data[k * 64 + (k < 450 ? 20 : 40)]! *= Math.exp(-0.05);
    const pure = scan(angles);
    const { projections } = clean(taken);
    const none = clean(pure).projections;
    const off = (k: number, c: number): number =>
      Math.log(projections.data[k * 64 + c] / none.data[k * 64 + c]);
    for (const c of [20, 40]) {
      expect(Math.abs(off(440, c))).toBeLessThan(0.01);
      expect(Math.abs(off(899, c))).toBeLessThan(0.01);
    }
    expect(Math.abs(off(470, 40))).toBeGreaterThan(0.03);
  });

  test("no correction is larger than max", () => {
    const taken = scan(steps(300, 1), { sample: [], stripe: (c) => (c === 20 ? 0.5 : 0) });
    const { projections } = clean(taken, { max: 0.2 });
    expect(Math.log(projections.data.at(-44) / taken.projections.data.at(-44)!)).toBeCloseTo(0.2, 6);
  });

  test("golden-angle views: every block sees the sample from all sides", () => {
    const taken = scan(steps(300, 111.246), { stripe });
    const pure = scan(steps(300, 111.246));
    const { projections } = clean(taken);
    const none = clean(pure).projections;
    expect(projections.views.at(-1)).toBe(128);
    expect(projections.coverage.at(-1)).toBe(180);
    expect(Math.abs(Math.log(projections.data.at(-44) / none.data.at(-44)))).toBeLessThan(0.01); // of 0.05
  });

  test("only the rows that are named; the others go on as they came", () => {
    const taken = scan(steps(300, 1), { rows: 3, stripe });
    const { projections } = clean(taken, { slices: ["z=1"] });
    const at = (r: number): number => projections.data[(299 * 3 + r) * 64 + 20] / taken.projections.data[(299 * 3 + r) * 64 + 20]!;
    expect([at(0), at(2)]).toEqual([1, 1]);
    expect(at(1)).toBeGreaterThan(1.03);
    expect(clean(taken).projections.stripe_rms.at(-1)).toBeCloseTo(projections.stripe_rms.at(-1), 6);
  }); // prettier-ignore
});

describe("dead columns", () => {
  /** Column 20 stands still, column 40 lets nearly nothing through, both from the start. */
  const broken = () => {
    const taken = scan(steps(300, 1), { noise: 0.003 });
    for (let k = 0; k < 300; k++) {
      taken.projections.data[k * 64 + 20] = 0.7;
      taken.projections.data[k * 64 + 40]! *= Math.exp(-5);
    }
    return taken;
  };

  test("become NaN, and are counted", () => {
    const { projections } = clean(broken());
    expect(projections.dead.at(-1)).toBe(2);
    const last = [...projections.data.slice(-64)] as number[];
    expect(last.flatMap((T, c) => (Number.isNaN(T) ? [c] : []))).toEqual([20, 40]);
  });

  test("or what their neighbours say", () => {
    const { projections } = clean(broken(), { dead: "interpolate" });
    const last = [...projections.data.slice(-64)] as number[];
    expect(projections.dead.at(-1)).toBe(2);
    for (const c of [20, 40]) expect(last[c]!).toBeCloseTo(Math.sqrt(last[c - 1]! * last[c + 1]!), 5);
  });

  test("or stay as they are, less max", () => {
    const taken = broken();
    const { projections } = clean(taken, { dead: "keep" });
    expect(projections.dead.at(-1)).toBe(0);
    expect(projections.data.at(-24) / taken.projections.data.at(-24)!).toBeCloseTo(Math.exp(0.1), 5);
  });

  test("air that never changes is not dead", () => {
    const { projections } = clean(scan(steps(300, 1), { sample: [{ x: 8, y: 0, a: 5, b: 3, angle_deg: 0, attenuation: 0.1 }] }));
    expect(projections.dead.at(-1)).toBe(0);
  }); // prettier-ignore
});

describe("the stream", () => {
  const bad = () => {
    const taken = scan(steps(260, 1), {
      cols: 24,
      rows: 2,
      noise: 0.01,
      stripe: (c) => (c % 5 === 0 ? 0.02 : 0),
    });
    const { data, rotation_angle } = taken.projections;
    data.fill(NaN, 30 * 48, 30 * 48 + 24); // one row of one view is dark
    data[150 * 48 + 5] = NaN; // a gap
    rotation_angle[40] = NaN;
    return taken;
  };

  test("a dark row and a view without an angle are not counted, and said; a gap stays a gap", () => {
    const taken = bad();
    const { projections, faults } = clean(taken);
    expect(faults.map((f: { time: bigint; what: string }) => [f.time, f.what])).toEqual([
      [30n * SECOND, expect.stringMatching(/fewer than half of the columns are known in 1 of 2 rows/)],
      [40n * SECOND, expect.stringMatching(/without a rotation angle: corrected, but not counted/)],
    ]);
    expect(projections.time.length).toBe(260);
    expect([...projections.data].flatMap((T, i) => (Number.isNaN(T) ? [i] : []))).toEqual(
      [...taken.projections.data].flatMap((T, i) => (Number.isNaN(T) ? [i] : [])),
    );
  });

  test("cut anywhere, saved and loaded anywhere: the same bits", () => {
    const taken = bad();
    const options = { dead: "interpolate", min_coverage: "60 deg" };
    const whole = clean(taken, options);
    expect(whole.projections.stripe_rms.at(-1)).toBeGreaterThan(0.005);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 5 }), (rows, reloadAfter) => {
        expect(clean(taken, options, { rows, reloadAfter })).toEqual(whole);
      }),
      { seed: 3, numRuns: 12 },
    );
  }); // prettier-ignore

  test("what is known of each view goes along", () => {
    const taken = scan(steps(3, 1));
    const projections = { ...taken.projections, shift_x: Float64Array.of(0.5, 1, NaN), axis: Float64Array.of(3, 4, 5) };
    const schema = { projections: { ...taken.schema.projections, shift_x: scalar("{px}"), axis: scalar("{px}") } };
    const out = clean({ ...taken, projections, schema } as Scan).projections;
    expect([out.shift_x, out.axis]).toEqual([projections.shift_x, projections.axis]);
    expect("shift_y" in out).toBe(false);
  }); // prettier-ignore

  test("none, and one", () => {
    expect(clean(scan([])).projections.time.length).toBe(0);
    const one = clean(scan([12]));
    expect([...one.projections.views]).toEqual([0]);
    expect(one.faults).toEqual([]);
  });

  test("wrong options stop the start and say what is allowed", () => {
    const taken = scan(steps(3, 60), { cols: 7 });
    expect(() => clean(taken, { width: 4 })).toThrow(/width is 4 columns; wanted an odd number, such as 5/);
    expect(() => clean(taken, { width: 9 })).toThrow(/width is 9 columns; the detector has 7/);
    expect(() => clean(taken, { width: 5, slices: [2] })).toThrow(/slices: 2 is not a row of the detector; wanted 0 to 0/);
    expect(() => clean(taken, { window: 180 })).toThrow(/180 has no unit/);
    expect(() => clean(taken, { max: -1 })).toThrow(/-1 is below 0/);
  }); // prettier-ignore
});

const shared = fileURLToPath(new URL("../../../../shared/data/xrm/", import.meta.url));
describe.runIf(existsSync(shared))("real rings", () => {
  test("tooth", async () => {
    const [data, white, dark, theta] = await readHdf5(`${shared}tooth.h5`, (file) =>
      ["data", "data_white", "data_dark", "theta"].map((name) => (file.find(`/exchange/${name}`) as { value: unknown }).value as Float32Array));
    const mean = (frames: Float32Array, i: number): number => {
      let sum = 0;
      for (let k = i; k < frames.length; k += 1280) sum += frames[k]!;
      return (sum * 1280) / frames.length;
    };
    const [F, D] = [white!, dark!].map((frames) => Float64Array.from({ length: 1280 }, (_, i) => mean(frames, i)));
    const n = theta!.length;
    const transmission = data!.map((P, i) => (P - D![i % 1280]!) / (F![i % 1280]! - D![i % 1280]!));
    // the stage goes on turning: the same half-turn again, so that all its views are corrected
    const twice = {
      time: BigInt64Array.from({ length: 2 * n }, (_, k) => BigInt(k) * SECOND),
      data: Float32Array.from({ length: 2 * transmission.length }, (_, k) => transmission[k % transmission.length]!),
      rotation_angle: Float64Array.from({ length: 2 * n }, (_, k) => theta![k % n]!),
    };
    const asked = { schema: { projections: { data: image("1", { shape: [2, 640] }), rotation_angle: scalar("deg") } }, with: { slices: [0] } };
    const { projections } = feed(stripes, { projections: twice }, asked);
    const row = (data: Float32Array, from: number): Float64Array[] => Array.from({ length: n }, (_, k) =>
      Float64Array.from(data.subarray((from + k) * 1280, (from + k) * 1280 + 640), (T) => -Math.log(T)));
    const angles = [...theta!];
    const measure = (data: Float32Array, from: number): number => rings(textbook(row(data, from), angles, 295.85, 640), 640, 285);
    const [before, first, after] = [measure(twice.data, 0), measure(projections.data, 0), measure(projections.data, n)];
    expect(after).toBeLessThan(before / 2);
    expect(first).toBeLessThan(before);
  }); // prettier-ignore
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { surfacePotential } from "../../../operators/image/surface-potential.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { gaussian, random } from "./pictures.ts";
import { frames, roughness, scanned } from "./surfaces.ts";

const [ROWS, COLS] = [64, 64];
const HOPG = { reference: "0,0,20,64", reference_work_function: "4.6 eV" };

function measured(list: readonly ArrayLike<number>[], options: Record<string, unknown> = {}, { columns = {}, ...how }: {
  columns?: Record<string, unknown>; rows?: number; reloadAfter?: number[];
} = {}) {
  return feed(surfacePotential, { images: frames(list, columns) } as never, { schema: { images: scanned("V", ROWS, COLS) }, with: options, ...how });
} // prettier-ignore

/** Graphite of 4.6 eV on the left, a film of 4.2 eV with spots of 0.05 eV beside it; the tip has `tip` eV. */
function surface(seed: number, { tip = 4.9, noise = 0.005, bias = "tip" } = {}): Float32Array {
  const spots = roughness(ROWS, COLS, 2, random(1));
  const next = random(seed);
  return Float32Array.from(spots, (spot, i) => {
    const phi = i % COLS < 20 ? 4.6 : 4.2 + 0.05 * spot;
    return (bias === "tip" ? tip - phi : phi - tip) + noise * gaussian(next);
  });
}

describe("gives back the work function that the potentials were made from", () => {
  const spots = roughness(ROWS, COLS, 2, random(1));

  test.each(["tip", "sample"])(
    "bias on the %s, calibrated on graphite in the frame, whatever the tip",
    (bias) => {
      const list = [4.9, 5.3].map((tip, i) => surface(10 + i, { tip, bias, noise: 0.001 }));
      const { work_function, statistics, faults } = measured(list, {
        ...HOPG,
        bias_on: bias,
        within: "20,0,64,64",
      });
      for (let i = 0; i < ROWS * COLS; i++) {
        const phi = i % COLS < 20 ? 4.6 : 4.2 + 0.05 * spots[i]!;
        for (const frame of [0, ROWS * COLS])
          expect(Math.abs(work_function.data[frame + i] - phi)).toBeLessThan(0.006);
      }
      expect([...statistics.tip_work_function]).toEqual([expect.closeTo(4.9, 3), expect.closeTo(5.3, 3)]);
      expect(statistics.work_function_mean[0]).toBeCloseTo(4.2, 1);
      expect(statistics.work_function_sd[0]).toBeCloseTo(0.05, 1.5);
      expect([...statistics.reason, faults.length]).toEqual([0, 0, 0]);
    },
  );

  test("with a tip that is known, and its error apart from that of the mean", () => {
    const { statistics } = measured([surface(3)], { tip_work_function: "4.9 eV", tip_work_function_se: "0.1 eV", within: "20,0,64,64" }); // prettier-ignore
    expect(statistics.work_function_mean[0]).toBeCloseTo(4.2, 1);
    expect([statistics.work_function_scale_se[0], statistics.tip_work_function_se[0]]).toEqual([0.1, 0.1]);
    expect(statistics.work_function_mean_se[0]).toBe(statistics.cpd_mean_se[0]);
  });

  test("the reference of the first frame is held: its noise is then shared by all", () => {
    const list = [surface(4), surface(5, { tip: 5 })];
    const options = { ...HOPG, reference_work_function_se: "0.03 eV", calibrate: "first" };
    const { statistics } = measured([list[0]!.map(() => NaN), ...list], options);
    expect([...statistics.tip_work_function]).toEqual([NaN, expect.closeTo(4.9, 3), expect.closeTo(4.9, 3)]);
    expect(statistics.work_function_mean[2] - statistics.work_function_mean[1]).toBeCloseTo(-0.1, 3);
    expect(statistics.work_function_scale_se[2]).toBe(statistics.work_function_scale_se[1]);
    expect(statistics.work_function_scale_se[1]).toBeGreaterThan(0.03);
    const each = measured(list, { ...HOPG, reference_work_function_se: "0.03 eV" }).statistics;
    expect(each.work_function_mean[1] - each.work_function_mean[0]).toBeCloseTo(0, 3);
    expect(each.work_function_scale_se[0]).toBe(0.03);
    expect(each.work_function_mean_se[0]).toBeGreaterThan(each.cpd_mean_se[0]);
  });
});

test("without a calibration there are potentials alone", () => {
  const { work_function, statistics } = measured([surface(6)]);
  expect(work_function).toBeUndefined();
  expect(statistics.tip_work_function).toBeUndefined();
  expect([statistics.reason[0], statistics.pixels[0]]).toEqual([0, ROWS * COLS]);
});

describe("drift of the potential", () => {
  test("is what changed pixel by pixel: known far better than the mean of a patterned surface", () => {
    const list = [0, 0.004, 0.01].map((drift, i) => surface(30 + i).map((v) => v + drift));
    const { statistics } = measured(list);
    expect([...statistics.cpd_change]).toEqual([NaN, expect.closeTo(0.004, 3.5), expect.closeTo(0.01, 3.5)]);
    expect([...statistics.drift_rate]).toEqual([NaN, expect.closeTo(0.004, 3.5), expect.closeTo(0.006, 3.5)]);
    expect(statistics.cpd_change_se[2] / ((0.005 * Math.SQRT2) / 64)).toBeCloseTo(1, 0.3);
    expect(statistics.cpd_mean_se[0]).toBeGreaterThan(20 * statistics.cpd_change_se[2]);
  });

  test("of trace and retrace apart; over frames that have none", () => {
    const shifted = surface(40).map((v) => v + 0.1);
    const list = [surface(40), shifted, surface(40).fill(NaN), surface(40).map((v) => v + 0.02), shifted.map((v) => v + 0.03)]; // prettier-ignore
    const { statistics } = measured(list, {}, { columns: { direction: Int32Array.of(0, 1, 0, 0, 1) } });
    expect([...statistics.cpd_change]).toEqual([
      NaN,
      NaN,
      NaN,
      expect.closeTo(0.02, 5),
      expect.closeTo(0.03, 5),
    ]);
    expect(statistics.drift_rate[3]).toBeCloseTo(0.02 / 3, 6);
    expect([...statistics.reason]).toEqual([0, 0, 1, 0, 0]);
  });
});

test("errors of the mean cover the truth: 200 patterned surfaces", () => {
  const next = random(50);
  let [means, medians] = [0, 0];
  for (let i = 0; i < 10; i++) {
    const list = Array.from({ length: 20 }, () =>
      roughness(ROWS, COLS, 1.5, next).map((v) => 0.3 + 0.05 * v),
    );
    const { statistics } = measured(list);
    for (let k = 0; k < 20; k++) {
      if (Math.abs(statistics.cpd_mean[k] - 0.3) < statistics.cpd_mean_se[k]) means++;
      if (Math.abs(statistics.cpd_median[k] - 0.3) < statistics.cpd_median_se[k]) medians++;
    }
  }
  for (const count of [means, medians])
    expect(count / 200).toSatisfy((share: number) => share > 0.58 && share < 0.78); // 68 %, known to 3.3 %
});

test("another tip, another sign: what the surface is stays", () => {
  fc.assert(
    fc.property(fc.integer(), fc.double({ min: 3.5, max: 6, noNaN: true }), (seed, tip) => {
      const one = measured([surface(seed, { tip: 4.9 })], HOPG);
      const other = measured([surface(seed, { tip })], HOPG);
      expect(other.statistics.work_function_mean[0]).toBeCloseTo(one.statistics.work_function_mean[0], 5);
      const swapped = measured([surface(seed, { tip }).map((v) => -v)], { ...HOPG, bias_on: "sample" });
      expect(swapped.work_function.data).toEqual(other.work_function.data);
    }),
    { seed: 7, numRuns: 10 },
  );
});

test("what is missing stays missing", () => {
  const frame = surface(8);
  const holed = frame.map((v, i) => (i % 7 === 0 ? NaN : v));
  const without = frame.map((v, i) => (i % COLS < 20 ? NaN : v));
  const { statistics, work_function } = measured([holed, without, frame.map(() => NaN)], HOPG);
  expect([...statistics.missing]).toEqual([Math.ceil((ROWS * COLS) / 7), 20 * ROWS, ROWS * COLS]);
  expect([...statistics.reason]).toEqual([0, 2, 1]);
  expect(work_function.data[0]).toBeNaN();
  expect(work_function.data.slice(ROWS * COLS).every(Number.isNaN)).toBe(true);
  expect([...statistics.work_function_mean]).toEqual([expect.any(Number), NaN, NaN]);
  expect(statistics.cpd_mean[1]).not.toBeNaN();
});

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const list = Array.from({ length: 6 }, (_, i) => surface(60 + i));
  const columns = { direction: Int32Array.of(0, 1, 0, 1, 0, 1), index: Int32Array.of(0, 0, 1, 1, 2, 2) };
  const options = { ...HOPG, calibrate: "first" };
  const whole = measured(list, options, { columns });
  expect([...whole.work_function.index]).toEqual([0, 0, 1, 1, 2, 2]);
  for (const rows of [1, 2, 5]) {
    const again = measured(list, options, { columns, rows, reloadAfter: [1, 2, 3] });
    expect(again.statistics).toEqual(whole.statistics);
    expect(Buffer.compare(Buffer.from(again.work_function.data.buffer), Buffer.from(whole.work_function.data.buffer))).toBe(0); // prettier-ignore
  }
  expect(measured([]).statistics.time.length).toBe(0);
});

test("wrong wiring and options stop the start", () => {
  const wrong = (options: Record<string, unknown>) => () => measured([surface(1)], options);
  expect(wrong({ reference: "0,0,9,9" })).toThrow("reference: a place and its work function go together");
  expect(wrong({ reference_work_function: "4.6 eV" })).toThrow(/go together/);
  expect(wrong({ ...HOPG, tip_work_function: "5 eV" })).toThrow(/leave one out/);
  expect(wrong({ ...HOPG, reference: "0,0,99,9" })).toThrow(/reference: "0,0,99,9" reaches beyond the image/);
  expect(wrong({ ...HOPG, reference_work_function: "4.6 V" })).toThrow(/V cannot be converted to eV/);
  expect(wrong({ bias_on: "both" })).toThrow(/both is not one of tip, sample/);
  expect(() =>
    feed(surfacePotential, { images: { time: BigInt64Array.of(), data: new Float32Array(0) } } as never, {
      schema: { images: { data: image("m", { shape: [ROWS, COLS] }) } },
    }),
  ).toThrow(/images.data must be in V/);
});

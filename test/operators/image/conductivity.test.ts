import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conductivity } from "../../../operators/image/conductivity.ts";
import { LineValues } from "../../../operators/image/line-values.ts";
import { image, scalar, type Fields } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { gaussian, picture, random, SECOND } from "./pictures.ts";
import { frames, roughness, scanned } from "./surfaces.ts";

const [ROWS, COLS] = [48, 64];
const VOLT: Fields = { bias: scalar("V"), voltage_volt: scalar("V"), other: scalar("A") };

function measured(list: readonly ArrayLike<number>[], options: Record<string, unknown> = {}, { columns = {}, bias, ...how }: {
  columns?: Record<string, unknown>; bias?: Record<string, unknown> & { time: BigInt64Array }; rows?: number; reloadAfter?: number[];
} = {}) {
  return feed(conductivity, { images: frames(list, columns), ...(bias && { bias }) } as never, {
    schema: { images: scanned("A", ROWS, COLS), bias: VOLT }, with: options, ...how,
  });
} // prettier-ignore

/** A film of 10^-12 to 10^-9 S, on the left half covered by an insulator; noise 50 fA. */
function film(seed: number, volt = 0.5, noise = 5e-14): { map: Float32Array; siemens: Float64Array } {
  const next = random(seed);
  const decades = roughness(ROWS, COLS, 1, next);
  const siemens = decades.map((d, i) => (i % COLS < COLS / 2 ? 0 : 10 ** (-10.5 + 0.3 * d)));
  return { siemens, map: Float32Array.from(siemens, (G) => G * volt + noise * gaussian(next)) };
}

describe("gives back the conductance that the map was made from", () => {
  test("resistance, conductance and conductivity of each pixel", () => {
    const { map, siemens } = film(1);
    const { resistance, conductance, conductivity: sigma, state, statistics, faults } = measured([map], { bias: "0.5 V", contact_radius: "10 nm" }); // prettier-ignore
    let worst = 0;
    siemens.forEach((G, i) => {
      if (G === 0) return;
      worst = Math.max(worst, Math.abs(conductance.data[i] - G));
      expect(resistance.data[i] * conductance.data[i]).toBeCloseTo(1, 5);
      expect(sigma.data[i] / conductance.data[i] / (1 / 4e-8)).toBeCloseTo(1, 5);
    });
    expect(worst).toBeLessThan(5e-13); // 5 σ of the noise over 0.5 V
    // Where nothing conducts nothing is known but that: no zero among the numbers.
    const left = [...conductance.data].filter((_, i) => i % COLS < COLS / 2);
    expect(left.filter((G) => !Number.isNaN(G)).length).toBeLessThan(0.005 * left.length); // 3 σ
    expect([...state.data].filter((s, i) => s === 1 && i % COLS < COLS / 2).length).toBeGreaterThan(0.99 * left.length - 10); // prettier-ignore
    expect(statistics.noise[0] / 5e-14).toBeCloseTo(1, 0.7);
    expect(statistics.floor[0]).toBe(3 * statistics.noise[0]);
    expect(faults).toEqual([]);
  });

  test("a negative bias, an offset, an inverted amplifier, a series resistance", () => {
    const { siemens } = film(2);
    const R = siemens.map((G) => 1 / G);
    const map = Float32Array.from(R, (r) => -(-0.8 / (r + 1e9)) + 3e-12); // counted backwards, 3 pA aside
    const options = {
      bias: "-0.8 V",
      offset: "-3 pA",
      inverted: true,
      series_resistance: "1e9 Ohm",
      floor: "0.5 pA",
    };
    const { resistance, statistics } = measured([map], options);
    resistance.data.forEach((r: number, i: number) => {
      if (siemens[i]! > 0) expect(r / R[i]!).toBeCloseTo(1, 3);
      else expect(r).toBeNaN();
    });
    expect([statistics.reversed[0], statistics.below_floor[0]]).toEqual([0, (ROWS * COLS) / 2]);
    const all = measured([map], { ...options, series_resistance: "1e15 Ohm" });
    expect(all.statistics.shorted[0]).toBe((ROWS * COLS) / 2);
    expect(all.resistance.data.every(Number.isNaN)).toBe(true);
  });
});

describe("statistics", () => {
  test("a known spread in decades, half of the pixels below the floor, some saturated", () => {
    const next = random(3);
    const decades = roughness(ROWS, COLS, 0, next);
    const map = Float32Array.from(decades, (d) => Math.min(1e-9, 10 ** (-10.5 + 0.5 * d)));
    const top = map.filter((I) => I === Math.fround(1e-9)).length;
    const { statistics } = measured([map], {
      bias: "1 V",
      floor: `${10 ** -10.9} A`,
      threshold: `${10 ** -10.25} A`,
    });
    const low = map.filter((I) => I <= 10 ** -10.9).length;
    expect([statistics.below_floor[0], statistics.saturated[0], statistics.pixels[0]]).toEqual([
      low,
      0,
      ROWS * COLS,
    ]);
    expect(top).toBeLessThan(16); // too few to be sure of the amplifier's limit
    // 3,072 pixels know the median to 0.011.
    expect(statistics.log_median[0]).toBeCloseTo(-10.5, 1.5);
    expect(statistics.log_median_se[0] / ((0.5 * 1.2533) / Math.sqrt(ROWS * COLS))).toBeCloseTo(1, 0.5);
    // 16 % lie at -11, below the floor: the spread has no number; the median has.
    expect(statistics.log_spread[0]).toBeNaN();
    expect(statistics.share[0]).toBeCloseTo(30.85, -0.5);
    expect(statistics.share_se[0]).toBeCloseTo(100 * Math.sqrt((0.3085 * 0.6915) / (ROWS * COLS)), 0.7);
    const more = measured([map], { bias: "1 V", floor: "1 pA" }).statistics;
    expect(more.log_spread[0]).toBeCloseTo(0.5, 1);
    expect(more.conductance_median[0]).toBeCloseTo(10 ** more.log_median[0], 14);
  });

  test("the amplifier's limit is found, counted and left out; on either side", () => {
    const { map } = film(4);
    const clipped = map.map((I) => Math.min(I, 2e-11));
    const n = clipped.filter((I) => I === Math.fround(2e-11)).length;
    expect(n).toBeGreaterThan(100);
    const { statistics, state, conductance } = measured([clipped, clipped.map((I) => -I)], { bias: "0.5 V" });
    expect([...statistics.saturated]).toEqual([n, n]);
    expect([...state.data].filter((s) => s === 2).length).toBe(2 * n);
    expect(conductance.data.every((G: number) => !(G >= 4e-11 * 0.999))).toBe(true);
    const given = measured([map], { bias: "0.5 V", saturation: "20 pA" }).statistics;
    expect(given.saturated[0]).toBe(n);
    expect(given.mean[0]).toBeCloseTo(statistics.mean[0], 16);
    // They are known to conduct.
    const share = measured([clipped], { bias: "0.5 V", threshold: "20 pA" }).statistics.share[0];
    expect(share).toBeCloseTo((100 * n) / (ROWS * COLS), 9);
  });

  test("maps of one value or of nothing are no limit; nothing below a floor is 0", () => {
    const nothing = new Float32Array(ROWS * COLS);
    const { statistics, conductance } = measured([nothing, nothing.fill(0)], { bias: "1 V" });
    expect([...statistics.saturated, ...statistics.below_floor]).toEqual([0, 0, ROWS * COLS, ROWS * COLS]);
    expect(conductance.data.every(Number.isNaN)).toBe(true);
    expect([statistics.log_median[0], statistics.log_mean[0], statistics.conductance_median[0]]).toEqual([NaN, NaN, NaN]);
    expect([statistics.share[0], statistics.share_se[0]]).toEqual([0, NaN]);
  }); // prettier-ignore

  test("the error of the mean holds for correlated maps: 200 draws", () => {
    const next = random(5);
    let within = 0;
    for (let i = 0; i < 200; i += 20) {
      const maps = Array.from({ length: 20 }, () =>
        roughness(ROWS, COLS, 1, next).map((v) => 1e-12 * (5 + v)),
      );
      const { statistics } = measured(maps, { bias: "1 V", floor: "1 fA" });
      for (let k = 0; k < 20; k++) if (Math.abs(statistics.mean[k] - 5e-12) < statistics.mean_se[k]) within++;
    }
    expect(within / 200).toSatisfy((share: number) => share > 0.58 && share < 0.78); // 68 %, known to 3.3 %
  });
});

describe("the bias", () => {
  const ones = picture(COLS, ROWS, () => 1e-9);
  /** Bias of 1 V to 2 V, stepped in the middle of the frame that ends at 100 s and took 48 s, one a line. */
  const stepped = { time: BigInt64Array.of(0n, 76n * SECOND, 300n * SECOND), bias: Float64Array.of(1, 2, 9) };
  const at = (columns: Record<string, unknown>) => {
    const map = { time: BigInt64Array.of(100n * SECOND), data: ones, ...columns };
    const { resistance, statistics } = feed(conductivity, { images: map, bias: stepped } as never, {
      schema: { images: scanned("A", ROWS, COLS), bias: VOLT }, with: { floor: "1 pA" },
    }); // prettier-ignore
    return { ohms: Array.from({ length: ROWS }, (_, r) => resistance.data[r * COLS]), statistics };
  };

  test("is that of each line where the frame says when its lines were scanned", () => {
    const timed = { duration: Float64Array.of(48), slow_scan: Int32Array.of(0) };
    const up = at(timed);
    // Line j ends at 100 - (47 - j): that of 76 s is j = 23, the first with the new bias.
    up.ohms.forEach((R, r) => expect(R! / 1e9).toBeCloseTo(r < 23 ? 1 : 2, 5));
    expect([up.statistics.bias_range[0], up.statistics.bias[0]]).toEqual([
      1,
      expect.closeTo((23 + 50) / 48, 9),
    ]);
    const down = at({ ...timed, slow_scan: Int32Array.of(1) });
    down.ohms.forEach((R, r) => expect(R! / 1e9).toBeCloseTo(r > 24 ? 1 : 2, 5));
    // Nobody knows which half was first, so nobody knows the bias.
    const unknown = at({ ...timed, slow_scan: Int32Array.of(255) });
    expect(unknown.ohms.every(Number.isNaN)).toBe(true);
    expect(unknown.statistics.reason[0]).toBe(2);
  });

  test("is that of the frame's end where it does not; never a later one", () => {
    expect(at({}).ohms.every((R) => Math.abs(R! / 2e9 - 1) < 1e-5)).toBe(true);
    const early = feed(conductivity, {
      images: { time: BigInt64Array.of(5n), data: ones },
      bias: { time: BigInt64Array.of(6n), bias: Float64Array.of(1) },
    } as never, { schema: { images: scanned("A", ROWS, COLS), bias: VOLT }, with: {} }); // prettier-ignore
    expect([early.statistics.reason[0], early.resistance.data[0], early.statistics.mean[0]]).toEqual([2, NaN, expect.closeTo(1e-9, 15)]); // prettier-ignore
  });

  test("any column of volts will do, of a cycler for one", () => {
    const bias = { time: BigInt64Array.of(0n), voltage_volt: Float64Array.of(0.25) };
    expect(
      measured([ones], { bias_column: "voltage_volt", floor: "1 pA" }, { bias }).statistics.bias[0],
    ).toBe(0.25);
    expect(() => measured([ones], {}, { bias })).toThrow("bias_column: bias needs a column bias [V]; it has voltage_volt"); // prettier-ignore
    expect(() => measured([ones], { bias_column: "other" }, { bias: { ...bias, other: Float64Array.of(1) } })).toThrow(/needs a column other \[V\]/); // prettier-ignore
  });

  test("must be given once, and by ports that are known", () => {
    expect(() => measured([ones])).toThrow(
      "bias: is not known; give the option bias, or a stream as port bias",
    );
    expect(() => measured([ones], { bias: "1 V" }, { bias: stepped })).toThrow(/as an option and as a port/);
    const other = { time: BigInt64Array.of(), bias: new Float64Array(0) };
    expect(() => feed(conductivity, { images: frames([ones]), tip: other } as never, { schema: { images: scanned("A", ROWS, COLS), tip: VOLT } })).toThrow("port tip is not known; there are images and bias"); // prettier-ignore
    expect(() => feed(conductivity, { images: { time: BigInt64Array.of(), data: ones } } as never, { schema: { images: { data: image("V", { shape: [ROWS, COLS] }) } } })).toThrow(/images.data must be in A/); // prettier-ignore
    expect(() => measured([ones], { bias: "1 V", within: "0,0,65,2" })).toThrow(/reaches beyond the image/);
  });

  test("of 4,096 changes and more the newest count, and a fault says so", () => {
    const n = 5000;
    const bias = { time: BigInt64Array.from({ length: n }, (_, i) => BigInt(i)), bias: Float64Array.from({ length: n }, (_, i) => 1 + (i % 2)) }; // prettier-ignore
    const { faults, statistics } = measured([ones, ones], { floor: "1 pA" }, { bias });
    expect(faults.map(({ what }: { what: string }) => what)).toEqual([
      expect.stringMatching(/changes so often/),
    ]);
    expect(statistics.bias[1]).toBe(2);
    const values = new LineValues();
    for (let i = 0; i < n; i++) values.add(BigInt(i), i);
    expect(values.save().times.length).toBe(4096);
    expect(values.ofLines(1, { time: 10n, duration_s: NaN, up: true })[0]).toBeNaN();
  });
});

test("twice the bias and twice the current: the same conductance", () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(2, 8, 0.25), (seed, k) => {
      const { map } = film(seed);
      const one = measured([map], { bias: "0.5 V" });
      const other = measured([map.map((I) => k * I)], { bias: `${k * 0.5} V` });
      expect(other.conductance.data).toEqual(one.conductance.data);
      expect(other.statistics.share).toEqual(one.statistics.share);
      expect(other.statistics.mean[0] / one.statistics.mean[0]).toBeCloseTo(k, 9);
    }),
    { seed: 4, numRuns: 8 },
  );
});

test("where noise cannot be read from the map, the floor must be given", () => {
  const { map } = film(7);
  const sparse = map.map((I, i) => (i % 2 ? NaN : I));
  const { statistics } = measured([sparse], { bias: "0.5 V" });
  expect([statistics.floor[0], statistics.reason[0], statistics.log_median[0]]).toEqual([NaN, 3, NaN]);
  expect(measured([sparse], { bias: "0.5 V", floor: "0.2 pA" }).statistics.reason[0]).toBe(0);
});

test("pixels without a value are missing; a frame of them has no statistics", () => {
  const { map } = film(6);
  const holed = map.map((I, i) => (i < 100 ? NaN : I));
  const { statistics, state } = measured([holed, map.map(() => NaN)], { bias: "0.5 V" });
  expect([...statistics.missing]).toEqual([100, ROWS * COLS]);
  expect([...statistics.reason]).toEqual([0, 1]);
  expect([statistics.mean[1], statistics.share[1], statistics.log_median[1], statistics.noise[1]]).toEqual([NaN, NaN, NaN, NaN]); // prettier-ignore
  expect(state.data[0]).toBe(255);
});

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const list = Array.from({ length: 5 }, (_, i) => film(20 + i).map);
  const columns = { duration: new Float64Array(5).fill(0.9), slow_scan: Int32Array.of(0, 1, 0, 1, 255) };
  const bias = { time: BigInt64Array.from({ length: 14 }, (_, i) => (BigInt(i) * SECOND * 2n) / 5n), bias: Float64Array.from({ length: 14 }, (_, i) => 0.5 + 0.1 * i) }; // prettier-ignore
  const whole = measured(list, {}, { columns, bias });
  for (const rows of [1, 3, 7]) {
    const again = measured(list, {}, { columns, bias, rows, reloadAfter: [1, 2, 4] });
    expect(again.statistics).toEqual(whole.statistics);
    for (const port of ["resistance", "conductance", "state"])
      expect(Buffer.compare(bytes(again[port].data), bytes(whole[port].data))).toBe(0);
  }
  expect(measured([], { bias: "1 V" }).statistics.time.length).toBe(0);
});

const bytes = (data: Float32Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

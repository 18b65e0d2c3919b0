// What is drawn against what: drifts, the modulus against the potential, points as of the same time.
import fc from "fast-check";
import { expect, test } from "vitest";
import { code, image, scalar, type Fields } from "../../runtime/wire/schema.ts";
import type { StreamEntry } from "../../ui/client/types.ts";
import { choose } from "../../ui/panels.ts";
import { columnId, driftsOf, modulusAgainstPotential } from "../../ui/plot-panels.ts";
import { readableWithError } from "../../ui/readable-numbers.ts";
import { errorEllipse, pointAt, pointsOf } from "../../ui/scatter.ts";
import { TraceBuffer } from "../../ui/trace-buffer.ts";
import { FakeClient } from "./fake-client.ts";

const entry = (stream: string, fields: Fields, metadata: Record<string, string> = {}): StreamEntry => ({
  stream, epoch: 0, schema: { fields, metadata }, state: "active", derived: true, provisional: false,
  rows: 0, firstTime: NaN, lastTime: NaN, watermark: NaN,
}); // prettier-ignore

const M = { shift_x: scalar("m"), shift_y: scalar("m"), shift_x_se: scalar("m"), shift_y_se: scalar("m") };
const PX = { shift_row: scalar("{px}"), shift_col: scalar("{px}"), shift_row_se: scalar("{px}"), shift_col_se: scalar("{px}") }; // prettier-ignore

test("a drift in metres is shown before the same in pixels, and rows grow downwards", () => {
  const drifts = driftsOf([
    entry("d.aligned", { data: image("m"), ...PX }),
    entry("d.drift", { ...PX, ...M, covariance_x_y: scalar("m2") }),
  ]);
  expect(drifts).toMatchObject([
    { id: "d.drift/path", x: { column: "shift_x", error: "shift_x_se" }, covariance: "covariance_x_y", downwards: false },
    { id: "d.aligned/path", x: { column: "shift_col" }, y: { column: "shift_row" }, downwards: true },
  ]); // prettier-ignore
  // Row 0 at the bottom: rows grow upwards.
  expect(driftsOf([entry("d.a", PX, { first_row: "smallest y" })])[0]!.downwards).toBe(false);
  // Of views of a scan it is no path.
  expect(driftsOf([entry("m.frames", { ...M, rotation_angle: scalar("deg") })])).toEqual([]);
  expect(driftsOf([entry("a.b", { shift_x: scalar("m"), shift_y: scalar("{px}") })])).toEqual([]);
});

test.each([
  ["covariance", true],
  ["shift_covariance", true],
  ["covariance_xy", true],
  ["shift_x_y_covariance", true],
  ["covariance_row_col", false],
  ["covariance_x_rotation", false],
])("%s is the covariance of x and y: %s", (name, is) => {
  const [drift] = driftsOf([entry("d.drift", { ...M, [name]: scalar("m2") })]);
  expect(drift!.covariance).toBe(is ? name : undefined);
});

const JOINED = { median: scalar("Pa"), median_se: scalar("Pa"), mad: scalar("Pa"), echem_voltage_volt: scalar("V"), echem_age: scalar("s") }; // prettier-ignore
const ids = (pair: ReturnType<typeof modulusAgainstPotential>) =>
  pair && [columnId(pair.y), columnId(pair.x)];

test("the modulus against the potential: joined in one stream before two, single curves not at all", () => {
  const rolling = entry("r.rolling", { median: scalar("Pa", { uncertainty: "median_se" }), median_se: scalar("Pa") }); // prettier-ignore
  const echem = entry("c.echem", { voltage_volt: scalar("V") });
  const single = entry("m.modulus", { modulus: scalar("Pa"), index: code() });
  const shown = {
    modulus: { stream: "r.rolling", column: "median" },
    voltage: { stream: "c.echem", column: "voltage_volt" },
  };
  expect(ids(modulusAgainstPotential([rolling, echem, entry("j.joined", JOINED)], shown))).toEqual([
    "j.joined/median",
    "j.joined/echem_voltage_volt",
  ]);
  expect(ids(modulusAgainstPotential([rolling, echem], shown))).toEqual([
    "r.rolling/median",
    "c.echem/voltage_volt",
  ]);
  const alone = { ...shown, modulus: { stream: "m.modulus", column: "modulus" } };
  expect(modulusAgainstPotential([single, echem], alone)).toBeUndefined();
  expect(modulusAgainstPotential([rolling], { ...shown, voltage: undefined })).toBeUndefined();
});

test("the page offers both where their streams are, and nothing where they are not", () => {
  const { drifts, against } = choose(new FakeClient({ afm: true }).catalogue);
  expect(drifts.map(({ id }) => id)).toEqual(["drift.drift/path"]);
  expect(ids(against)).toEqual(["joined.joined/median", "joined.joined/echem_voltage_volt"]);
  expect(choose(new Map())).toMatchObject({ drifts: [], against: undefined, columns: [] });
});

function buffer(column: string, rows: readonly (readonly [time: number, value: number])[]): TraceBuffer {
  const made = new TraceBuffer(rows.length + 1);
  const values = Float64Array.from(rows, ([, value]) => value);
  const count = Uint32Array.from(rows, ([, value]) => Number(Number.isFinite(value)));
  made.push({
    kind: "trace", time: Float64Array.from(rows, ([time]) => time), columns: { [column]: { min: values, max: values, count } }, reset: true, dropped: 0,
  }); // prettier-ignore
  return made;
}

test("of two streams a point has what the other read last, never what it read later, and none from before a silence", () => {
  const y = buffer("y", [[0, 1], [10, 2], [20, 3], [30, NaN], [95, 4]]); // prettier-ignore
  const x = buffer("x", [[1, 10], [6, 20], [11, 30], [16, 40], [21, 50], [90, 60]]); // prettier-ignore
  const { time, x: xs, y: ys } = pointsOf({ buffer: x, column: "x" }, { buffer: y, column: "y" }, 0, 100);
  expect([...time]).toEqual([10, 20, 95]);
  expect([...ys]).toEqual([2, 3, 4]);
  expect([...xs]).toEqual([20, 40, 60]);
  const later = buffer("y", [[80, 1]]);
  expect(
    pointsOf({ buffer: x, column: "x" }, { buffer: later, column: "y" }, 0, 100).time.length,
  ).toBe(0); // x was silent for 59 of its 5
}); // prettier-ignore

test("of one stream a point has both of its bucket, and is left out where one is missing", () => {
  const both = new TraceBuffer(8);
  const column = (...values: number[]) => ({
    min: Float64Array.from(values), max: Float64Array.from(values), count: Uint32Array.from(values, (v) => Number(Number.isFinite(v))),
  }); // prettier-ignore
  both.push({ kind: "trace", time: Float64Array.of(1, 2, 3), columns: { x: column(1, NaN, 3), y: column(4, 5, 6) }, reset: true, dropped: 0 }); // prettier-ignore
  const points = pointsOf({ buffer: both, column: "x" }, { buffer: both, column: "y" }, 0, 9);
  expect([...points.time]).toEqual([1, 3]);
  expect([...points.x, ...points.y]).toEqual([1, 3, 4, 6]);
  expect(pointAt(points, 2.5)).toBe(0);
  expect(pointAt(points, 0.5)).toBe(-1);
});

test("the ellipse has the variances that it was made from, along any direction", () => {
  const parameters = fc.record({ a: fc.double({ min: 0.1, max: 10, noNaN: true }), share: fc.double({ min: 0.05, max: 1, noNaN: true }), angle: fc.double({ min: -1.5, max: 1.5, noNaN: true }) }); // prettier-ignore
  fc.assert(
    fc.property(parameters, ({ a, share, angle }) => {
      const b = a * share;
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      const [u, v] = [(a * cos) ** 2 + (b * sin) ** 2, (a * sin) ** 2 + (b * cos) ** 2];
      const found = errorEllipse(Math.sqrt(u), Math.sqrt(v), (a * a - b * b) * cos * sin)!;
      expect(found.a).toBeCloseTo(a, 6);
      expect(found.b).toBeCloseTo(b, 6);
      if (share < 0.95) expect(Math.sin(found.angle_rad - angle)).toBeCloseTo(0, 5);
    }),
    { seed: 3 },
  );
  expect(errorEllipse(NaN, 1, 0)).toBeUndefined();
  expect(errorEllipse(2, 1, NaN)).toEqual({ a: 2, b: 1, angle_rad: 0 });
});

test("an error has two figures, and its value as many decimals", () => {
  const GPa = { factor: 1e-9, unit: "GPa" };
  expect(readableWithError(2.3104e9, 4.21e7, GPa)).toBe("2.310 ± 0.042 GPa");
  expect(readableWithError(-1.5, 12, { factor: 1, unit: "" })).toBe("−2 ± 12");
  expect(readableWithError(2.3104e9, NaN, GPa)).toBe("2.310 GPa");
  expect(readableWithError(NaN, NaN, GPa)).toBe("– GPa");
});

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { AfmFile } from "../../../sources/afm/afm-file.ts";
import { afmHdf5 } from "../../../sources/afm/afm-hdf5.ts";
import { makeExport, type MadeExport } from "./make-jpk-hdf5.ts";

const folder = mkdtempSync(join(tmpdir(), "operando export ä-"));
afterAll(() => rmSync(folder, { recursive: true }));

const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
const AS_IS = { springConstant_N_per_m: NaN, deflectionSensitivity_m_per_V: NaN };
let count = 0;
const open = async (curves: Record<string, MadeExport>): Promise<AfmFile> =>
  afmHdf5.open(await makeExport(join(folder, `made ${count++}.h5`), curves), zoned);

const columns = {
  force: [-1e-10, 0, 3e-9, 1e-9],
  "height (measured)": [4e-6, 3e-6, 2e-6, 3e-6],
  "height (piezo)": [9e-6, 8e-6, 7e-6, 8e-6],
  segment: [0, 0, 0, 1],
};

test("a curve is what was written, the sensor's height before the piezo's", async () => {
  const attributes = { "position x": 1e-6, "position y": -2e-6, duration: 0.5, date: "2021-01-29", time: "17:03:10.25", "point count": 4 }; // prettier-ignore
  const file = await open({ 0: { attributes, columns } });
  expect(file).toMatchObject({
    format: "afmformats HDF5, version 0.18.7",
    instrument: "Bench µ1",
    software: "JPK",
    warnings: [],
  });
  expect(await file.curves!.read(0, AS_IS)).toEqual({
    name: "0", index: 0, time: zoned("2021-01-29T17:03:10") + 0n, duration_s: 0.5, x_m: 1e-6, y_m: -2e-6,
    height_m: Float64Array.from(columns["height (measured)"]), force_N: Float64Array.from(columns.force),
    segment: Uint8Array.of(0, 0, 0, 1), springConstant_N_per_m: 0.04, deflectionSensitivity_m_per_V: 7e-8, warnings: [],
  }); // prettier-ignore
  expect(await file.curves!.timeOf(0)).toMatchObject({ zoned: false });
});

test("three segments are approach, pause and retract", async () => {
  const made = { ...columns, segment: [0, 1, 2, 2] };
  for (const mode of ["creep-compliance", "stress-relaxation"]) {
    const { curves } = await open({ 0: { attributes: { "imaging mode": mode }, columns: made } });
    expect([...(await curves!.read(0, AS_IS)).segment]).toEqual([0, 2, 1, 1]);
  }
  const { curves } = await open({ 0: { columns: made } });
  const { segment, warnings } = await curves!.read(0, AS_IS);
  expect([...segment]).toEqual([0, 1, 255, 255]);
  expect(warnings).toEqual([
    'column segment holds 2; known are 0 to 1 (imaging mode "force-distance")',
  ]);
}); // prettier-ignore

test("a calibration by hand scales every force by exactly its ratio to the file's", async () => {
  const { curves } = await open({ 0: { columns } });
  await fc.assert(
    fc.asyncProperty(fc.double({ min: 1e-3, max: 100, noNaN: true }), fc.double({ min: 1e-9, max: 1e-6, noNaN: true }), async (k, s) => {
      const { force_N } = await curves!.read(0, { springConstant_N_per_m: k, deflectionSensitivity_m_per_V: s });
      const ratio = (k / 0.04) * (s / 7e-8);
      columns.force.forEach((force, i) => expect(Math.abs(force_N[i]! - force * ratio)).toBeLessThanOrEqual(Math.abs(force * ratio) * 1e-14));
    }),
    { seed: 2, numRuns: 20 },
  ); // prettier-ignore
});

test("a map keeps the pixels that its curves are at, by index or by position", async () => {
  const grid = { "grid shape x": 3, "grid shape y": 2, "grid size x": 3e-6, "grid size y": 2e-6 };
  const { curves } = await open({
    2: { attributes: { ...grid, "grid index x": 2, "grid index y": 1 }, columns },
    10: { attributes: { ...grid, "grid center x": 1e-6, "grid center y": 0, "position x": 1e-6, "position y": -0.5e-6 }, columns },
  }); // prettier-ignore
  expect(curves).toMatchObject({
    grid: { columns: 3, rows: 2, sizeX_m: 3e-6, sizeY_m: 2e-6 },
    numbers: [2, 10],
    expected: 6,
  });
  expect((await curves!.read(2, AS_IS)).index).toBe(5);
  expect((await curves!.read(10, AS_IS)).index).toBe(1);
});

describe("bad input", () => {
  test("one bad curve leaves the others", async () => {
    const { curves } = await open({
      0: { columns: { segment: [0, 1] } },
      1: { columns: { ...columns, force: { unit: "nN", values: [1, 2, 3, 4] } } },
      2: { columns: { force: [], "height (piezo)": [] } },
      3: { columns },
    });
    await expect(curves!.read(0, AS_IS)).rejects.toThrow(/h5: 0 has neither force nor height/);
    await expect(curves!.read(1, AS_IS)).rejects.toThrow(/h5: 1\/force: is in "nN"; wanted "N"/);
    await expect(curves!.read(2, AS_IS)).rejects.toThrow(/h5: 2 has no points/);
    expect((await curves!.read(3, AS_IS)).force_N.length).toBe(4);
  });

  test("what is missing is NaN or unknown, with a warning; NaN stay NaN", async () => {
    const { curves } = await open({
      0: { columns: { force: [1, NaN, 3], "height (piezo)": [1, 2, NaN, 4] }, attributes: { "point count": 4, "spring constant": undefined } },
      1: { columns: { "height (piezo)": [1, 2], segment: [0, 1] } },
    }); // prettier-ignore
    const first = await curves!.read(0, AS_IS);
    expect([...first.force_N]).toEqual([1, NaN, 3]);
    expect([...first.height_m]).toEqual([1, 2, NaN]);
    expect([...first.segment]).toEqual([255, 255, 255]);
    expect(first.warnings).toEqual([
      "its columns have unequal lengths (height (piezo) 4, force 3); the shortest counts",
      "holds 3 points, its point count says 4",
      "spring_constant is not in the file; force stands as the instrument computed it",
      "has no column segment, so its segments are unknown",
    ]);
    const second = await curves!.read(1, AS_IS);
    expect([...second.force_N]).toEqual([NaN, NaN]);
    expect(second.warnings).toEqual(["has no force, so force is NaN"]);
  });

  test("a file without curves is refused", async () => {
    await expect(open({})).rejects.toThrow(/holds no force curve: its groups are none, wanted 0, 1, …/);
  });
});

test("claims what says in its first bytes that it is afmformats'", async () => {
  const path = await makeExport(join(folder, "claimed.h5"), { 0: { columns } });
  expect(afmHdf5.claims!(readFileSync(path).subarray(0, 4096), path)).toBe(true);
});

const real = fileURLToPath(new URL("../../../../shared/data/afm/afmformats-h5/fmt-hdf5-fd_version_0.13.3.h5", import.meta.url)); // prettier-ignore
test.runIf(existsSync(real))("a real export: its numbers and what they say of each other", async () => {
  const { curves } = await afmHdf5.open(real, zoned);
  const { force_N, height_m, segment, warnings, ...rest } = await curves!.read(0, AS_IS);
  expect(warnings).toEqual([]);
  expect(rest).toMatchObject({ duration_s: 3.8979999999999997, springConstant_N_per_m: 0.02230065831827453 });
  expect(force_N.length).toBe(7796);
  const end = segment.lastIndexOf(0);
  // z range and setpoint, as its attributes have them: the piezo's way, which the sensor found 1.9 % longer, and the trigger
  expect(Math.abs((height_m[0]! - height_m[end]!) / 2.6411999118610286e-5 - 1)).toBeLessThan(0.03);
  expect(Math.abs((force_N[end]! - force_N[0]!) / 6.000000000000001e-9 - 1)).toBeLessThan(0.05);
});

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gwyddion } from "../../../sources/afm/gwyddion.ts";
import { gwy, gwyField, gwyObject, type GwyValue } from "./make-gwy.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "gwy "))));
afterAll(() => rmSync(directory, { recursive: true }));
function write(bytes: Uint8Array): string {
  const path = join(directory, `${++count}.gwy`);
  writeFileSync(path, bytes);
  return path;
}
const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
type Components = readonly (readonly [string, GwyValue])[];
const open = (components: Components) => gwyddion.open(write(gwy(components)), zoned);

const values = [1, 2, 3, 4, 5, NaN]; // the top row is 1, 2, 3
const field = { columns: 3, rows: 2, values };
const image = (id: number, title: string, unit = "m", more = {}): Components => [
  [`/${id}/data`, { o: gwyField({ ...field, unit, ...more }) }],
  [`/${id}/data/title`, { s: title }],
];

test("rows come from the smallest y up: Gwyddion's run from the top down", async () => {
  const file = await open([["/filename", { s: "somewhere" }], ...image(4, "Height", "m", { offset: [1e-6, 3e-6] }), ["/4/data/visible", { b: true }]]); // prettier-ignore
  expect([...(await file.images!.read(0, 0))]).toEqual([4, 5, NaN, 1, 2, 3]);
  expect([file.images!.sizeX_m, file.images!.sizeY_m, file.warnings, file.start]).toEqual([1e-6, 2e-6, [], undefined]); // prettier-ignore
  expect(await file.images!.frame(0)).toEqual({ end: undefined, duration_s: NaN, slowScan: 255, centerX_m: 1.5e-6, centerY_m: -4e-6, angle_deg: NaN }); // prettier-ignore
  await file.close();
});

test("any image comes back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.infiniteStream(fc.float()), async (columns, rows, numbers) => {
      const made = [...numbers.take(columns * rows)];
      const file = await open(image(0, "Height", "m", { columns, rows, values: made }));
      const fromTop = Array.from({ length: rows }, (_, row) => made.slice(row * columns, (row + 1) * columns));
      expect([...(await file.images!.read(0, 0))]).toEqual(fromTop.toReversed().flat());
      await file.close();
    }),
    { seed: 4, numRuns: 30 },
  ); // prettier-ignore
});

test.each([
  ["Height", "m", "topography", 0, 1],
  ["ZSensor Retrace", "m", "topography", 1, 1],
  ["Height Sensor", "nm", "topography", 0, 1e-9],
  ["Phase (backward)", "deg", "phase", 1, 1],
  ["Phase", "rad", "phase", 0, 180 / Math.PI],
  ["Amplitude", "m", "amplitude", 0, 1],
  ["Amplitude", "mV", "amplitude_volt", 0, 1e-3],
  ["Amplitude Error", "V", "amplitude_volt", 0, 1],
  ["Deflection Error", "V", "deflection_volt", 0, 1],
  ["Lateral", "V", "friction", 0, 1],
  ["TUNA Current", "pA", "current", 0, 1e-12],
  ["Surface potential", "V", "potential", 0, 1],
  ["DMTModulus", "GPa", "modulus", 0, 1e9],
  ["Adhesion", "nN", "adhesion", 0, 1e-9],
  ["Deformation", "m", "deformation", 0, 1],
  ["Dissipation", "J", "dissipation", 0, 1],
  ["Something", "A", "current", 0, 1],
  ["Something", "m", "topography", 0, 1],
  ["Something", "V", undefined, 0, 1],
  ["Height", "V", undefined, 0, 1],
  ["Height", "", undefined, 0, 1],
])("%s in %s goes to %s", async (title, unit, port, direction, scale) => {
  const file = await open(image(0, title, unit));
  expect(file.images!.channels[0]).toMatchObject({ name: title, port, direction });
  expect([...(await file.images!.read(0, 0))].slice(3)).toEqual([1, 2, 3].map((value) => Math.fround(value * scale))); // prettier-ignore
  await file.close();
});

test("of several images for one stream the first is given, and sizes must agree; a named one goes before a guess", async () => {
  const file = await open([...image(7, "Mask of grains", "m"), ...image(2, "Height", "m"), ...image(5, "Height again", "m"), ...image(9, "Phase", "deg", { size: [5e-6, 5e-6] }), ...image(11, "Z sensor", "m")]); // prettier-ignore
  expect(file.images!.channels.map(({ name, port, rank }) => [name, port, rank])).toEqual([["Height", "topography", 0], ["Height again", undefined, 0], ["Mask of grains", "topography", -1], ["Phase", undefined, 0], ["Z sensor", "topography", 1]]); // prettier-ignore
  expect(file.warnings).toEqual([
    expect.stringMatching(/image \/5\/data "Height again" is one more topography; only the first is given/),
    expect.stringMatching(/image \/9\/data "Phase" is of another size than "Height"; it is left out/),
  ]);
  await file.close();
});

test.each([
  [{ "Date": "2021-10-11", "Time": "3:52:01 PM" }, "2021-10-11T15:52:01"],
  [{ "Date and time": "2021-10-11 15:52:01.5" }, "2021-10-11T15:52:01"],
  [{ Date: "04:33:12 PM Thu Jun 23 2016" }, "2016-06-23T16:33:12"],
  [{ Date: "01-03-2016", Time: "18:36:58" }, undefined],
  [{ Date: "2021-02-30", Time: "18:36:58" }, undefined],
  [{ Comment: "2021-10-11 15:52:01" }, undefined],
] as const)("the time of %j is %s", async (meta, wanted) => {
  const texts = Object.entries(meta).map(([key, value]) => [key, { s: value }] as const);
  const file = await open([...image(0, "Height"), ["/0/meta", { o: gwyObject("GwyContainer", texts) }]]);
  expect(file.start).toEqual(wanted && { ns: zoned(wanted), zoned: false });
  await file.close();
}); // prettier-ignore

test("what cannot be read says where and why, and the rest is read", async () => {
  const refused = (bytes: Uint8Array, why: RegExp): Promise<void> => expect(gwyddion.open(write(bytes), zoned)).rejects.toThrow(why); // prettier-ignore
  const whole = gwy([...image(0, "Height"), ...image(1, "Phase", "deg")]);
  await refused(Buffer.from("GWYO old"), /is no Gwyddion file: it begins with "GWYO", not GWYP/);
  await refused(Buffer.alloc(0), /is no Gwyddion file: it begins with ""/);
  await refused(Buffer.concat([Buffer.from("GWYP"), gwyObject("GwyGraph", [])]), /holds a GwyGraph, not a GwyContainer/);
  await refused(gwy([["/0/data/title", { s: "alone" }]]), /is a Gwyddion file without images/);
  await refused(whole.subarray(0, 40), /is damaged or cut short/);
  await refused(Buffer.from(whole.toString("latin1").replace("/0/data\0o", "/0/data\0z"), "latin1"), /component \/0\/data is of type "z"; known are/);

  const cut = await gwyddion.open(write(whole.subarray(0, whole.length - 100)), zoned);
  expect(cut.warnings).toEqual([expect.stringMatching(/is cut short: 100 bytes are missing/), expect.stringMatching(/image \/1\/data|what stands before it is read \(images: 1\)/)]);
  expect([...(await cut.images!.read(0, 0))]).toEqual([4, 5, NaN, 1, 2, 3]);
  await cut.close();

  for (const [more, why] of [
    [{ columns: 4 }, /image \/1\/data says 2 × 4 pixels, but has 6 values; it is left out/],
    [{ columns: 2 ** 30 }, /says 2 × 1073741824 pixels; 1 to 33554432 can be read/],
    [{ columns: 0 }, /says 2 × 0 pixels/],
  ] as const) {
    const file = await open([...image(0, "Height"), ...image(1, "Phase", "deg", more)]);
    expect(file.images!.channels.map(({ name }) => name)).toEqual(["Height"]);
    expect(file.warnings).toEqual([expect.stringMatching(why)]);
    await file.close();
  }
  await expect(open(image(1, "Phase", "deg", { columns: 0 }))).rejects.toThrow(/none of its 1 images can be read; the first says 2 × 0 pixels/);
  await expect(open([["/0/data", { o: gwyObject("GwyBrick", []) }]])).rejects.toThrow(/none of its 1 images can be read; the first is a GwyBrick/);
  const nested = (depth: number): Buffer => gwyObject("GwyContainer", depth === 0 ? [] : [["deeper", { o: nested(depth - 1) }]]);
  await (await open([["/deep", { o: nested(40) }], ...image(0, "Height")])).close(); // what nobody asks for is stepped over
}); // prettier-ignore

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("a file of Gwyddion", () => {
  interface Expected { min: number; max: number; first3: number[]; at_row10_col20: number } // prettier-ignore
  test("gwy/test.gwy", async () => {
    const { files } = JSON.parse(readFileSync(`${shared}expected_shared.json`, "utf8")) as { files: Record<string, { channels: Record<string, Expected> }> }; // prettier-ignore
    const wanted = files["gwy/test.gwy"]!.channels["0"]!;
    const file = await gwyddion.open(`${shared}gwy/test.gwy`, zoned);
    const data = await file.images!.read(0, 0);
    const top = (row: number, column: number): number => data[(127 - row) * 128 + column]!;
    wanted.first3.forEach((value, i) => expect(Math.abs(top(0, i) / value - 1)).toBeLessThan(1e-6));
    expect(Math.abs(top(10, 20) / wanted.at_row10_col20 - 1)).toBeLessThan(1e-6);
    expect([Math.min(...data), Math.max(...data)]).toEqual([wanted.min, Math.fround(wanted.max)]);
    expect(file.images!.channels[0]).toMatchObject({ name: "Test", port: undefined, unit: "", rows: 128, columns: 128 }); // prettier-ignore
    await file.close();
  });
});

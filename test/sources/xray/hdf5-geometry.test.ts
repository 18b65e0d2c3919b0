import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concat, type Columns } from "../../../runtime/columns.ts";
import { readConfig } from "../../../runtime/config.ts";
import type { Fault, SourceItem } from "../../../runtime/index.ts";
import { tomography } from "../../../sources/xray/tomography.ts";
import { startWriter, type Writer } from "./growing-file.ts";
import { dataExchange, folder, nxtomo, NXTOMO_GROUPS, writeHdf5, type Member } from "./tomography-files.ts"; // prettier-ignore

const directory = folder();
let files = 0;

async function readAll(path: string, options: Record<string, unknown> = {}) {
  const { config, problems } = readConfig(tomography.config, { path, ...options });
  expect(problems).toEqual([]);
  const context = { signal: new AbortController().signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory };
  const items: SourceItem[] = [];
  for await (const item of tomography.open(config, context) as AsyncIterable<SourceItem>) items.push(item);
  const schema = items[0]!.schema!["frames"]!;
  const parts = items.flatMap(({ rows }) => (rows ? [rows["frames"] as Columns] : []));
  const columns = (parts.length > 0 ? concat(parts, schema.fields) : {}) as Record<string, Float64Array>;
  return { schema, columns, faults: items.flatMap((item) => item.faults ?? []) as Fault[] };
} // prettier-ignore

const written = (members: Record<string, Member>): Promise<string> =>
  writeHdf5(join(directory, `scan ${++files}.h5`), members, { groups: "/scan1/tomo/definition" in members ? { ...NXTOMO_GROUPS, "/scan1/tomo/hutch/tube": "NXsource" } : {} }); // prettier-ignore
const value = (x: number, units?: string): Member => ({ values: Float64Array.of(x), ...(units && { attributes: { units } }) }); // prettier-ignore
const said = (faults: readonly Fault[]): string[] => faults.map(({ what }) => what);

describe("NXtomo: geometry stands in the metadata, in metres", () => {
  const camera = "/scan1/tomo/hutch/camera";

  test("distances, pixels, magnification, axis", async () => {
    const path = await written({
      ...nxtomo(),
      "/scan1/tomo/hutch/tube/distance": value(-145, "m"), // upstream of the sample
      [`${camera}/distance`]: value(35, "mm"),
      [`${camera}/y_pixel_size`]: value(6.5, "um"),
      [`${camera}/magnification`]: value(10),
      [`${camera}/x_rotation_axis_pixel_position`]: value(1.25),
    });
    const { schema } = await readAll(path);
    expect(schema.metadata).toMatchObject({
      source_distance: "145", detector_distance: "0.035", pixel_size_x: "0.0000065", pixel_size_y: "0.0000065",
      magnification: "10", rotation_axis: "1.25",
    }); // prettier-ignore
    expect(Number(schema.metadata["sample_pixel_size_x"])).toBeCloseTo(0.65e-6, 15);
    expect("geometry" in schema.metadata).toBe(false);
  });

  test("pixels at the sample as the file has them", async () => {
    const { schema } = await readAll(await written({ ...nxtomo(), "/scan1/tomo/thing/x_pixel_size": value(0.7, "um") })); // prettier-ignore
    expect(Number(schema.metadata["sample_pixel_size_x"])).toBeCloseTo(0.7e-6, 15);
  });

  test("an axis that may be counted from the middle is not taken for a column", async () => {
    const path = await written({ ...nxtomo(), [`${camera}/x_rotation_axis_pixel_position`]: value(-0.5) });
    const { schema, faults } = await readAll(path);
    expect("rotation_axis" in schema.metadata).toBe(false);
    expect(said(faults).join()).toMatch(/x_rotation_axis_pixel_position is -0.5, of 3 columns; it may be counted from the middle/);
  }); // prettier-ignore

  test("recorded dither: where the sample stood, in pixels, of projections", async () => {
    const moved = (um: number[], name: string): Record<string, Member> => ({ [`/scan1/tomo/thing/${name}`]: { values: Float64Array.from(um), attributes: { units: "um" } } }); // prettier-ignore
    const path = await written({
      ...nxtomo(),
      [`${camera}/y_pixel_size`]: value(13, "um"),
      ...moved([900, 900, 10, 16.5, 3.5, 900, 10], "x_translation"),
      ...moved([0, 0, 0, 13, -26, 0, 0], "y_translation"),
      ...moved([5, 5, 5, 5, 5, 5, 5], "z_translation"),
    });
    const { columns, schema } = await readAll(path);
    const near = (given: Float64Array): number[] => [...given].map((x) => Math.round(x * 1e9) / 1e9 + 0);
    expect(near(columns["shift_x"]!)).toEqual([NaN, NaN, 0, 1, -1, NaN, NaN]);
    expect(near(columns["shift_y"]!)).toEqual([NaN, NaN, 0, -1, 2, NaN, NaN]);
    expect(schema.fields["shift_x"]!.unit).toBe("{px}");
  });

  test("a sample that rested has no shifts; one that moved by unknown pixels is said", async () => {
    const still = { values: new Float64Array(7).fill(3), attributes: { units: "mm" } };
    const rest = await readAll(await written({ ...nxtomo(), "/scan1/tomo/thing/x_translation": still }));
    expect(Object.keys(rest.schema.fields)).toEqual(["data", "rotation_angle", "image_key"]);
    const up = { values: Float64Array.of(0, 0, 0, 1, 2, 3, 4), attributes: { units: "mm" } };
    const unknown = await readAll(await written({ ...nxtomo(), "/scan1/tomo/thing/z_translation": up }));
    expect(said(unknown.faults).join()).toMatch(/the sample was moved during the scan, but the pixel size in y is not known/);
  }); // prettier-ignore

  test("the beam monitor goes with the frames", async () => {
    const monitor = { values: Float64Array.of(9, 100, 99, 98, 97, 96, 95) };
    const { columns } = await readAll(await written({ ...nxtomo(), "/scan1/tomo/control/data": monitor }));
    expect([...columns["beam_monitor"]!]).toEqual([9, 100, 99, 98, 97, 96, 95]);
  });

  test("darks and flats before, between and after keep their place; angles are handed on as they are", async () => {
    const angle = { values: Float64Array.of(0, NaN, 90, 90, NaN, 5, -720), attributes: { units: "deg" } };
    const { columns } = await readAll(
      await written({ ...nxtomo(), "/scan1/tomo/thing/rotation_angle": angle }),
    );
    expect([...columns["image_key"]!]).toEqual([2, 1, 0, 0, 0, 1, 3]);
    expect([...columns["rotation_angle"]!]).toEqual([0, NaN, 90, 90, NaN, 5, -720]);
  });
});

describe("Data Exchange", () => {
  const detector = "/measurement/instrument/detector";

  test("objective and pixels at the sample", async () => {
    const path = await written({
      ...dataExchange(),
      [`${detector}/pixel_size`]: value(6.5, "microns"),
      [`${detector}/objective/magnification`]: value(5),
      [`${detector}/distance`]: value(60, "mm"),
    });
    const { schema } = await readAll(path);
    expect(schema.metadata).toMatchObject({ magnification: "5", detector_distance: "0.06", pixel_size_x: "0.0000065" }); // prettier-ignore
    expect(Number(schema.metadata["sample_pixel_size_y"])).toBeCloseTo(1.3e-6, 15);
    const actual = await written({
      ...dataExchange(),
      [`${detector}/actual_pixel_size_x`]: value(1.17, "um"),
    });
    expect(Number((await readAll(actual)).schema.metadata["sample_pixel_size_x"])).toBeCloseTo(1.17e-6, 15);
  });

  test("angles that another stream has", async () => {
    const { "/exchange/theta": _, ...rest } = dataExchange();
    const { columns, schema } = await readAll(await written(rest), { without_angles: true });
    expect([...columns["rotation_angle"]!]).toEqual(Array.from({ length: 10 }, () => NaN));
    expect(schema.metadata["rotation_angles"]).toBe("elsewhere");
  });
});

describe("a file that is cut short within its chunks", () => {
  let writer: Writer;
  beforeAll(async () => void (writer = await startWriter()));
  afterAll(() => writer.end());

  /** Frame i, 24 × 24 counts that no compression makes small. */
  const frame = (i: number): number[] =>
    Array.from({ length: 576 }, (_, k) => 1 + (((576 * i + k) * 40503) % 65521));

  test("frames before are given out, the rest is unread, none is wrong; or it is refused with both lengths", async () => {
    const path = join(directory, "whole.h5");
    await writer.create(path);
    await writer.dataset("/exchange/theta", "<d", [0]);
    await writer.write(
      "/exchange/theta",
      0,
      Array.from({ length: 40 }, (_, i) => i),
    );
    await writer.dataset("/exchange/data", "<H", [40, 24, 24], { fixed: true });
    await writer.flush();
    for (let i = 0; i < 40; i++) {
      await writer.write("/exchange/data", i, frame(i));
      await writer.flush();
    }
    await writer.close();
    const bytes = readFileSync(path);
    const counts = new Set<number>();
    for (let length = bytes.length - 1; length > 500; length -= 2311) {
      const cut = join(directory, `cut at ${length}.h5`);
      writeFileSync(cut, bytes.subarray(0, length));
      const both = new RegExp(`cut short at byte ${length}: .* ${bytes.length} bytes`);
      const result = await readAll(cut, { rate: "1 Hz" }).catch((error: Error) => error);
      if (result instanceof Error) {
        expect(result.message).toMatch(both);
        continue;
      }
      const { columns, faults } = result;
      expect(said(faults).join()).toMatch(/is cut short/);
      const given = [...(columns["rotation_angle"] ?? [])];
      expect([...(columns["data"] ?? [])]).toEqual(given.flatMap(frame));
      expect(faults.filter(({ unread }) => unread)).toHaveLength(40 - given.length);
      counts.add(given.length);
    }
    expect(counts.size).toBeGreaterThan(5);
  });
});

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SourceItem } from "../../../runtime/index.ts";
import { readFrame } from "../../../sources/xray/frame-files.ts";
import { tomography } from "../../../sources/xray/tomography.ts";
import { npy } from "./npy-files.ts";
import { ole, txrm } from "./ole-files.ts";
import { open, readAll, together } from "./read-scan.ts";
import { ramp, tiff, type TiffOptions } from "../tiff-files.ts";
import { dataExchange, writeHdf5 } from "./tomography-files.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "bilder "))));
afterAll(() => rmSync(directory, { recursive: true }));

/** A folder of single images, each a second after the one before it. */
function images(
  names: readonly string[],
  { from = 0, ...options }: TiffOptions & { from?: number } = {},
): string {
  const folder = join(directory, `scan ${++count}`);
  mkdirSync(folder);
  names.forEach((name, i) => put(folder, name, tiff([ramp(2, 3, from + 10 * i)], options), 1000 + i));
  return folder;
}
function put(folder: string, name: string, bytes: string | Uint8Array, second = 1000): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  utimesSync(path, second, second);
  return path;
}
const said = (faults: readonly { what: string }[]): string => faults.map(({ what }) => what).join("\n");
const NAMES = ["p_1.tif", "p_2.tif", "p_10.tif"];
const firsts = (data: ArrayLike<number>, size = 6): number[] => Array.from({ length: data.length / size }, (_, i) => data[i * size]!); // prettier-ignore

describe("a folder of TIFF images", () => {
  test("in natural order, timed when each was written, by reference, with the angles beside them", async () => {
    const folder = images([...NAMES].reverse());
    NAMES.forEach((name, i) => utimesSync(join(folder, name), 2000 + i, 2000 + i));
    put(folder, "angles.txt", "# degrees\n0\n30.5\n\n 61 # the last\n");
    put(folder, "notes.md", "not an image");
    const { columns, schema, items, port, faults } = await readAll(folder);
    expect(port).toBe("frames");
    expect(firsts(columns.data)).toEqual([20, 10, 0]);
    expect(columns.data).toBeInstanceOf(Uint16Array);
    expect([...columns.rotation_angle]).toEqual([0, 30.5, 61]);
    expect([...columns.time]).toEqual([2000n, 2001n, 2002n].map((s) => s * 1_000_000_000n));
    expect(schema.metadata).toMatchObject({
      layout: "TIFF images", rotation_angles: "from angles.txt", time_basis: "first seen", frame_times: "when the files were written",
      projections: "3",
    }); // prettier-ignore
    expect(said(faults)).toMatch(/^\S.*has no flat and no dark field/);
    const references = items.flatMap(({ references }) => (references ? [references["frames"]!] : []));
    expect(references[1]).toEqual({
      column: "data",
      file: join(folder, "p_2.tif"),
      dataset: "pages",
      first: 0,
    });
    expect([...(await readFrame(references[1]!))]).toEqual([...columns.data.slice(6, 12)]);
  });

  test("darks and flats of other folders and files stand before and after", async () => {
    const folder = images(NAMES, { from: 100 });
    const darks = images(["d1.tif", "d2.tif"], { from: 1 });
    put(directory, "flats.tif", tiff([ramp(2, 3, 500), ramp(2, 3, 600)]));
    put(directory, "after.npy", npy("u2", [1, 2, 3], [7, 7, 7, 7, 7, 7]));
    const { columns, faults } = await readAll(
      `${folder}/*.tif`,
      { angle_range: "180 deg", darks: `${darks}/d*.tif`, flats: "flats.tif", flats_after: "after.npy" },
      { directory },
    );
    expect([...columns.image_key]).toEqual([2, 2, 1, 1, 0, 0, 0, 1]);
    expect(firsts(columns.data)).toEqual([1, 11, 500, 600, 100, 110, 120, 7]);
    expect([...columns.rotation_angle]).toEqual([NaN, NaN, NaN, NaN, 0, 60, 120, NaN]);
    expect([...columns.time].map((t) => Number(t / 1_000_000_000n))).toEqual([996, 997, 998, 999, 1000, 1001, 1002, 1003]); // prettier-ignore
    expect(faults).toEqual([]);
    put(directory, "large.tif", tiff([ramp(4, 6)]));
    await expect(
      readAll(folder, { angle_range: "180 deg", flats: join(directory, "large.tif") }),
    ).rejects.toThrow(/large.tif: flats are 4 × 6, the scan's frames 2 × 3; record them at the same binning/);
  });

  test("angles by step follow the numbers in the names, so that a missing file moves no other", async () => {
    const folder = images(["s0000.tif", "s0001.tif", "s0003.tif"]);
    const { columns, faults, schema } = await readAll(folder, { angle_step: "0.5 deg" });
    expect([...columns.rotation_angle]).toEqual([0, 0.5, 1.5]);
    expect(said(faults)).toMatch(/of the files numbered 0 to 3, 1 is missing \(2\); the others keep/);
    expect(schema.metadata["rotation_angles"]).toMatch(/every 0.5 deg \(option angle_step\), by the numbers/);
    const stamped = await readAll(images(["t1767225600123.tif", "t1767225600456.tif"]), {
      angle_step: "0.5 deg",
    });
    expect([...stamped.columns.rotation_angle]).toEqual([0, 0.5]);
    expect(stamped.schema.metadata["rotation_angles"]).toMatch(/by order/);
  });

  test("lists of angles: radians, CSV, .npy, NaN, byte order mark", async () => {
    const folder = images(NAMES);
    const angles = async (name: string, text: string | Uint8Array) => [
      ...(await readAll(folder, { angles: put(directory, name, text) })).columns.rotation_angle,
    ];
    expect(await angles("a.rot", "# angles in radians\n0\n1.5707963267948966\n3.141592653589793\n")).toEqual([0, 90, 180]); // prettier-ignore
    expect(await angles("a.csv", "frame,theta [deg]\r\n1,0\r\n2,45\r\n3,90\r\n")).toEqual([0, 45, 90]);
    expect(await angles("b.csv", "\uFEFFtheta_rad\n0\n0\n3.141592653589793")).toEqual([0, 0, 180]);
    expect(await angles("a.txt", "0\nnan\n90\n")).toEqual([0, NaN, 90]);
    expect(await angles("a.npy", npy("f8", [3], [0, 60, 120]))).toEqual([0, 60, 120]);
    await expect(angles("c.txt", "0\n30 deg\n60\n")).rejects.toThrow(
      /c.txt: line 2 is "30 deg"; wanted one angle/,
    );
    await expect(angles("d.txt", "1 0\n2 30\n3 60\n")).rejects.toThrow(/line 1 is "1 0"; .* heading that says which column/); // prettier-ignore
    await expect(angles("e.txt", "# none\n")).rejects.toThrow(/e.txt: holds no angles/);
    await expect(angles("f.txt", "0\n1\n")).rejects.toThrow(/f.txt: has 2 angles, and .* has 3 projections; wanted as many/); // prettier-ignore
    await expect(readAll(folder, { angles: "none.txt" })).rejects.toThrow(/none.txt: the list of angles cannot be read: there is no such file/); // prettier-ignore
    await expect(readAll(folder)).rejects.toThrow(/its 3 frames have no angles; set angles .*, angle_step, or angle_range .* xray\/radiographs/s); // prettier-ignore
  });

  test("an image of another size or type, cut short or packed otherwise is a fault, the rest goes on", async () => {
    const folder = images(["1.tif", "2.tif", "3.tif", "4.tif", "5.tif", "6.tif"]);
    put(folder, "2.tif", tiff([ramp(3, 3)]), 1001);
    put(folder, "3.tif", tiff([ramp(2, 3)], { type: "f32" }), 1002);
    put(folder, "4.tif", tiff([ramp(2, 3)]).subarray(0, 20), 1003);
    put(folder, "5.tif", tiff([ramp(2, 3)], { tags: { 259: [34887] } }), 1004);
    const { columns, faults } = await readAll(folder, { angle_range: "180 deg" });
    expect([...columns.rotation_angle]).toEqual([0, 150]);
    const lost = faults.filter(({ unread }) => unread);
    expect(said(lost)).toMatch(
      /2.tif: page 1: is 3 × 3 \(u16\), the frames before it are 2 × 3 \(u16\); it is left out/,
    );
    expect(said(lost)).toMatch(/3.tif: page 1: is 2 × 3 \(f32\)/);
    expect(said(lost)).toMatch(/4.tif: .* the file ends at byte 20/);
    expect(said(lost)).toMatch(/5.tif: page 1: its compression 34887 \(LERC\) is not read here/);
    expect(lost.map(({ time }) => time / 1_000_000_000n)).toEqual([1001n, 1002n, 1003n, 1004n]);
  });

  test("nothing in it, or of several kinds", async () => {
    await expect(readAll(images([]), { angle_step: "1 deg" })).rejects.toThrow(/there is no file; wanted TIFF images/); // prettier-ignore
    const folder = images(NAMES);
    put(folder, "x.npy", npy("u1", [1, 1, 1], [1]));
    await expect(readAll(folder, { angle_step: "1 deg" })).rejects.toThrow(/holds files of several kinds: TIFF \(3, such as p_1.tif\), .npy \(1, such as x.npy\); name one kind by a pattern/); // prettier-ignore
    const logs = images([]);
    put(logs, "a.log", "text");
    await expect(readAll(logs, { angle_step: "1 deg" })).rejects.toThrow(/none of 1 files holds frames/);
    const zeiss = images([]);
    put(zeiss, "a.txrm", ole(txrm()));
    await expect(readAll(zeiss, { angle_step: "1 deg" })).rejects.toThrow(/is a scan of Zeiss's/);
  });

  test("images that were written at one time come 1 ns after each other, so that none is late", async () => {
    const folder = images(NAMES);
    for (const name of NAMES) utimesSync(join(folder, name), 4000, 4000);
    const { columns } = await readAll(folder, { angle_step: "1 deg" });
    expect([...columns.time]).toEqual([0n, 1n, 2n].map((ns) => 4_000_000_000_000n + ns));
  });

  test("copied in another order: said, and never times that go back", async () => {
    const folder = images(NAMES);
    utimesSync(join(folder, "p_1.tif"), 5000, 5000);
    const { columns, faults } = await readAll(folder, { angle_step: "1 deg" });
    expect([...columns.time]).toEqual([...columns.time].sort());
    expect(said(faults)).toMatch(/times of frames go back at frame 1/);
    expect(said(faults)).toMatch(/one a second is assumed; set rate/);
    const rated = await readAll(folder, { angle_step: "1 deg", rate: "10 Hz" });
    expect(rated.schema.metadata["frame_times"]).toBe("every 1/10 s (option rate)");
    expect(said(rated.faults)).not.toMatch(/go back/);
  });
});

test("a stack of many pages, and an .npy, give the same frames as a folder", async () => {
  const pages = [0, 1, 2, 3, 4].map((k) => ramp(4, 5, 20 * k));
  const stack = put(directory, "stack.tif", tiff(pages, { big: true, compression: "deflate" }));
  const array = put(directory, "array.npy", npy("u2", [5, 4, 5], pages.flatMap(({ values }) => [...(values as number[])]))); // prettier-ignore
  const strewn = put(directory, "strewn.npy", npy("u2", [5, 4, 5], pages.flatMap(({ values }) => [...(values as number[])]), { fortran: true })); // prettier-ignore
  const all = [];
  for (const path of [stack, array, strewn]) {
    const { columns, items, schema } = await readAll(path, { angle_range: "180 deg", rate: "1 Hz" });
    const reference = items[1]!.references!["frames"]!;
    expect([...(await readFrame({ ...reference, first: 3 }))]).toEqual([...pages[3]!.values as number[]]); // prettier-ignore
    all.push({ columns: { ...columns }, fields: schema.fields });
  }
  expect(all[1]).toEqual(all[0]);
  expect(all[2]).toEqual(all[0]);
  expect(said((await readAll(strewn, { angle_range: "180 deg" })).faults)).toMatch(/is in Fortran order/);
});

describe("geometry", () => {
  const LOG = `[System]\r\nScanner=SkyScan1275\r\nCamera Pixel Size (um)=75.0\r\n[Acquisition]\r\nNumber Of Files=  3\r
Optical Axis (line)=  760\r\nObject to Source (mm)=24.755\r\nCamera to Source (mm)=286.0\r\nSource Voltage (kV)=  80\r
Image Pixel Size (um)=7.000817\r\nExposure (ms)=57\r\nRotation Step (deg)=0.600\r\nFlat Field Correction=ON\r\n`;

  test("a SkyScan log beside the images: distances, pixels, step, exposure", async () => {
    const folder = images(["x~000.tif", "x~001.tif", "x~002.tif"]);
    put(folder, "x~.log", LOG);
    const { columns, schema, faults } = await readAll(folder);
    expect([...columns.rotation_angle]).toEqual([0, 0.6, 1.2]);
    const M = 286 / 24.755;
    expect(schema.metadata).toMatchObject({
      geometry: "cone", source_distance: "0.024755", detector_distance: "0.261245", sample_pixel_size_x: "0.000007000817",
      camera_pixel_size: "0.000075", source_voltage_kV: "80", optical_axis_row: "760", instrument: "SkyScan1275",
    }); // prettier-ignore
    expect(Number(schema.metadata["magnification"])).toBeCloseTo(M, 9);
    expect(Number(schema.metadata["pixel_size_x"])).toBeCloseTo(7.000817e-6 * M, 15);
    expect(said(faults)).toMatch(/flat fields were corrected already/);
  });

  test("a geometry file of our own making, its units in the value or the key", async () => {
    const folder = images(NAMES);
    const file = put(directory, "g.txt", "geometry: fan\n# remark\nsource_distance = 54.35 mm\nSDD (mm) = 225.315\npixel_size_um: 50\nangle_step = 1 deg\nvoxel size = 3\n"); // prettier-ignore
    const { schema, faults } = await readAll(folder, { geometry_file: file });
    expect(schema.metadata).toMatchObject({ geometry: "fan", source_distance: "0.05435", detector_distance: "0.170965", pixel_size_x: "0.00005" }); // prettier-ignore
    expect(said(faults)).toMatch(/line 7, voxel size = 3: wanted a number with its unit/);
    await expect(readAll(folder, { geometry_file: "none.geo" })).rejects.toThrow(/the geometry file cannot be read: there is no such file/); // prettier-ignore
  });

  test("what the pipeline says stands over the file, and is named", async () => {
    const folder = images(NAMES);
    put(folder, "geometry.txt", "geometry = cone\nsource_distance = 0.1 m\ndetector_distance = 0.3 m\npixel_size = 100 um\nangle_step = 1 deg\n"); // prettier-ignore
    const plain = await readAll(folder);
    expect(plain.schema.metadata).toMatchObject({ magnification: "4", sample_pixel_size_x: "0.000025" });
    expect(plain.schema.metadata["overridden"]).toBeUndefined();
    const other = await readAll(folder, { source_distance: "200 mm", pixel_size: "50 um", geometry: "cone" });
    expect(other.schema.metadata).toMatchObject({
      source_distance: "0.2", magnification: "2.5", sample_pixel_size_x: "0.00002", sample_pixel_size_y: "0.00002",
      overridden: "source_distance, pixel_size_x, pixel_size_y",
    }); // prettier-ignore
    const contrary = await readAll(folder, { magnification: 5 });
    expect(said(contrary.faults)).toMatch(
      /magnification is said to be 5, and its distances .* make it 4; 5 is used/,
    );
    expect(contrary.schema.metadata).toMatchObject({ magnification: "5", sample_pixel_size_x: "0.00002" });
    expect(said((await readAll(folder, { magnification: 4.02 })).faults)).not.toMatch(/magnification/);
    const parallel = await readAll(folder, { geometry: "parallel" });
    expect(parallel.schema.metadata).toMatchObject({ geometry: "parallel", sample_pixel_size_x: "0.0001", overridden: "geometry" }); // prettier-ignore
    const bare = await readAll(images(NAMES), { angle_step: "1 deg", geometry: "cone" });
    expect(said(bare.faults)).toMatch(
      /is of a cone beam, and source_distance and detector_distance are not known; set/,
    );
  });
});

describe("followed", () => {
  const follow = { follow: true, poll_every: "1 ms", ends_after: "40 ms" };

  test("images that are there and those that come, once each, whole, and to the end", async () => {
    const folder = images(["f_0.tif", "f_1.tif"]);
    const list = put(directory, "four.txt", "0\n10\n20\n30\n");
    const items: SourceItem[] = [];
    const half = tiff([ramp(2, 3, 70)]);
    let step = 0;
    for await (const item of open(folder, { ...follow, angles: list, ends_after: "200 ms" })) {
      items.push(item);
      const rows = items.filter(({ rows }) => rows).length;
      if (rows === 2 && step === 0) {
        step = 1;
        put(folder, "f_3.tif", half.subarray(0, 30), 1003);
        put(folder, "f_2.tif", tiff([ramp(2, 3, 20)]), 1002);
        put(folder, "readme.txt", "x");
      } else if (rows === 3 && step === 1) {
        step = 2;
        appendFileSync(join(folder, "f_3.tif"), half.subarray(30));
        utimesSync(join(folder, "f_3.tif"), 1003, 1003);
      } else if (rows === 4 && step === 2) {
        step = 3;
        put(folder, "f_4.tif", tiff([ramp(2, 3, 40)]), 1004);
        put(folder, "f_5.tif", half.subarray(0, 12), 1005);
      }
    }
    const { columns, schema, faults } = together(items);
    expect(firsts(columns.data)).toEqual([0, 10, 20, 70, 40]);
    expect([...columns.rotation_angle]).toEqual([0, 10, 20, 30, NaN]);
    expect([...columns.time].map((t) => Number(t / 1_000_000_000n))).toEqual([1000, 1001, 1002, 1003, 1004]);
    expect(schema.metadata["projections"]).toBeUndefined();
    expect(said(faults)).toMatch(/four.txt: has 4 angles, and none for f_4.tif/);
    const unread = faults.filter(({ unread }) => unread);
    expect(unread).toHaveLength(1);
    expect(said(unread)).toMatch(/f_5.tif/);
  });

  test("begins when the first image is complete, and ends when it is told to", async () => {
    const folder = images([]);
    const end = new AbortController();
    const reading = (async () => {
      const items: SourceItem[] = [];
      for await (const item of open(folder, { ...follow, angle_step: "2 deg", ends_after: "1000 s" }, { signal: end.signal })) {
        items.push(item);
        if (item.rows) end.abort();
      }
      return together(items);
    })(); // prettier-ignore
    put(folder, "later.part", tiff([ramp(2, 3)]), 1000);
    renameSync(join(folder, "later.part"), join(folder, "a_7.tif"));
    expect([...(await reading).columns.rotation_angle]).toEqual([0]);
  });

  test("nothing that comes, no angles, one file: a reason", async () => {
    await expect(readAll(images([]), { ...follow, angle_step: "1 deg" })).rejects.toThrow(/no TIFF image came within 0.04 s/); // prettier-ignore
    await expect(readAll(images(NAMES), follow)).rejects.toThrow(
      /their angles must be: set angles .* or angle_step/,
    );
    const stack = put(directory, "one.tif", tiff([ramp(2, 3)]));
    await expect(readAll(stack, { ...follow, angle_step: "1 deg" })).rejects.toThrow(/is one file of images; follow is for a folder/); // prettier-ignore
  });
});

test("HDF5 and Zeiss's scans take angles, geometry, darks and flats of other files too", async () => {
  const bare = Object.fromEntries(Object.entries(dataExchange()).filter(([name]) => name !== "/exchange/theta" && !name.includes("data_"))); // prettier-ignore
  const path = await writeHdf5(join(directory, "bare.h5"), bare);
  const angles = put(directory, "five.txt", "0\n1\n2\n3\n5\n");
  const flats = put(directory, "h5-flats.tif", tiff([ramp(2, 3, 500)]));
  const geometry_file = put(
    directory,
    "h5.geo",
    "geometry = fan\nsod = 10 cm\nsdd = 40 cm\npixel_size = 100 um\n",
  );
  const { columns, schema } = await readAll(path, { angles, flats, geometry_file, rate: "1 Hz" });
  expect([...columns.image_key]).toEqual([1, 0, 0, 0, 0, 0]);
  expect([...columns.rotation_angle]).toEqual([NaN, 0, 1, 2, 3, 5]);
  expect(schema.metadata).toMatchObject({
    geometry: "fan",
    magnification: "4",
    sample_pixel_size_x: "0.000025",
  });
  await expect(readAll(path, { angles, angle_step: "1 deg" })).rejects.toThrow(/angle_step is for plain images; give a list/); // prettier-ignore
  const zeiss = put(directory, "z.txrm", ole(txrm()));
  await expect(readAll(zeiss, { follow: true })).rejects.toThrow(/is whole when it is written, so there is nothing to follow/); // prettier-ignore
});

test("claims TIFF, .npy and Zeiss's containers by their first bytes", () => {
  const claims = (bytes: Uint8Array): boolean => tomography.claims!(bytes.subarray(0, 4096), "x");
  expect(claims(tiff([ramp(1, 1)]))).toBe(true);
  expect(claims(tiff([ramp(1, 1)], { big: true, little: false }))).toBe(true);
  expect(claims(npy("u1", [1], [1]))).toBe(true);
  expect(claims(ole(txrm()))).toBe(true);
  expect(claims(Buffer.from("text"))).toBe(false);
});

const shared = fileURLToPath(new URL("../../../../shared/data/xrm", import.meta.url));
describe.runIf(existsSync(shared))("the same scans as .npy and as HDF5", () => {
  test.each([
    ["tooth", "tooth.h5"],
    ["operando_A", "operando_21700_sim_A.h5"],
  ])("%s", async (name, file) => {
    const at = (what: string): string => join(shared, "npy", `${name}_${what}.npy`);
    const hdf5 = await readAll(join(shared, file), { rate: "1 Hz" });
    const arrays = await readAll(at("data"), { angles: at("theta_deg"), darks: at("dark"), flats: at("white"), rate: "1 Hz" }); // prettier-ignore
    expect(arrays.columns.data.length).toBeGreaterThan(100_000);
    expect(arrays.columns.data.constructor).toBe(hdf5.columns.data.constructor);
    expect(Buffer.from(arrays.columns.data.buffer).equals(Buffer.from(hdf5.columns.data.buffer))).toBe(true);
    expect(arrays.columns.image_key).toEqual(hdf5.columns.image_key);
    expect(arrays.columns.rotation_angle).toEqual(hdf5.columns.rotation_angle);
  });
});

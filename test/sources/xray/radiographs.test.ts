import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SourceItem } from "../../../runtime/index.ts";
import { readFrame } from "../../../sources/xray/frame-files.ts";
import { radiographs } from "../../../sources/xray/radiographs.ts";
import { npy } from "./npy-files.ts";
import { ole, txrm } from "./ole-files.ts";
import { open, readAll as readScan, together } from "./read-scan.ts";
import { ramp, tiff } from "../tiff-files.ts";
import { writeHdf5 } from "./tomography-files.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "radiographs "))));
afterAll(() => rmSync(directory, { recursive: true }));
const readAll = (path: string, options: Record<string, unknown> = {}) => readScan(path, options, { directory }, radiographs); // prettier-ignore
function put(name: string, bytes: Uint8Array, second = 1000): string {
  const path = join(directory, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, bytes);
  utimesSync(path, second, second);
  return path;
}
const said = (faults: readonly { what: string }[]): string => faults.map(({ what }) => what).join("\n");
const SECOND = 1_000_000_000n;

test("a folder of TIFF images: each at the time that it was written, by reference", async () => {
  for (let i = 0; i < 12; i++) put(`gas/r${i}.tif`, tiff([ramp(2, 3, 10 * i)]), 1000 + 2 * i);
  const { columns, schema, items, faults } = await readAll("gas");
  expect(Object.keys(columns)).toEqual(["time", "data"]);
  expect(columns.data[6 * 10]).toBe(100);
  expect([...columns.time]).toEqual(Array.from({ length: 12 }, (_, i) => BigInt(1000 + 2 * i) * SECOND));
  expect(schema.metadata).toMatchObject({ layout: "TIFF images", images: "12", time_basis: "first seen" });
  expect(schema.fields["data"]).toMatchObject({ unit: "{count}", type: "u16", shape: [2, 3] });
  expect(faults).toEqual([]);
  const item = items.at(-1)!;
  expect([...(await readFrame(item.references!["frames"]!))]).toEqual([
    ...(ramp(2, 3, 110).values as number[]),
  ]);
  const rated = await readAll("gas/r?.tif", { rate: "4 Hz" });
  expect(rated.columns.time.length).toBe(10);
  expect(rated.columns.time[1] - rated.columns.time[0]).toBe(SECOND / 4n);
});

test("a stack, an .npy of one image or several, a dataset of HDF5", async () => {
  put("stack.tif", tiff([ramp(2, 3), ramp(2, 3, 6)], { type: "f32", compression: "lzw" }));
  expect((await readAll("stack.tif", { rate: "1 Hz" })).columns.data).toEqual(Float32Array.from({ length: 12 }, (_, i) => i)); // prettier-ignore
  put("one.npy", npy("i4", [2, 3], [0, 1, 2, 3, 4, 5]));
  const one = await readAll("one.npy", { rate: "1 Hz" });
  expect(one.columns.data).toEqual(Int32Array.of(0, 1, 2, 3, 4, 5));
  expect([...one.columns.time]).toEqual([1000n * SECOND]);
  put("two.npy", npy("f8", [2, 1, 3], [0, 1, 2, 3, 4, 5]));
  expect((await readAll("two.npy", { rate: "1 Hz" })).columns.data).toEqual(
    Float32Array.of(0, 1, 2, 3, 4, 5),
  );
  const values = Uint16Array.from({ length: 12 }, (_, i) => i);
  const hdf5 = await writeHdf5(join(directory, "r.h5"), {
    "/entry/camera/frames": { values, shape: [2, 2, 3] },
  });
  const read = await readAll(hdf5, { rate: "1 Hz" });
  expect(read.columns.data).toEqual(values);
  expect(read.schema.metadata).toMatchObject({
    layout: "HDF5 /entry/camera/frames",
    time_basis: "first seen",
  });
  const both = await writeHdf5(join(directory, "b.h5"), { "/a": { values, shape: [2, 2, 3] }, "/b": { values, shape: [3, 2, 2] } }); // prettier-ignore
  await expect(readAll(both)).rejects.toThrow(/has 2 datasets of frames × rows × columns; set dataset to one of \/a, \/b/); // prettier-ignore
  expect((await readAll(both, { dataset: "/b", rate: "1 Hz" })).columns.time.length).toBe(3);
});

test("images of another size are faults; nothing there, Zeiss's or one file to follow is refused with the reason", async () => {
  put("mixed/1.tif", tiff([ramp(2, 3)]), 1000);
  put("mixed/2.tif", tiff([ramp(2, 4)]), 1001);
  put("mixed/3.tif", tiff([ramp(2, 3)]), 1002);
  const { columns, faults } = await readAll("mixed");
  expect(columns.time.length).toBe(2);
  expect(said(faults)).toMatch(/2.tif: page 1: is 2 × 4/);
  expect(faults[0]!.unread).toBe(true);
  mkdirSync(join(directory, "nothing"));
  await expect(readAll("nothing")).rejects.toThrow(/nothing: there is no file; wanted TIFF images/);
  await expect(readAll("none.tif")).rejects.toThrow(/none.tif: there is no such file/);
  put("scan.txrm", ole(txrm()));
  await expect(readAll("scan.txrm")).rejects.toThrow(/is a scan of Zeiss's, not a plain series; read it with xray\/tomography/); // prettier-ignore
  await expect(readAll("mixed/1.tif", { follow: true })).rejects.toThrow(/is not a folder; follow wants a folder, or a pattern/); // prettier-ignore
});

test("follows a folder, image by image, until nothing has come for a while", async () => {
  const folder = `live ${++count}`;
  put(`${folder}/0.tif`, tiff([ramp(2, 3)]), 1000);
  const items: SourceItem[] = [];
  const options = { follow: true, poll_every: "1 ms", ends_after: "60 ms" };
  for await (const item of open(folder, options, { directory }, radiographs)) {
    items.push(item);
    const rows = items.filter(({ rows }) => rows).length;
    if (rows < 5) put(`${folder}/${rows}.tif`, tiff([ramp(2, 3, 10 * rows)]), 1000 + rows);
  }
  const { columns } = together(items);
  expect([...columns.time].map((t) => t / SECOND)).toEqual([1000n, 1001n, 1002n, 1003n, 1004n]);
  expect(columns.data[24]).toBe(40);
});

test("claims TIFF and .npy by their first bytes, and leaves scans to xray/tomography", () => {
  const claims = (bytes: Uint8Array): boolean => radiographs.claims!(bytes.subarray(0, 4096), "x");
  expect(claims(tiff([ramp(1, 1)]))).toBe(true);
  expect(claims(npy("u1", [1], [1]))).toBe(true);
  expect(claims(ole(txrm()))).toBe(false);
  expect(claims(Buffer.from("\x89HDF\r\n\x1a\n", "latin1"))).toBe(false);
});

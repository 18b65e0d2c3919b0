import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { framesOfNpy, isNpy, npyHeader, npyNumbers, readNpyFrames } from "../../../sources/xray/npy.ts";
import { arrayOf, npy, NPY_TYPES } from "./npy-files.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "npy "))));
afterAll(() => rmSync(directory, { recursive: true }));
function write(bytes: Uint8Array): string {
  const path = join(directory, `${++count}.npy`);
  writeFileSync(path, bytes);
  return path;
}

const shape = [5, 3, 4];
const values = Array.from({ length: 60 }, (_, i) => (i * 7) % 120);

test.each(NPY_TYPES)("%s comes back, in each version, order and byte order", async (type) => {
  const expected = type === "f8" ? Float32Array.from(values) : arrayOf(type, values);
  for (const version of [1, 2, 3] as const)
    for (const fortran of [false, true])
      for (const big of [false, true]) {
        const path = write(npy(type, shape, values, { version, fortran, big }));
        expect(await readNpyFrames(path, "array", 0, 5)).toEqual(expected);
        expect(await readNpyFrames(path, "array", 3, 1)).toEqual(expected.slice(36, 48));
        expect(await readNpyFrames(path, "array", 1, 2)).toEqual(expected.slice(12, 36));
      }
});

test("two dimensions: each row a frame, or all of it one", async () => {
  for (const fortran of [false, true]) {
    const path = write(npy("u2", [6, 10], values, { fortran }));
    const header = await npyHeader(path);
    expect(framesOfNpy(header, "lines")).toEqual({ frames: 6, rows: 1, cols: 10 });
    expect(framesOfNpy(header, "image")).toEqual({ frames: 1, rows: 6, cols: 10 });
    expect([...(await readNpyFrames(path, "lines", 2, 2))]).toEqual(values.slice(20, 40));
    expect([...(await readNpyFrames(path, "image", 0, 1))]).toEqual(values);
  }
  expect((await npyNumbers(write(npy("f8", [3], [0, 0.1, 0.2], { big: true })))).values).toEqual(Float64Array.of(0, 0.1, 0.2)); // prettier-ignore
});

test("what cannot be read says where and why", async () => {
  const whole = npy("u2", shape, values);
  expect(isNpy(whole)).toBe(true);
  expect(isNpy(Buffer.from("NUMPY"))).toBe(false);
  await expect(npyHeader(write(whole.subarray(0, whole.length - 1)))).rejects.toThrow(/5 × 3 × 4 values of 2 bytes would end at byte 248, and the file ends at byte 247/); // prettier-ignore
  await expect(npyHeader(write(whole.subarray(0, 40)))).rejects.toThrow(/its header would end at byte 128, and the file ends at byte 40/); // prettier-ignore
  await expect(npyHeader(write(Buffer.from("text")))).rejects.toThrow(/is not an .npy array/);
  const renamed = (from: string, to: string): Buffer => Buffer.from(whole.toString("latin1").replace(from, to), "latin1"); // prettier-ignore
  await expect(npyHeader(write(renamed("<u2", "<c8")))).rejects.toThrow(
    /values of type <c8; wanted whole numbers/,
  );
  await expect(npyHeader(write(renamed("'descr'", "'other'")))).rejects.toThrow(/its header says .*wanted a plain array/); // prettier-ignore
  const later = Buffer.from(whole);
  later[6] = 4;
  await expect(npyHeader(write(later))).rejects.toThrow(/version 4 of .npy; 1 to 3/);
  await expect(readNpyFrames(write(whole), "array", 4, 2)).rejects.toThrow(/has 5 frames; wanted frame 5/);
  await expect(readNpyFrames(write(npy("u2", [60], values)), "array", 0, 1)).rejects.toThrow(/has the shape 60; wanted frames × rows × columns/); // prettier-ignore
  await expect(npyHeader(join(directory, "none.npy"))).rejects.toThrow(/there is no such file/);
});

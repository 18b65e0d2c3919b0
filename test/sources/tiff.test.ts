import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SourceError } from "../../runtime/index.ts";
import { isTiff, readTiffFrames, tiffPages } from "../../sources/tiff.ts";
import { lzw, ramp, tiff, type Compression, type PixelType, type TiffOptions } from "./tiff-files.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "tiff "))));
afterAll(() => rmSync(directory, { recursive: true }));
function write(bytes: Uint8Array): string {
  const path = join(directory, `${++count}.tif`);
  writeFileSync(path, bytes);
  return path;
}

const ARRAYS = {
  u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array, f32: Float32Array, f64: Float32Array,
} as const; // prettier-ignore
const TYPES = Object.keys(ARRAYS) as PixelType[];

/** Values over the whole range of a type, smooth enough to be packed. */
function valuesOf(type: PixelType, n: number, seed: number): number[] {
  return Array.from({ length: n }, (_, i) => {
    const x = Math.sin((i + seed) / 5);
    if (type.startsWith("f")) return Math.fround(x * 10 ** ((i % 9) - 4));
    const bits = Number(type.slice(1));
    const whole = Math.round(x * (2 ** (bits - 1) - 1));
    return type.startsWith("i") ? whole : whole + 2 ** (bits - 1);
  });
}

describe("pixels come back", () => {
  const [rows, cols] = [13, 21];
  const layouts: [string, TiffOptions][] = [
    ["one strip", {}],
    ["strips", { strip: 4 }],
    ["tiles", { tile: [16, 16] }],
    ["small tiles", { tile: [5, 8] }],
  ];
  const compressions: Compression[] = ["none", "lzw", "deflate", "packbits"];
  test.each(TYPES)("of %s, in every layout, byte order, compression and predictor", async (type) => {
    for (const [name, layout] of layouts) {
      for (const compression of compressions) {
        for (const little of [true, false]) {
          for (const big of [true, false]) {
            for (const predictor of type.startsWith("f") ? ([1, 2, 3] as const) : ([1, 2] as const)) {
              const options = { ...layout, type, compression, little, big, predictor };
              const values = valuesOf(type, rows * cols, count);
              const path = write(tiff([{ rows, cols, values }], options));
              const read = await readTiffFrames(path, 0, 1);
              expect(read, `${name} ${JSON.stringify(options)}`).toEqual(ARRAYS[type].from(values));
            }
          }
        }
      }
    }
  });

  test("LZW of long and random data, over several tables", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 5000, maxLength: 20_000 }), fc.integer({ min: 1, max: 6 }), async (noise, levels) => {
        const bytes = noise.map((x) => x % (1 << levels));
        const page = { rows: 1, cols: bytes.length, values: bytes };
        expect(await readTiffFrames(write(tiff([page], { type: "u8", compression: "lzw" })), 0, 1)).toEqual(bytes);
      }),
      { seed: 7, numRuns: 20 },
    );
    expect(lzw(new Uint8Array(100_000)).length).toBeLessThan(1000);
  }, 30_000); // prettier-ignore

  test("pages, one after the other, and several at once", async () => {
    const path = write(tiff([ramp(3, 4), ramp(3, 4, 100), ramp(3, 4, 200)]));
    expect(await tiffPages(path)).toMatchObject({ count: 3, first: { rows: 3, cols: 4, type: "u16" } });
    expect([...(await readTiffFrames(path, 1, 2))]).toEqual([...ramp(3, 4, 100).values as number[], ...ramp(3, 4, 200).values as number[]]); // prettier-ignore
    await expect(readTiffFrames(path, 3, 1)).rejects.toThrow(/has 3 pages; wanted page 4/);
  });

  test("a stack of ImageJ's above 4 GB: one page that names its number of images", async () => {
    const three = Array.from({ length: 3 * 6 }, (_, i) => 7 * i);
    const bytes = tiff([{ rows: 9, cols: 2, values: three }], {
      little: false,
      description: "ImageJ=1.53t\nimages=3\nslices=3\n",
      tags: { 257: [3], 278: [3], 279: [12] },
    });
    const path = write(bytes);
    expect((await tiffPages(path)).count).toBe(3);
    expect([...(await readTiffFrames(path, 2, 1))]).toEqual(three.slice(12));
    expect([...(await readTiffFrames(path, 0, 3))]).toEqual(three);
  });

  test("is known by its first bytes", () => {
    for (const little of [true, false])
      for (const big of [true, false]) expect(isTiff(tiff([ramp(1, 1)], { little, big }))).toBe(true);
    expect(isTiff(Buffer.from("II*"))).toBe(false);
    expect(isTiff(Buffer.from("MZ12"))).toBe(false);
    expect(isTiff(new Uint8Array(0))).toBe(false);
  });
});

describe("what cannot be read says where and why", () => {
  const refused = async (bytes: Uint8Array, why: RegExp): Promise<void> => {
    const path = write(bytes);
    const error = await readTiffFrames(path, 0, 1).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SourceError);
    expect((error as Error).message).toMatch(why);
  };
  test.each([
    [7, /compression 7 \(JPEG\) is not read here; wanted none \(1\), LZW/],
    [50000, /compression 50000 \(Zstandard\)/],
    [12345, /its compression 12345 is not read here/],
  ])("compression %i by its number", (code, why) =>
    refused(tiff([ramp(2, 2)], { tags: { 259: [code] } }), why),
  );
  test("colour, odd depths, reversed bits, unknown predictors", async () => {
    await refused(tiff([ramp(2, 2)], { tags: { 277: [3] } }), /has 3 values a pixel \(colour\)/);
    await refused(tiff([ramp(2, 2)], { tags: { 258: [12] } }), /has 12 bit a pixel \(unsigned\)/);
    await refused(tiff([ramp(2, 2)], { tags: { 339: [3] } }), /has 16 bit a pixel \(float\)/);
    await refused(tiff([ramp(2, 2)], { compression: "lzw", tags: { 266: [2] } }), /FillOrder 2/);
    await refused(tiff([ramp(2, 2)], { tags: { 317: [5] } }), /predictor 5/);
  });
  test("a file that is cut short, never as zeros", async () => {
    const pixelsLast = tiff([ramp(20, 20)]);
    // the directory stands at the end: so the pixels are made to
    const path = write(pixelsLast);
    const good = await readTiffFrames(path, 0, 1);
    expect(good.length).toBe(400);
    await refused(tiff([ramp(20, 20)], { tags: { 273: [600] } }), /cut short/);
    await refused(tiff([ramp(20, 20)], { strip: 10, tags: { 273: [8, 2000], 279: [400, 400] } }), /strip 2 of page 1 would lie at byte 2000/);
    for (const length of [0, 3, 7, 9, pixelsLast.length - 1]) await refused(pixelsLast.subarray(0, length), /TIFF|cut short/);
    for (const compression of ["lzw", "deflate", "packbits"] as const) {
      const packed = tiff([ramp(20, 20)], { compression });
      const strip = packed.length - 200;
      await refused(tiff([ramp(20, 20)], { compression, tags: { 279: [40] } }), /cannot be unpacked|holds \d+ bytes of pixels, wanted 800/);
      expect(strip).toBeGreaterThan(0);
    }
  }); // prettier-ignore
  test("a circle of pages", () =>
    refused(tiff([ramp(2, 2), ramp(2, 2)], { link: ([first]) => first! }), /after page 2 comes the page at byte \d+ again/)); // prettier-ignore
  test("an image that would be larger than what is stored of it", () =>
    refused(tiff([ramp(2, 2)], { compression: "lzw", tags: { 256: [40_000], 257: [40_000], 278: [40_000] } }), /would be 3200000000 bytes/)); // prettier-ignore
  test("2,000 files with broken bytes: an image or a SourceError, quickly", async () => {
    const files = [
      tiff([ramp(40, 31), ramp(40, 31, 5)], { compression: "lzw", strip: 4, predictor: 2 }),
      tiff([ramp(40, 31)], { compression: "deflate", tile: [4, 4], big: true, little: false }),
      tiff([ramp(40, 31)], { compression: "packbits" }),
      tiff([ramp(40, 31), ramp(40, 31, 3)], { description: "ImageJ=1\nimages=2" }),
    ];
    // Others than the last sixteen: which pages a file has is remembered by its name, size and date.
    const paths = Array.from({ length: 40 }, () => write(files[0]!));
    let run = 0;
    let read = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: files.length - 1 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 }),
        fc.option(fc.nat(), { freq: 5 }),
        async (which, changes, cut) => {
          const bytes = Buffer.from(files[which]!);
          const path = paths[run++ % paths.length]!;
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          writeFileSync(path, cut === null ? bytes : bytes.subarray(0, cut % bytes.length));
          try {
            const { count, first } = await tiffPages(path);
            expect((await readTiffFrames(path, count - 1, 1)).length).toBeGreaterThan(0);
            expect(first.rows * first.cols).toBeGreaterThan(0);
            read++;
          } catch (error) {
            if (!(error instanceof SourceError)) throw error;
          }
        },
      ),
      { seed: 11, numRuns: 2000, unbiased: true },
    );
    expect(read).toBeGreaterThan(100);
  }, 60_000); // prettier-ignore
});

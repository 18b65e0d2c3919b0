import { expect, test } from "vitest";
import { frameOf, PAGES_BEGIN, type Pages } from "../../cli/tiff.ts";
import { readTiff } from "./read-tiff.ts";

const pages = {
  rows: 2, columns: 3, type: "u16",
  times: [0n, 1_500_000_000n, 1_795_342_500_000_000_000n],
  description: "ImageJ=1.54f\nimages=3\n", software: "a test",
  pixel: { x: 0.65, y: 1.3 },
} satisfies Pages; // prettier-ignore

const data = Uint16Array.from({ length: 18 }, (_, i) => i * 3641);

function assemble(of: Pages, bytes: ArrayBufferView, big?: boolean): Uint8Array {
  const { before, after } = frameOf(of, big);
  return Buffer.concat([before, new Uint8Array(bytes.buffer), after]);
}

test.each([false, true])("pages come back, BigTIFF: %s", (big) => {
  const read = readTiff(assemble(pages, data, big));
  expect(read.big).toBe(big);
  expect(read.pages.flatMap(({ values }) => values)).toEqual([...data]);
  expect(read.pages.map(({ description, dateTime }) => [description, dateTime])).toEqual([
    ["ImageJ=1.54f\nimages=3\n", "1970:01:01 00:00:00"],
    [undefined, "1970:01:01 00:00:01"],
    [undefined, "2026:11:22 10:15:00"],
  ]);
  const [x, y] = read.pages[2]!.resolution!;
  expect([1 / x, 1 / y]).toEqual([expect.closeTo(0.65, 12), expect.closeTo(1.3, 12)]);
});

test("an odd number of bytes before a directory is filled up", () => {
  const one = { rows: 1, columns: 3, type: "u8", times: [0n], description: "", software: "" } as const;
  expect(readTiff(assemble(one, Uint8Array.of(1, 2, 3))).pages[0]!.values).toEqual([1, 2, 3]);
});

test.each([
  [0.0005, 1e-15],
  [0.65, 1e-15],
  [37.4, 1e-12],
  [5e6, 1e-3],
])("a pixel of %s units keeps its size", (size, error) => {
  const one = { rows: 1, columns: 1, type: "u8", times: [0n], description: "", software: "", pixel: { x: size, y: size } } as const; // prettier-ignore
  const [x] = readTiff(assemble(one, Uint8Array.of(1))).pages[0]!.resolution!;
  expect(Math.abs(1 / x - size)).toBeLessThanOrEqual(error * size);
});

test("BigTIFF begins where places pass 32 bits, directories counted", () => {
  const version = (rows: number, n: number): number =>
    frameOf({
      rows,
      columns: 2 ** 15,
      type: "f32",
      times: Array<bigint>(n).fill(0n),
      description: "",
      software: "",
    }).before[2]!;
  // Pages of 2^32 bytes less 256: with header and directory still in, and just not.
  expect(PAGES_BEGIN).toBe(16);
  expect(version(2 ** 15 - 1, 1)).toBe(42);
  expect(version(2 ** 15, 1)).toBe(43);
  const small = { rows: 1, columns: 2 ** 12, type: "u8", description: "", software: "" } as const;
  const fitting = (n: number): number => frameOf({ ...small, times: Array<bigint>(n).fill(0n) }).before[2]!;
  expect(fitting(3)).toBe(42);
  // The pages alone would fit: 4 GiB less 1 KiB; their directory does not.
  expect(frameOf({ rows: 2 ** 22 - 1, columns: 2 ** 10, type: "u8", times: [0n], description: "x".repeat(2000), software: "" }).before[2]).toBe(43); // prettier-ignore
});

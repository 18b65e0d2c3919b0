import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cadence } from "../../../sources/echem/cadence.ts";
import { Rewritten } from "../../../sources/echem/echem-file.ts";
import { GivenOut } from "../../../sources/echem/given-out.ts";
import { GrowingLines } from "../../../sources/echem/growing-lines.ts";
import { isLinked } from "../../../sources/echem/linked-files.ts";
import { FakeFile } from "./read-all.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("lines of a growing text", () => {
  test("each once, when its end is there; the last also without, once nothing more comes", async () => {
    const file = new FakeFile(bytes("one\r\ntwo\nthr"));
    const lines = new GrowingLines(file);
    expect(await lines.read(10, "growing")).toEqual({ text: ["one", "two"], first: 1 });
    expect(await lines.read(10, "settled")).toEqual({ text: [], first: 3 });
    expect(await lines.last()).toBeUndefined();
    file.show(bytes("one\r\ntwo\nthree\nfo"));
    expect(await lines.last()).toBe("three");
    expect(await lines.read(10, "growing")).toEqual({ text: ["three"], first: 3 });
    expect(await lines.read(10, "closing")).toEqual({ text: ["fo"], first: 4, unended: true });
    expect(await lines.read(10, "closing")).toEqual({ text: [], first: 5 });
  });

  test("the same wherever it is cut, however many are asked for", async () => {
    const text = "a\n\nµ°\r\nlonger line\nlast";
    const whole = bytes(text);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: whole.length }), { maxLength: 8 }), fc.integer({ min: 1, max: 9 }), async (cuts, most) => {
        const file = new FakeFile(new Uint8Array(0));
        const lines = new GrowingLines(file);
        const got: string[] = [];
        for (const cut of cuts.toSorted((a, b) => a - b)) {
          file.show(whole.subarray(0, cut));
          got.push(...(await lines.read(most, "growing")).text);
        }
        file.show(whole);
        for (let more = true; more; ) {
          const { text } = await lines.read(most, "closing");
          got.push(...text);
          more = text.length > 0;
        }
        expect(got).toEqual(["a", "", "µ°", "longer line", "last"]);
      }),
      { seed: 4 },
    );
  }); // prettier-ignore

  test("each in UTF-8 if it can be, else in cp1252, whatever stands beside it", async () => {
    const latin = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const whole = new Uint8Array([
      ...bytes("\ufeffµ\n"),
      ...latin("R\xfchren\r\n"),
      ...bytes("\ufeffnext\n"),
    ]);
    for (const most of [1, 9]) {
      const lines = new GrowingLines(new FakeFile(whole));
      expect(await lines.last()).toBe("\ufeffnext");
      const got: string[] = [];
      for (let i = 0; i < 3; i++) got.push(...(await lines.read(most, "growing")).text);
      expect(got).toEqual(["µ", "Rühren", "\ufeffnext"]);
    }
  });

  test("one that never ends comes in pieces, and the rest after it", async () => {
    const file = new FakeFile(new Uint8Array(0));
    const lines = new GrowingLines(file);
    const zeros = new Uint8Array((1 << 20) + 5);
    const whole = new Uint8Array([...bytes("1,2\n"), ...zeros, ...bytes("\n3,4\n")]);
    const got: string[] = [];
    for (const size of [100, 1 << 20, whole.length, whole.length]) {
      file.show(whole.subarray(0, size));
      got.push(...(await lines.read(9, "growing")).text);
    }
    expect(got.map((line) => line.length)).toEqual([3, 1 << 20, 5, 3]);
    expect(got.at(-1)).toBe("3,4");
  });

  test("a file that is another by now says so, shorter or changed", async () => {
    for (const now of ["one\n", "ONE\ntwo\nthree\n", "one\nTWO\n"]) {
      const file = new FakeFile(bytes("one\ntwo\n"));
      const lines = new GrowingLines(file);
      await lines.read(10, "growing");
      file.show(bytes(now));
      await expect(lines.read(10, "growing")).rejects.toThrow(Rewritten);
    }
  });

  test("changes near the begin and near the place that was reached are seen", async () => {
    const text = "0123456789abcde\n".repeat(1000);
    for (const at of [500, text.length - 500]) {
      const file = new FakeFile(bytes(text));
      const lines = new GrowingLines(file);
      expect((await lines.read(600, "growing")).text).toHaveLength(600);
      expect((await lines.read(600, "growing")).text).toHaveLength(400);
      file.show(bytes(`${text.slice(0, at)}!${text.slice(at + 1)}more\n`));
      await expect(lines.read(10, "growing")).rejects.toThrow(Rewritten);
    }
  });
});

describe("rows that were given out", () => {
  const V = (test_s: number[]): number[] => test_s.map((s) => 3 + s / 100);
  const after = (first: number[]): GivenOut => {
    const given = new GivenOut();
    given.skip(first, V(first));
    given.add(first, V(first));
    given.again();
    return given;
  };
  test("are known again, whatever the cuts", () => {
    const given = after([1, 2, 3, 4, 5]);
    expect(given.skip([1, 2], V([1, 2]))).toEqual({ skip: 2, changed: false });
    expect(given.known).toBe(true);
    expect(given.skip([3, 4, 5, 6], V([3, 4, 5, 6]))).toEqual({ skip: 3, changed: false });
    expect(given.known).toBe(false);
  });
  test("from the first that differs on all are new", () => {
    const given = after([1, 2, 3]);
    expect(given.skip([1, 2, 9], V([1, 2, 9]))).toEqual({ skip: 2, changed: true });
    given.add([9], V([9]));
    expect([given.rows, given.latest_s]).toEqual([3, 9]);
    given.again();
    expect(given.skip([1, 2, 9, 10], V([1, 2, 9, 10]))).toEqual({ skip: 3, changed: false });
  });
  test("many of them cost little", () => {
    const given = new GivenOut();
    const rows = Float64Array.from({ length: 100_000 }, (_, i) => i);
    given.add(rows, rows);
    given.again();
    expect(given.skip(rows, rows)).toEqual({ skip: 100_000, changed: false });
  });
});

test("how often a file is written is learnt from when its rows came", () => {
  const cadence = new Cadence();
  for (const s of [0, 30, 60, 90]) cadence.came(s);
  expect(cadence.interval_s).toBeNaN(); // three intervals are not enough
  for (const s of [120, 150, 181, 210]) cadence.came(s);
  expect(cadence.interval_s).toBe(31);
});

test.each([
  ["250116_gen6_01_01_GCPL_CD8.mpr", true], ["cell7_02_PEIS_C03.mpr", true], ["cell7_02_PEIS.mpt", true], ["cell7.mpr", false], ["2025_05.csv", false],
])("%s is a linked technique's: %s", (name, is) => {
  expect(isLinked(`/data/${name}`)).toBe(is);
}); // prettier-ignore

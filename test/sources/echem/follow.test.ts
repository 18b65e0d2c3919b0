import { appendFile, mkdir, mkdtemp, rename, rm, rmdir, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Columns, Fault, Schema, SourceItem } from "../../../runtime/index.ts";
import { echemFile } from "../../../sources/echem/file.ts";
import { cycledNdax, ndaxBytes } from "../../../bench/ndax-file.ts";
import { mprBytes, type MprParts } from "./mpr-bytes.ts";

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "echem folgt "))));
afterAll(() => rm(folder, { recursive: true }));
let files = 0;

/** A followed file, pulled until what is waited for has come. */
class Followed {
  readonly items: SourceItem[] = [];
  readonly #iterator: AsyncIterator<SourceItem>;
  readonly #stop = new AbortController();
  ended = false;

  constructor(path: string, rest: { poll_every?: number; ends_after?: number } = {}) {
    const context = { signal: this.#stop.signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory: folder };
    const config = { path, follow: true, poll_every: 0.005, ends_after: 0, columns: {}, ...rest };
    this.#iterator = (echemFile.open(config, context) as AsyncIterable<SourceItem>)[Symbol.asyncIterator]();
  }

  async until(enough: () => boolean): Promise<this> {
    while (!enough() && !this.ended) {
      const { value, done } = await this.#iterator.next();
      if (done) this.ended = true;
      else this.items.push(value as SourceItem);
    }
    return this;
  }
  rows = (n: number): Promise<this> => this.until(() => this.times.length >= n);
  toEnd = (): Promise<this> => this.until(() => false);
  stop = async (): Promise<void> => {
    this.#stop.abort();
    await this.#iterator.return?.();
  };

  get pieces(): Columns[] {
    return this.items.flatMap(({ rows }) => (rows?.["echem"] ? [rows["echem"] as Columns] : []));
  }
  get times(): number[] {
    return this.pieces.flatMap((piece) => [...(piece["test_time_second"] as Float64Array)]);
  }
  get voltages(): number[] {
    return this.pieces.flatMap((piece) => [...(piece["voltage_volt"] as Float64Array)]);
  }
  get schemas(): Schema[] {
    return this.items.flatMap(({ schema }) => (schema?.["echem"] ? [schema["echem"]] : []));
  }
  get faults(): Fault[] {
    return this.items.flatMap(({ faults }) => faults ?? []);
  }
} // prettier-ignore

const seconds = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);
const volts = (n: number, from = 0): number[] => seconds(n, from).map((s) => 3 + s / 64);
const cell = (n: number, rest: Partial<MprParts> = {}): Uint8Array =>
  mprBytes({ layout: "old3", columns: [[4, "f64", seconds(n)], [6, "f32", volts(n)]], ...rest }); // prettier-ignore
const START = "2025-05-28 14:23:16";
const fileName = (): string => `cell ${++files}.mpr`;
const write = (name: string, bytes: Uint8Array): Promise<void> => writeFile(join(folder, name), bytes);

describe("a file that grows", () => {
  test("gives each row once, from before it is there until its run has ended", async () => {
    const name = fileName();
    const followed = new Followed(name);
    const first = followed.rows(1);
    await write(name, new Uint8Array(0));
    await write(name, cell(5).subarray(0, 700));
    await write(name, cell(5));
    await first;
    await followed.rows(5);
    await write(name, cell(12));
    await followed.rows(12);
    await write(name, cell(40, { start: START }));
    await followed.toEnd();
    expect(followed.times).toEqual(seconds(40));
    expect(followed.voltages).toEqual(volts(40));
    expect(followed.schemas).toHaveLength(1);
  });

  test("that has no row yet when it is first seen", async () => {
    const name = fileName();
    await write(name, cell(0));
    const followed = new Followed(name);
    const rows = followed.rows(2);
    await write(name, cell(3));
    await rows;
    await write(name, cell(3, { start: START }));
    await followed.toEnd();
    expect(followed.times).toEqual(seconds(3));
  });

  test("tells the start that the file says in the end, and how far off its rows were placed", async () => {
    const name = fileName();
    await write(name, cell(5));
    const followed = await new Followed(name).rows(4);
    await write(name, cell(6, { start: START }));
    await followed.toEnd();
    expect(followed.faults.map(({ what }) => what).at(-1)).toMatch(
      /cell \d+\.mpr: says its start now: 2025-05-28T14:23:16\.000\+00:00, .* s (?:earlier|later) than where its rows were placed/,
    );
  });

  test("that is cut in the middle of a record waits for the rest of it", async () => {
    const name = fileName();
    const bytes = cell(10, { start: START });
    await write(name, bytes.subarray(0, 2400));
    const followed = new Followed(name);
    const end = followed.toEnd();
    for (let at = 2400; at < bytes.length; at += 7) await appendFile(join(folder, name), bytes.subarray(at, at + 7)); // prettier-ignore
    await end;
    expect(followed.times).toEqual(seconds(10));
  });

  test("ends where it stands still for ends_after, with its last row", async () => {
    const name = fileName();
    await write(name, cell(3));
    const followed = await new Followed(name, { ends_after: 0.05 }).toEnd();
    expect(followed.times).toEqual(seconds(3));
  });

  test("a run that is stopped lets go of it", async () => {
    const name = fileName();
    await write(name, cell(3));
    const followed = await new Followed(name).rows(3);
    await followed.stop();
    expect(followed.times).toEqual(seconds(3));
  });
});

test("what could not be read for a while goes on where it was: no row comes twice", async () => {
  const name = fileName();
  await write(name, cell(5));
  const followed = new Followed(name);
  await followed.rows(4);
  await rm(join(folder, name));
  await mkdir(join(folder, name)); // it is there, and cannot be read
  await followed.until(() => followed.faults.some(({ what }) => what.includes("is a directory")));
  await rmdir(join(folder, name));
  await write(name, cell(9, { start: START }));
  await followed.toEnd();
  expect(followed.times).toEqual(seconds(9));
});

describe("a file that is written anew", () => {
  test("with further columns begins a new epoch, and no row comes twice", async () => {
    const name = fileName();
    await write(name, cell(8));
    const followed = await new Followed(name).rows(8);
    const columns: MprParts["columns"] = [[4, "f64", seconds(9)], [6, "f32", volts(9)], [23, "f64", seconds(9)]]; // prettier-ignore
    await write(name, cell(9, { columns, start: START }));
    await followed.toEnd();
    expect(followed.times).toEqual(seconds(9));
    expect(followed.schemas).toHaveLength(2);
    expect(followed.schemas[1]!.fields["delta_q"]).toBeDefined();
    expect(followed.faults.map(({ what }) => what)).toContainEqual(expect.stringMatching(/wrote the file anew while it was read; it is read anew/)); // prettier-ignore
  });

  test("as a copy over it that is shorter for a moment: nothing is lost, nothing comes twice", async () => {
    const name = fileName();
    await write(name, cell(20));
    const followed = await new Followed(name).rows(20);
    await truncate(join(folder, name), 0);
    await write(`${name}.part`, cell(30, { start: START }));
    await rename(join(folder, `${name}.part`), join(folder, name));
    await followed.toEnd();
    expect(followed.times).toEqual(seconds(30));
  });

  test("with other values in rows that were given out says from which row on, and gives them", async () => {
    const name = fileName();
    await write(name, cell(8));
    const followed = await new Followed(name).rows(8);
    const other = [...volts(5), 9, 9, 9, 9];
    await write(name, cell(9, { columns: [[4, "f64", seconds(9)], [6, "f32", other], [23, "f64", seconds(9)]], start: START })); // prettier-ignore
    await followed.toEnd();
    expect(followed.voltages).toEqual([...volts(8), 9, 9, 9, 9]);
    expect(followed.faults.map(({ what }) => what)).toContainEqual(expect.stringMatching(/from its row 5 on it holds other values/)); // prettier-ignore
    expect(followed.schemas.at(-1)!.metadata["file_version"]).toBe("2");
  });

  test("by another run of the same name is that run, from its first row", async () => {
    const name = fileName();
    await write(name, cell(4));
    const followed = await new Followed(name).rows(4);
    await write(name, cell(3, { columns: [[4, "f64", [0, 7, 8]], [6, "f32", [1, 2, 4]]], start: START })); // prettier-ignore
    await followed.toEnd();
    expect(followed.times).toEqual([...seconds(4), 0, 7, 8]);
  });
});

describe("other formats", () => {
  test("a text that grows line by line: only whole lines, and the last at the end", async () => {
    const name = `cell ${++files}.bdf.csv`;
    const line = (i: number): string => `${i},${3 + i / 64},0.5\n`;
    await writeFile(join(folder, name), `Test Time / s,Voltage / V,Current / A\n${line(0)}${line(1).slice(0, 4)}`);
    const followed = await new Followed(name, { ends_after: 0.3 }).rows(1);
    expect(followed.times).toEqual([0]);
    await appendFile(join(folder, name), line(1).slice(4) + line(2) + line(3).trimEnd());
    await followed.rows(3);
    expect(followed.times).toEqual([0, 1, 2]);
    await followed.toEnd();
    expect(followed.times).toEqual([0, 1, 2, 3]);
  });

  test("a snapshot is read when it stands still, and of the next one only what is new", async () => {
    const name = `cell ${++files}.ndax`;
    await write(name, ndaxBytes(cycledNdax(14, 2000)));
    const followed = await new Followed(name).rows(2000);
    const first = followed.times;
    await write(`${name}.part`, ndaxBytes(cycledNdax(14, 5000)));
    await rename(join(folder, `${name}.part`), join(folder, name));
    await followed.rows(5000);
    expect(followed.times).toHaveLength(5000);
    expect(followed.times.slice(0, 2000)).toEqual(first);
    expect(followed.times.every((s, i, all) => i === 0 || s > all[i - 1]!)).toBe(true);
    expect(followed.faults.filter(({ what }) => /anew|other values/.test(what))).toEqual([]);
    await followed.stop();
  });
}); // prettier-ignore

describe("files of linked techniques", () => {
  test("follow one another, in one test time", async () => {
    const base = `linked ${++files}_`;
    await write(`${base}01_OCV_C03.mpr`, cell(3, { start: START }));
    const followed = await new Followed(`${base}01_OCV_C03.mpr`).rows(3);
    await write(`${base}02_PEIS_C04.mpr`, cell(9, { start: START })); // another channel's
    const second = cell(4, { columns: [[4, "f64", seconds(4, 10)], [6, "f32", volts(4)], [8, "f32", [1, 1, 1, 1]]] }); // prettier-ignore
    await write(`${base}03_GCPL_C03.mpr`, second);
    await followed.rows(7);
    expect(followed.times).toEqual([...seconds(3), ...seconds(4, 10)]);
    const ns = followed.pieces.flatMap(({ time }) => [...time]);
    expect(ns.at(-1)! - ns[0]!).toBe(13_000_000_000n); // the second says no start: it goes on
    await followed.stop();
  });

  test("by a pattern: in the order of their names, the next taken up when it is there", async () => {
    const none = new Followed(`no part ${++files} *.mpr`);
    await none.until(() => none.faults.length > 0);
    expect(none.faults[0]!.what).toMatch(
      /no part \d+ \*\.mpr: no file of this name yet in .*; one is waited for/,
    );
    await none.stop();
    const base = `part ${files}`;
    await write(`${base} a.mpr`, cell(2, { start: START }));
    const followed = await new Followed(`${base} *.mpr`).rows(2);
    await write(`${base} b.mpr`, cell(5, { start: "2025-05-28 15:00:00" }));
    await followed.rows(7);
    expect(followed.times).toEqual([...seconds(2), ...seconds(5)]);
    expect(followed.faults).toEqual([]);
    await followed.stop();
  });
});

test("a file that is not there yet, and a directory, are said once, and what comes is taken", async () => {
  const name = fileName();
  const followed = new Followed(name);
  await followed.until(() => followed.faults.length > 0);
  expect(followed.faults[0]!.what).toBe(`${name}: there is no such file yet; it is waited for`);
  await write(name, cell(3, { start: START }));
  await followed.toEnd();
  expect(followed.times).toEqual(seconds(3));
  const directory = new Followed(".");
  await directory.until(() => directory.faults.length > 0);
  expect(directory.faults[0]!.what).toMatch(/is a directory; name a file/);
  await directory.stop();
});

test("what cannot be read is said once it stands still, and taken once it can be", async () => {
  const name = fileName();
  await write(name, new TextEncoder().encode("not yet"));
  const followed = new Followed(name);
  await followed.until(() => followed.faults.length > 0);
  expect(followed.faults[0]!.what).toMatch(/cell \d+\.mpr: is no cycler's file that is known: it is text and begins with "not yet"/); // prettier-ignore
  await write(name, cell(3, { start: START }));
  await followed.toEnd();
  expect(followed.times).toEqual(seconds(3));
});

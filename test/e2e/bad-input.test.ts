// Files and pipelines as they should not be: what is said, how the command ends, and what is kept.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { command } from "../helpers/command.ts";
import { newFolder, operando, setting } from "../helpers/installed-command.ts";
import { rowCounts, rowsOf } from "../helpers/recorded-files.ts";
import { CURVES, cyclerBytes, CYCLER_ROWS, mapBytes, PROJECTIONS, writeScan } from "./make-files.ts";

const FIRST_LIGHT = fileURLToPath(new URL("../../examples/first-light.yaml", import.meta.url));

const scan = readFileSync(await writeScan(join(newFolder(), "scan.nxs")));
const half = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length / 2);

/** With the first bytes after a text changed, as a bad sector leaves them. */
function damagedBehind(bytes: Uint8Array, text: string): Uint8Array {
  const damaged = Buffer.from(bytes);
  damaged.fill(0xa5, damaged.indexOf(text) + text.length + 8, damaged.indexOf(text) + text.length + 24);
  return damaged;
}

/** With one of the compressed pieces of its frames (zlib begins 78 5e) overwritten. */
function damagedChunk(bytes: Uint8Array): Uint8Array {
  const damaged = Buffer.from(bytes);
  let at = -1;
  for (let n = 0; n < 4; n++) at = damaged.indexOf(Buffer.from([0x78, 0x5e]), at + 1);
  return damaged.fill(0xff, at + 4, at + 20);
}

const changed = (bytes: Uint8Array, at: number, to: number): Uint8Array =>
  Uint8Array.from(bytes, (byte, i) => (i === at ? to : byte));

interface Bad {
  readonly bytes: Uint8Array;
  /** What is said, by `run` and by `inspect`. */
  readonly said: RegExp;
  /** Where the name of the file does not mislead `inspect`: what it finds. */
  readonly found?: RegExp;
  readonly rows?: Record<string, number>;
}
type Kind = Record<"mpr" | "jpk" | "nxs", Bad>;

const kinds: Record<string, Kind> = {
  "that were cut in the middle": {
    mpr: {
      bytes: half(cyclerBytes()),
      said: /bad\.mpr: byte 9771: file ends 7354 bytes before its module "VMP data" does, at byte 17125/,
      rows: { "mpr.echem": 293 },
    },
    jpk: { bytes: half(mapBytes()), said: /bad\.jpk-force-map: is cut short .*directory that ends one is missing from its \d+ bytes/ },
    nxs: { bytes: half(scan), said: /bad\.nxs: is cut short at byte \d+: it says of itself that it has \d+ bytes/ },
  },
  "that are empty": {
    mpr: { bytes: new Uint8Array(0), said: /empty \(0 bytes\)/ },
    jpk: { bytes: new Uint8Array(0), said: /empty \(0 bytes\)/ },
    nxs: { bytes: new Uint8Array(0), said: /empty \(0 bytes\)/ },
  },
  "that have another's name": {
    mpr: { bytes: mapBytes(), said: /bad\.mpr: is no cycler's file that is known: it is a zip archive/, found: /^bad\.mpr: JPK force map/ },
    jpk: { bytes: scan, said: /bad\.jpk-force-map: is HDF5, but neither of JPK .*nor of afmformats .*; it has the groups scan1/, found: /^bad\.jpk-force-map: NXtomo/ },
    nxs: { bytes: cyclerBytes(), said: /bad\.nxs: is not HDF5: it begins with 42 49 4f 2d .*wanted 89 48 44 46/, found: /^bad\.nxs: mpr/ },
  },
  "of versions that nobody knows": {
    mpr: { bytes: cyclerBytes({ version: 12 }), said: /bad\.mpr: its "VMP data" module \(byte 1718\) has version 12 .*known are 2 and 3, and 11/ },
    jpk: { bytes: mapBytes({ version: "99.0" }), said: /bad\.jpk-force-map: entry header\.properties says format version 99\.0; known are 0 to 2/ },
    nxs: { bytes: changed(scan, 8, 9), said: /bad\.nxs: byte 8: superblock version 9; 0 to 3 are known/ },
  },
  "that are damaged within": {
    mpr: {
      bytes: cyclerBytes({ count: CYCLER_ROWS + 100 }),
      said: /bad\.mpr: byte \d+: "VMP data" says 700 records, its length holds 600; read are the 600 that both have/,
      rows: { "mpr.echem": CYCLER_ROWS },
    },
    jpk: {
      bytes: damagedBehind(mapBytes({ level: 0 }), "index/5/segments/0/channels/vDeflection.dat"),
      said: /entry index\/5\/segments\/0\/channels\/vDeflection\.dat at byte \d+ does not have the checksum that the directory says; this curve is left out/,
      rows: { "jpk.curves": CURVES - 1 },
    },
    nxs: {
      bytes: damagedChunk(scan),
      said: /bad\.nxs: frame 24 of \/scan1\/tomo\/hutch\/camera\/data cannot be read/,
      rows: { "nxs.frames": PROJECTIONS + 2 - 8 }, // a piece holds eight frames
    },
  },
}; // prettier-ignore

const NAMES = { mpr: "bad.mpr", jpk: "bad.jpk-force-map", nxs: "bad.nxs" } as const;

test.each(Object.keys(kinds))("files %s: said where and why, the rest recorded, and exit code 1", async (name) => {
  const kind = kinds[name]!;
  const folder = newFolder();
  for (const key of ["mpr", "jpk", "nxs"] as const) {
    const file = join(folder, NAMES[key]);
    writeFileSync(file, kind[key].bytes);
    const { code, out, err } = await command("inspect", file);
    const { said, found } = kind[key];
    if (found) expect([code, err, out]).toEqual([0, "", expect.stringMatching(found)]);
    else expect([code, err]).toEqual([1, expect.stringMatching(said)]);
    expect(err).not.toMatch(/\n +at /);
    if (!found) expect(err).toContain(NAMES[key]);
  }
  writeFileSync(join(folder, "good.mpr"), cyclerBytes());
  const pipeline = join(folder, "pipeline.yaml");
  writeFileSync(pipeline, `
sources:
  mpr: { use: echem/file, path: ${NAMES.mpr} }
  jpk: { use: afm/file, path: ${NAMES.jpk} }
  nxs: { use: xray/tomography, path: ${NAMES.nxs} }
  good: { use: echem/file, path: good.mpr, timezone: UTC }
`);
  const directory = join(folder, "run");
  const { code, out, err } = await operando("run", pipeline, "--headless", "--out", directory);
  expect([code, out], err).toEqual([1, `${directory}\n`]);
  const faults = await rowsOf(directory, "faults");
  for (const key of ["mpr", "jpk", "nxs"] as const) {
    expect(err).toMatch(kind[key].said);
    const of = faults.filter(({ node }) => node === key).map(({ what }) => what as string);
    expect(of).toContainEqual(expect.stringMatching(kind[key].said));
  }
  expect(err).not.toMatch(/\n +at /);
  // Whoever has nothing wrong with him goes on.
  expect(faults.filter(({ node }) => node === "good")).toEqual([]);
  expect(await rowCounts(directory)).toMatchObject({
    "good.echem": CYCLER_ROWS,
    ...kind.mpr.rows,
    ...kind.jpk.rows,
    ...kind.nxs.rows,
  });
  expect(JSON.parse(readFileSync(join(directory, "run.json"), "utf8"))).toMatchObject({ ending: "failed" });
}); // prettier-ignore

test("five mistakes of a pipeline file are all told, each with its line, and nothing is made", async () => {
  const folder = newFolder();
  const pipeline = join(folder, "five.yaml");
  writeFileSync(pipeline, `run: { name: five, directory: "${join(folder, "runs")}" }
sources:
  cycler: { use: echem/fil, path: cell.mpr }
  xrm: { use: xray/tomography, path: scan.nxs, pase: 20 Hz }
operators:
  flat: { use: tomography/flat-field, from: xrm.frame }
  slices:
    use: tomography/incremental
    from: flat.projections
    with: { window: 180 kg }
alarms:
  gas: { when: slices.slices, priority: hihg }
`);
  const { code, out, err } = await operando("run", pipeline, "--headless");
  expect([code, out]).toEqual([2, ""]);
  expect(err.trimEnd().split("\n")).toEqual([
    expect.stringMatching(/^five\.yaml:3: .*echem\/fil is not known; did you mean echem\/file\?/),
    expect.stringMatching(/^five\.yaml:4: .*pase is not known; did you mean pace\?/),
    expect.stringMatching(/^five\.yaml:6: .*no port frame; did you mean frames\?/),
    expect.stringMatching(/^five\.yaml:10: .*window: 180 kg is no window; wanted 180 deg/),
    expect.stringMatching(/^five\.yaml:12: .*hihg is not known; did you mean high\?/),
    "5 mistakes; nothing was started.",
  ]);
  expect(readdirSync(folder)).toEqual(["five.yaml"]);
}); // prettier-ignore

test("a port that is in use is told in a sentence with a free one, and no run is left behind", async () => {
  const other = createServer();
  await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
  try {
    const { port } = other.address() as AddressInfo;
    const folder = newFolder();
    const { code, out, err } = await operando(
      "run", FIRST_LIGHT, "--out", join(folder, "run"), ...setting({ "view.port": port, "cell.duration": "0.01 h" }),
    ); // prettier-ignore
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(
      new RegExp(`^websocket: port ${port} on 127\\.0\\.0\\.1 is in use .*\\d+ is free.*\n$`),
    );
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    other.close();
  }
});

test("a run never writes under a file, nor over another run", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "cell.mpr"), cyclerBytes());
  writeFileSync(join(folder, "pipeline.yaml"), "sources: { cycler: { use: echem/file, path: cell.mpr, timezone: UTC } }");
  const into = (...path: string[]) =>
    operando("run", join(folder, "pipeline.yaml"), "--headless", "--out", join(folder, ...path));
  expect(await into("cell.mpr", "run")).toMatchObject({
    code: 1, out: "", err: `cannot record into ${join(folder, "cell.mpr", "run")}: part of its path is a file, not a directory\n`,
  });
  expect(readFileSync(join(folder, "cell.mpr"))).toEqual(Buffer.from(cyclerBytes()));

  mkdirSync(join(folder, "runs"));
  const first = join(folder, "runs", "first");
  expect(await into("runs", "first")).toMatchObject({ code: 0, out: `${first}\n` });
  const before = readFileSync(join(first, "run.json"), "utf8");
  expect(await into("runs", "first")).toMatchObject({
    code: 1, out: "", err: `${first} holds a recording already; give another directory\n`,
  });
  expect(readFileSync(join(first, "run.json"), "utf8")).toBe(before);
  expect(await rowCounts(first)).toMatchObject({ "cycler.echem": CYCLER_ROWS });
}); // prettier-ignore

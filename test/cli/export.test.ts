import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { beforeAll, describe, expect, test } from "vitest";
import { code, curve, image, label, scalar } from "../../runtime/index.ts";
import { command } from "../helpers/command.ts";
import { recordedRun } from "../helpers/recorded-run.ts";
import { readTiff } from "./read-tiff.ts";

const origin = 1_795_342_500_000_000_000n; // 2026-11-22T10:15:00Z
const time = BigInt64Array.of(origin, origin + 1n, origin + 1_500_000_000n);

const cycler = {
  stream: "cycler.echem",
  schema: {
    fields: {
      voltage_volt: scalar("V"),
      current_ampere: scalar("A"),
      charge: scalar("A.h"),
      step: code(),
      note: label(),
    },
    metadata: { time_basis: "zone assumed" },
  },
  columns: {
    time,
    voltage_volt: Float64Array.of(3.1, NaN, 0.1 + 0.2),
    current_ampere: Float64Array.of(0.001, -0.002, 1e-21),
    charge: Float64Array.of(0, 1e-3, 2e-3),
    step: Int32Array.of(0, 1, -1),
    note: ["plain", 'says "no", twice', "two\nlines"],
  },
};

const afm = {
  stream: "afm.maps",
  schema: { fields: { data: image("m", { shape: [1, 2] }), force: curve("N"), index: code() }, metadata: {} },
  columns: {
    time,
    data: Float32Array.of(1, 2, 3, 4, 5, 6),
    force: { values: Float64Array.of(1, 2, 3), offsets: Int32Array.of(0, 2, 2, 3) },
    index: Int32Array.of(0, 1, 2),
  },
};

const larger = {
  stream: "afm.maps",
  epoch: 1,
  schema: { fields: { data: image("m", { shape: [3, 1] }), force: curve("N"), index: code() }, metadata: {} },
  columns: {
    time: BigInt64Array.of(origin + 9n),
    data: Float32Array.of(7, 8, 9),
    force: { values: Float64Array.of(4), offsets: Int32Array.of(0, 1) },
    index: Int32Array.of(3),
  },
};

let single: string;
let several: string;
beforeAll(async () => {
  single = await recordedRun([cycler], { origin });
  several = await recordedRun([cycler, afm, larger], {
    origin,
    experiment: { electrode_area: 2, active_mass: 10 },
  });
});

test("CSV has time to the ns, seconds, units, and numbers that read back", async () => {
  const { code: exit, out, err } = await command("export", single, "--format", "csv");
  expect(exit).toBe(0);
  expect(out).toBe(
    [
      "time,seconds [s],voltage_volt [V],current_ampere [A],charge [A.h],step,note",
      "2026-11-22T10:15:00.000000000Z,0,3.1,0.001,0,0,plain",
      '2026-11-22T10:15:00.000000001Z,1e-9,NaN,-0.002,0.001,1,"says ""no"", twice"',
      '2026-11-22T10:15:01.500000000Z,1.5,0.30000000000000004,1e-21,0.002,-1,"two\nlines"',
      "",
    ].join("\r\n"),
  );
  expect(err).toBe("cycler.echem: 3 rows; its times: zone assumed\n");
});

test("Arrow on stdout is a stream that other tools read, schema and all", async () => {
  const { bytes } = await command("export", single, "--format", "arrow");
  const table = tableFromIPC(bytes);
  expect(table.numRows).toBe(3);
  expect(table.schema.fields.map(({ name, metadata }) => [name, metadata.get("unit")])).toEqual([
    ["time", "ns"], ["voltage_volt", "V"], ["current_ampere", "A"], ["charge", "A.h"], ["step", undefined], ["note", undefined],
  ]); // prettier-ignore
  expect([...table.getChild("voltage_volt")!.toArray()]).toEqual([3.1, NaN, 0.1 + 0.2]);
  expect(table.getChild("note")!.get(2)).toBe("two\nlines");
  expect(table.schema.metadata.get("time_basis")).toBe("zone assumed");
});

describe("of several streams", () => {
  test("stdout takes one", async () => {
    const { code: exit, err } = await command("export", several, "--format", "csv");
    expect(exit).toBe(2);
    expect(err).toMatch(/more than one stream; name one with --stream, or a directory with --out/);
  });

  test("a directory gets a file each, and one for each change of columns", async () => {
    const directory = join(several, "tables");
    const { code: exit, err } = await command("export", several, "--format", "csv", "--out", directory);
    expect(exit).toBe(0);
    expect((await readdir(directory)).sort()).toEqual([
      "afm.maps-epoch0.csv",
      "afm.maps-epoch1.csv",
      "cycler.echem.csv",
    ]);
    expect(err).toMatch(
      /afm.maps: data, force left out, since a row of it is not one number; --columns data,force writes it all the same/,
    );
    expect(await readFile(join(directory, "afm.maps-epoch1.csv"), "utf8")).toBe(
      "time,seconds [s],index\r\n2026-11-22T10:15:00.000000009Z,9e-9,3\r\n",
    );
  });

  test("images and curves are written where they are asked for", async () => {
    const directory = join(several, "wide");
    await command(
      "export",
      several,
      "--format",
      "csv",
      "--stream",
      "afm.maps",
      "--columns",
      "index,data,force",
      "--out",
      directory,
    );
    const [header, first, second] = (await readFile(join(directory, "afm.maps-epoch0.csv"), "utf8")).split(
      "\r\n",
    );
    expect(header).toBe("time,seconds [s],index,data [m] (1 × 2),force [N]");
    expect(first).toBe("2026-11-22T10:15:00.000000000Z,0,0,1 2,1 2");
    expect(second).toBe("2026-11-22T10:15:00.000000001Z,1e-9,1,3 4,");
  });

  test("Arrow files hold images and curves", async () => {
    const directory = join(several, "arrow");
    await command("export", several, "--format", "arrow", "--out", directory);
    const bytes = await readFile(join(directory, "afm.maps-epoch0.arrow"));
    expect(bytes.subarray(0, 6).toString()).toBe("ARROW1");
    const table = tableFromIPC(bytes);
    expect([...table.getChild("data")!.get(1).toArray()]).toEqual([3, 4]);
    expect([...table.getChild("force")!.get(0).toArray()]).toEqual([1, 2]);
    expect(JSON.parse(table.schema.fields[1]!.metadata.get("ARROW:extension:metadata")!)).toEqual({
      shape: [1, 2],
    });
  });

  test("what the experiment says of mass and area gives mA/cm2 and mA.h/g", async () => {
    const { out } = await command(
      "export",
      several,
      "--format",
      "csv",
      "--stream",
      "cycler.echem",
      "--columns",
      "current_ampere,charge",
    );
    const [header, , second] = out.split("\r\n");
    expect(header).toBe(
      "time,seconds [s],current_ampere [A],charge [A.h],current_ampere_per_area [mA/cm2],charge_per_mass [mA.h/g]",
    );
    expect(second).toBe("2026-11-22T10:15:00.000000001Z,1e-9,-0.002,0.001,-1,100");
  });
});

describe("between two times", () => {
  test.each([
    [["--from", "1 s"], [2]],
    [
      ["--to", "1500 ms"],
      [0, 1],
    ],
    [
      ["--from", "2026-11-22T10:15:00.000000001Z", "--to", "1 min"],
      [1, 2],
    ],
    [["--from", "1 h"], []],
  ])("%j", async (args, rows) => {
    const {
      code: exit,
      out,
      err,
    } = await command("export", single, "--format", "csv", "--columns", "step", ...args);
    expect(exit).toBe(0);
    const steps = [0, 1, -1];
    expect(out.trim().split("\r\n").slice(1).map((line) => Number(line.split(",").at(-1)))).toEqual(rows.map((i) => steps[i])); // prettier-ignore
    expect(err).toMatch(new RegExp(`^cycler.echem: ${rows.length} row`));
  });

  test.each([
    [["--from", "noon"], /--from: "noon" is not a number with a unit/],
    [["--from", "5"], /--from: "5" has no unit; write "5 s"/],
    [["--to", "2026-11-22 10:15"], /does not say its zone/],
    [["--from", "2 s", "--to", "1 s"], /--from 2 s is not before --to 1 s/],
  ])("%j is a mistake", async (args, message) => {
    const { code: exit, err } = await command("export", single, "--format", "csv", ...args);
    expect(exit).toBe(2);
    expect(err).toMatch(message);
  });
});

describe("TIFF", () => {
  const SECOND = 1_000_000_000n;
  // Two slices, two pictures of each; pixel k of slice z at second t is 100 t + z + k / 8.
  const value = (t: number, z: number, k: number) => 100 * t + z + k / 8;
  const slices = {
    stream: "slices.slices",
    derived: true,
    schema: {
      fields: { data: image("1/{px}", { shape: [2, 3] }), slice: code(), coverage: scalar("deg") },
      metadata: { sample_pixel_size_x: "6.5e-7", sample_pixel_size_y: "1.3 um", pixel_size_x: "6.5e-6" },
    },
    columns: {
      time: BigInt64Array.of(origin, origin, origin + 2n * SECOND, origin + 2n * SECOND),
      data: Float32Array.from([[0, 5], [0, 7], [2, 5], [2, 7]].flatMap(([t, z]) => [0, 1, 2, 3, 4, 5].map((k) => value(t!, z!, k)))),
      slice: Int32Array.of(5, 7, 5, 7),
      coverage: Float64Array.of(10, 10, 20, 20),
    },
  }; // prettier-ignore
  slices.columns.data[1] = NaN;
  slices.columns.data[2] = -Infinity;

  let run: string;
  beforeAll(async () => {
    run = await recordedRun([cycler, slices], { origin });
  });
  const exported = (directory: string, ...args: string[]) =>
    command("export", run, "--format", "tiff", "--out", join(run, directory), ...args);
  const read = async (...path: string[]) => readTiff(await readFile(join(run, ...path)));

  test("of each slice a stack over time, as ImageJ reads it, and a table of its pages", async () => {
    const { code: exit, err } = await exported("stacks");
    expect([exit, err]).toEqual([
      0,
      "slices.slices-slice0005.tif: 2 pages of 2 × 3\nslices.slices-slice0007.tif: 2 pages of 2 × 3\n",
    ]);
    const { big, pages } = await read("stacks", "slices.slices-slice0005.tif");
    expect(big).toBe(false);
    expect(pages.map(({ width, height, dateTime }) => [width, height, dateTime])).toEqual([
      [3, 2, "2026:11:22 10:15:00"],
      [3, 2, "2026:11:22 10:15:02"],
    ]);
    expect(pages[0]!.values).toEqual([5, NaN, -Infinity, 5.375, 5.5, 5.625]);
    expect(pages[1]!.values).toEqual([0, 1, 2, 3, 4, 5].map((k) => value(2, 5, k)));
    const [x, y] = pages[0]!.resolution!;
    // Across the rotation axis both sides of a pixel lie along the detector's columns.
    expect([1 / x, 1 / y]).toEqual([expect.closeTo(0.65, 12), expect.closeTo(0.65, 12)]);
    expect(pages[0]!.description).toBe(
      "ImageJ=1.54f\nimages=2\nframes=2\nunit=um\nfinterval=2\ntunit=s\nloop=false\nmin=5\nmax=205.625\n",
    );
    expect(await readFile(join(run, "stacks", "slices.slices-slice0007.csv"), "utf8")).toBe(
      "time,seconds [s],slice,coverage [deg]\r\n" +
        "2026-11-22T10:15:00.000000000Z,0,7,10\r\n2026-11-22T10:15:02.000000000Z,2,7,20\r\n",
    );
    expect((await readdir(join(run, "stacks"))).toSorted()).toHaveLength(4);
  });

  test("--volume: the newest of each slice, apart as they lie in the sample", async () => {
    const { code: exit } = await exported("volume.tif", "--volume");
    expect(exit).toBe(0);
    const { pages } = await read("volume.tif");
    expect(pages.map(({ values }) => values[0])).toEqual([205, 207]);
    expect(pages[0]!.description).toContain("images=2\nslices=2\nunit=um\nspacing=2.6\n");
    expect(pages[1]!.description).toBeUndefined();
  });

  test("--volume before a time is what was newest then", async () => {
    await exported("early", "--volume", "--to", "1 s");
    const { pages } = await read("early", "slices.slices.tif");
    expect(pages.map(({ values }) => values[0])).toEqual([5, 7]);
  });

  test("integers stay what they are, a plane without slices is one stack, a field of volumes has pages for its planes", async () => {
    const frames = {
      stream: "xrm.frames",
      schema: { fields: { data: image("{count}", { type: "u16", shape: [1, 2] }) }, metadata: {} },
      columns: { time: BigInt64Array.of(origin, origin + SECOND), data: Uint16Array.of(0, 65535, 1, 2) },
    };
    const volumes = {
      stream: "xrm.volumes",
      schema: { fields: { data: image("1", { type: "i16", shape: [3, 1, 2] }), se: image("1", { shape: [1, 1] }) }, metadata: {} },
      columns: { time: BigInt64Array.of(origin, origin + SECOND), data: Int16Array.of(-1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -32768), se: Float32Array.of(1, 2) },
    }; // prettier-ignore
    const of = await recordedRun([frames, volumes], { origin });
    const { code: exit } = await command("export", of, "--format", "tiff", "--out", join(of, "t"));
    expect(exit).toBe(0);
    expect((await readdir(join(of, "t"))).toSorted()).toEqual([
      "xrm.frames.csv", "xrm.frames.tif", "xrm.volumes-data.csv", "xrm.volumes-data.tif", "xrm.volumes-se.csv", "xrm.volumes-se.tif",
    ]); // prettier-ignore
    const flat = readTiff(await readFile(join(of, "t", "xrm.frames.tif")));
    expect(flat.pages.map(({ values }) => values)).toEqual([[0, 65535], [1, 2]]); // prettier-ignore
    expect(flat.pages[0]!.resolution).toBeUndefined();
    const deep = readTiff(await readFile(join(of, "t", "xrm.volumes-data.tif")));
    expect(deep.pages.map(({ values }) => values)).toEqual([[-1, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, -32768]]); // prettier-ignore
    expect(deep.pages[0]!.description).toContain("images=6\nslices=3\nframes=2\nhyperstack=true\n");
  });

  test.each([
    [[], /cannot be written to stdout; name a folder with --out/],
    [["--out", "x", "--stream", "cycler.echem"], /cycler.echem has no image column.*it has voltage_volt, current_ampere/],
    [["--out", "x", "--stream", "slices.slices", "--columns", "dta"], /--columns, of images in slices.slices: dta is not known; did you mean data\?/],
    [["--out", "x.tif"], /x.tif is one file, but there are several slices \(5, 7\); name a folder, or give --volume/],
  ])("%j is a mistake", async (args, message) => {
    const placed = args.map((arg, i) => (args[i - 1] === "--out" ? join(run, arg) : arg));
    const { code: exit, err } = await command("export", run, "--format", "tiff", ...placed);
    expect(exit).toBe(2);
    expect(err).toMatch(message);
    expect((await readdir(run)).filter((name) => name.startsWith("x"))).toEqual([]);
  }); // prettier-ignore

  test("a run without images, and --volume without slices, say what there is", async () => {
    const none = await command("export", single, "--format", "tiff", "--out", join(single, "x"));
    expect([none.code, none.err]).toEqual([
      2,
      expect.stringMatching(/no stream of the run has an image column/),
    ]);
    const maps = await command(
      "export",
      several,
      "--format",
      "tiff",
      "--volume",
      "--out",
      join(several, "x"),
    );
    expect([maps.code, maps.err]).toEqual([
      2,
      expect.stringMatching(/--volume: afm.maps has no column slice/),
    ]);
    const csv = await command("export", single, "--format", "csv", "--volume");
    expect([csv.code, csv.err]).toEqual([2, expect.stringMatching(/--volume is for --format tiff/)]);
  });

  test("no rows is said, and no file is left behind", async () => {
    const { code: exit, err } = await exported("none", "--from", "1 h");
    expect(exit).toBe(1);
    expect(err).toMatch(
      /slices.slices: no rows between these times[^]*nothing was written: slices.slices has no rows/,
    );
    expect(existsSync(join(run, "none"))).toBe(false);
  });

  test.runIf(existsSync("/dev/full"))("a full disk is said, and nothing half-written stays", async () => {
    await mkdir(join(run, "full"));
    await symlink("/dev/full", join(run, "full", "slices.slices-slice0005.tif.partial"));
    const { code: exit, err } = await exported("full");
    expect(exit).toBe(1);
    expect(err).toMatch(/slices.slices-slice0005.tif could not be written: the disk is full/);
    expect(await readdir(join(run, "full"))).toEqual([]);
  });
});

describe("mistakes", () => {
  test.each([
    [["--format", "csv", "--stream", "cycler.echm"], /cycler.echm is not known; did you mean cycler.echem\?/],
    [
      ["--format", "csv", "--columns", "voltage"],
      /of cycler.echem: voltage is not known.*Allowed: voltage_volt/,
    ],
    [["--format", "xlsx"], /Allowed choices are csv, arrow, tiff/],
    [[], /required option '--format <format>' not specified/],
  ])("%j", async (args, message) => {
    const { code: exit, err, out } = await command("export", single, ...args);
    expect([exit, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  });

  test("what is no run", async () => {
    const { code: exit, err } = await command("export", join(single, "streams"), "--format", "csv");
    expect(exit).toBe(1);
    expect(err).toMatch(/streams is not a recorded run: it has no run.json/);
  });
});

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { beforeAll, describe, expect, test } from "vitest";
import { code, curve, image, label, scalar } from "../../runtime/index.ts";
import { command } from "../helpers/command.ts";
import { recordedRun } from "../helpers/recorded-run.ts";

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

describe("mistakes", () => {
  test.each([
    [["--format", "csv", "--stream", "cycler.echm"], /cycler.echm is not known; did you mean cycler.echem\?/],
    [
      ["--format", "csv", "--columns", "voltage"],
      /of cycler.echem: voltage is not known.*Allowed: voltage_volt/,
    ],
    [["--format", "xlsx"], /Allowed choices are csv, arrow/],
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

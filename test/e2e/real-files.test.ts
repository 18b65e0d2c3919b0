// Files of the three instruments through the pipeline that people are given for them, and again through a replay.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Columns } from "../../runtime/columns.ts";
import { newFolder, operando, setting } from "../helpers/installed-command.ts";
import { columnsOf, derivedFiles, rowCounts } from "../helpers/recorded-files.ts";
import {
  ATTENUATION_per_px, CURVES, CYCLER_ROWS, modulus_Pa, PROJECTIONS, TIP_RADIUS_nm, voltage_V, writeFiles,
} from "./make-files.ts"; // prettier-ignore

const PIPELINE = fileURLToPath(new URL("../../examples/real-cell.yaml", import.meta.url));
/** How long a modulus counts, in that pipeline. */
const TOLERANCE_s = 300;

/** Runs the pipeline on files; the run's directory. */
async function run(options: Readonly<Record<string, string>>): Promise<{ directory: string; err: string }> {
  const directory = join(newFolder(), "run");
  const { code, out, err } = await operando("run", PIPELINE, "--headless", "--out", directory, ...setting(options));
  expect([code, out], err).toEqual([0, `${directory}\n`]);
  return { directory, err };
} // prettier-ignore

async function replaysAsItRan(directory: string): Promise<void> {
  const again = join(newFolder(), "replayed");
  const { code, err } = await operando("replay", directory, "--speed", "max", "--headless", "--out", again);
  expect(code, err).toBe(0);
  const [before, after] = [await derivedFiles(directory), await derivedFiles(again)];
  expect(Object.keys(before).length).toBeGreaterThan(20);
  expect(after).toEqual(before);
  // What the sources said is not copied.
  expect(Object.keys(await rowCounts(again))).not.toContain("cycler.echem");
}

const seconds = ({ time }: Columns, from: bigint): number[] =>
  Array.from(time, (t) => Number(t - from) / 1e9);
const numbers = (columns: Columns, name: string): number[] =>
  Array.from(columns[name] as Float64Array, Number);

/** Beside each row of the cycler the newest rolling modulus of the last five minutes, or NaN. */
async function joinsWhatOverlaps(directory: string): Promise<{ filled: number; empty: number }> {
  const [joined, rolling] = [
    await columnsOf(directory, "joined.joined"),
    await columnsOf(directory, "rolling.rolling"),
  ];
  const from = joined!.time[0]!;
  const [at, known] = [seconds(joined!, from), seconds(rolling!, from)];
  const [medians, ages] = [numbers(joined!, "modulus_median"), numbers(joined!, "modulus_age")];
  const [values, found] = [numbers(rolling!, "median"), { filled: 0, empty: 0 }];
  at.forEach((t, i) => {
    const k = known.findLastIndex((earlier) => earlier <= t);
    const near = k >= 0 && t - known[k]! <= TOLERANCE_s;
    expect(medians[i]).toBe(near ? values[k] : NaN);
    if (near) expect(ages[i]).toBeCloseTo(t - known[k]!, 6);
    found[near ? "filled" : "empty"]++;
  });
  return found;
}

test("files of three instruments give the numbers that they were made from, and replay to the same bytes", async () => {
  const files = await writeFiles(newFolder());
  const { directory } = await run({
    "cycler.path": files.cycler, "cycler.timezone": "UTC", "afm.path": files.afm, "xrm.path": files.xrm,
    "modulus.tip_radius": `${TIP_RADIUS_nm} nm`,
  }); // prettier-ignore
  expect(await rowCounts(directory)).toMatchObject({
    "cycler.echem": CYCLER_ROWS,
    "joined.joined": CYCLER_ROWS,
    "steps.state": CYCLER_ROWS,
    "afm.curves": CURVES,
    "modulus.modulus": CURVES,
    "maps.maps": 1,
    "xrm.frames": PROJECTIONS + 2,
    "flat.projections": PROJECTIONS,
    "slices.slices": PROJECTIONS / 10 + 1,
    faults: 1, // its topography of 4 × 6 pixels is too small to be registered, and the drift says so
  });
  const noon = BigInt(Date.UTC(2026, 2, 1, 12)) * 1_000_000n;

  const echem = (await columnsOf(directory, "cycler.echem"))!;
  expect(seconds(echem, noon)).toEqual(Array.from({ length: CYCLER_ROWS }, (_, i) => i));
  expect(numbers(echem, "voltage_volt")).toEqual(Array.from({ length: CYCLER_ROWS }, (_, i) => voltage_V(i)));

  const modulus = (await columnsOf(directory, "modulus.modulus"))!;
  expect(seconds(modulus, noon)).toEqual(Array.from({ length: CURVES }, (_, i) => 60 + 10 * i));
  // The stored numbers are f64, the fit ends at 1e-6 of itself.
  numbers(modulus, "modulus").forEach((found, i) =>
    expect(Math.abs(found / modulus_Pa(i) - 1)).toBeLessThan(1e-6),
  );

  const slices = (await columnsOf(directory, "slices.slices"))!;
  const images = slices["data"] as Float32Array;
  const side = Math.sqrt(images.length / slices.time.length);
  const middle = images.length - Math.ceil((side * side) / 2);
  // Filtered back-projection of a disk of 10 px: rim and counting leave some per cent.
  expect(images[middle]! / ATTENUATION_per_px).toBeCloseTo(1, 1);
  expect(numbers(slices, "axis").at(-1)).toBe(16);

  const { filled, empty } = await joinsWhatOverlaps(directory);
  expect(filled).toBe(CYCLER_ROWS - 60 - 10); // the first rolling row, 70 s into the run, needs one curve
  expect(empty).toBe(60 + 10);
  await replaysAsItRan(directory);
});

const shared = new URL("../../../shared/data/", import.meta.url);
const [cycler, afm, xrm] = [
  "echem/biologic/gcpl.mpr",
  "afm/jpk/map-data-2022.10.29-12.27.34.564.jpk-force-map",
  "xrm/tooth.h5",
];

describe.runIf(existsSync(new URL(cycler!, shared)))("files of real instruments", () => {
  const json = (file: string): unknown =>
    JSON.parse(readFileSync(new URL(file, shared), "utf8").replaceAll(/: NaN\b/g, ": null"));
  const path = (file: string): string => fileURLToPath(new URL(file, shared));

  test("placed together by hand, they give the peers' numbers, are joined, and replay to the same bytes", async () => {
    const known = (
      json("echem/expected.json") as { file: string; rows: number; first: Row; last: Row }[]
    ).find(({ file }) => file === "biologic/gcpl.mpr")!;
    const { files } = json("afm/expected_shared.json") as { files: Record<string, { curves: Curve[] }> };
    const { curves } = files[afm!.slice("afm/".length)]!;
    const { directory, err } = await run({
      "cycler.path": path(cycler!), "cycler.start": "2026-03-01T12:00:00Z",
      "afm.path": path(afm!), "afm.start": "2026-03-01T12:30:00Z",
      "xrm.path": path(xrm!), "xrm.start": "2026-03-01T12:29:00Z",
      // Settings of the peer's fit; its curves are soft ones.
      "modulus.tip_radius": "10 um", "modulus.poisson_ratio": "0.5", "modulus.residual": "tip-position",
      "slices.every": "90", // each is 1.6 MB, twice
    }); // prettier-ignore
    expect(err).toMatch(/does not say when its frames were taken/);
    expect(await rowCounts(directory)).toMatchObject({
      "cycler.echem": known.rows, "steps.state": known.rows, "joined.joined": known.rows,
      "afm.curves": curves[0]!.n_curves, "modulus.modulus": curves[0]!.n_curves, "afm.topography": 1, "maps.maps": 1,
      "xrm.frames": 181 + 10 + 10, "flat.projections": 181, // as the file's SOURCES.md says
    }); // prettier-ignore

    const echem = (await columnsOf(directory, "cycler.echem"))!;
    const voltage = numbers(echem, "voltage_volt");
    expect(voltage[0]).toBe(Math.fround(known.first["Ewe/V"]!));
    expect(voltage.at(-1)).toBe(Math.fround(known.last["Ewe/V"]!));
    const modulus = numbers((await columnsOf(directory, "modulus.modulus"))!, "modulus");
    // The peer stops its fit at 1e-4.
    curves.forEach(({ curve_index, fits }) =>
      expect(Math.abs(modulus[curve_index]! / fits["A_para_R10um_nu0.5_w0"].E_Pa - 1)).toBeLessThan(1e-4),
    );
    const { filled } = await joinsWhatOverlaps(directory);
    // A row each two minutes, and the modulus counts for five.
    expect(filled).toBe(2);
    await replaysAsItRan(directory);
  }, 120_000);
});

type Row = Record<string, number>;
interface Curve {
  readonly curve_index: number;
  readonly n_curves: number;
  readonly fits: { readonly "A_para_R10um_nu0.5_w0": { readonly E_Pa: number } };
}

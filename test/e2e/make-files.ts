/**
 * One cell, measured by three instruments at the same time: small files with known answers, as the instruments write
 * them. A minute after noon on 1 March 2026 (UTC) all three are at work.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCurve } from "../operators/mechanics/make-curves.ts";
import { makeJpk, type MadeFile } from "../sources/afm/make-jpk.ts";
import { mprBytes, type MprParts } from "../sources/echem/mpr-bytes.ts";
import { NXTOMO_GROUPS, writeHdf5 } from "../sources/xray/tomography-files.ts";

/** Cycler: a row a second for ten minutes, its voltage a straight line. */
export const CYCLER_ROWS = 600;
export const voltage_V = (row: number): number => Math.fround(3 + row / 1000);

export function cyclerBytes(more: Partial<MprParts> = {}): Uint8Array {
  const rows = Array.from({ length: CYCLER_ROWS }, (_, i) => i);
  return mprBytes({
    layout: "new11", start: "2026-03-01 12:00:00.000", date: "03/01/26",
    columns: [[4, "f64", rows], [6, "f32", rows.map(voltage_V)], [8, "f32", rows.map(() => 1.5)], [24, "f64", rows.map(() => 1)]],
    ...more,
  }); // prettier-ignore
}

/** Force microscope: a map of 6 × 4 curves, one each ten seconds, each spot stiffer than the one before. */
export const CURVES = 24;
export const TIP_RADIUS_nm = 20;
export const modulus_Pa = (index: number): number => 1e6 * (1 + index / 10);

const SPRING_N_per_m = 2;
const SENSITIVITY_m_per_V = 5e-8;
/** What the maker's calibration makes metres of. */
const heightRaw = (height_m: number): number => (height_m / 0.5 - 1e-4) / -1.5e-8;

export function mapBytes(more: Partial<MadeFile> = {}): Uint8Array {
  const curves = Array.from({ length: CURVES }, (_, index) => {
    const { height, force } = makeCurve({
      model: "hertz-paraboloid", modulus_Pa: modulus_Pa(index), k_N_per_m: SPRING_N_per_m,
      tipRadius_m: TIP_RADIUS_nm * 1e-9, maxForce_N: 20e-9,
    }); // prettier-ignore
    const ended = new Date(Date.UTC(2026, 2, 1, 12, 1) + index * 10_000);
    return {
      x: (index % 6) * 1e-6, y: Math.floor(index / 6) * 1e-6, visit: index,
      segments: [{
        style: "extend", duration: 1, ended: `${ended.toISOString().slice(0, 23).replace("T", " ")} +0000`,
        deflection: Array.from(force, (f) => f / SPRING_N_per_m / SENSITIVITY_m_per_V), height: Array.from(height, heightRaw),
      }],
    }; // prettier-ignore
  });
  return makeJpk({
    kind: "force-scan-map", encoder: "double", shared: true, spring: SPRING_N_per_m, sensitivity: SENSITIVITY_m_per_V,
    grid: { columns: 6, rows: 4, size: 6e-6 }, curves, ...more,
  }); // prettier-ignore
}

/** Tomograph: dark, flat, and a half turn in steps of 2 deg around a round sample, a frame a second. */
export const PROJECTIONS = 90;
export const ATTENUATION_per_px = 0.05;
const [COLUMNS, RADIUS_px, DARK, FLAT] = [33, 10, 100, 40_100];

export async function writeScan(path: string): Promise<string> {
  const keys = [2, 1, ...Array.from({ length: PROJECTIONS }, () => 0)];
  const counts = keys.flatMap((key) =>
    Array.from({ length: COLUMNS }, (_, column) => {
      const chord_px = 2 * Math.sqrt(Math.max(0, RADIUS_px ** 2 - (column - (COLUMNS - 1) / 2) ** 2));
      if (key === 2) return DARK;
      if (key === 1) return FLAT;
      return Math.round(DARK + (FLAT - DARK) * Math.exp(-ATTENUATION_per_px * chord_px));
    }),
  );
  const angles = keys.map((_, i) => Math.max(0, i - 2) * 2);
  return writeHdf5(
    path,
    {
      "/scan1/tomo/definition": { values: "NXtomo" },
      "/scan1/tomo/start_time": { values: "2026-03-01T12:00:30+00:00" },
      "/scan1/tomo/hutch/camera/data": { values: Uint16Array.from(counts), shape: [keys.length, 1, COLUMNS], chunks: [8, 1, COLUMNS] },
      "/scan1/tomo/hutch/camera/image_key": { values: Uint8Array.from(keys) },
      "/scan1/tomo/hutch/camera/count_time": { values: Float64Array.of(1), attributes: { units: "s" } },
      "/scan1/tomo/thing/rotation_angle": { values: Float64Array.from(angles), attributes: { units: "deg" } },
    },
    { groups: NXTOMO_GROUPS },
  ); // prettier-ignore
}

export interface MadeFiles {
  readonly cycler: string;
  readonly afm: string;
  readonly xrm: string;
}

export async function writeFiles(folder: string): Promise<MadeFiles> {
  const [cycler, afm, xrm] = ["cell 7.mpr", "electrode.jpk-force-map", "scan.nxs"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  writeFileSync(cycler, cyclerBytes());
  writeFileSync(afm, mapBytes());
  await writeScan(xrm);
  return { cycler, afm, xrm };
}

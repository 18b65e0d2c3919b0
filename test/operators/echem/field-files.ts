/** Files of the field, where the shared data lie beside the checkout. */
import { existsSync, readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import { code, type Fields } from "../../../runtime/index.ts";
import { bdfColumns, bdfOf, nothingBefore } from "../../../sources/echem/bdf.ts";
import { decodeRecords, fieldsOf, readMpr } from "../../../sources/echem/mpr.ts";
import { timesOf } from "../../../sources/echem/test-time.ts";
import { cycles } from "../../../operators/echem/cycles.ts";
import { steps } from "../../../operators/echem/steps.ts";
import type { Echem } from "./made-cells.ts";

const shared = new URL("../../../../shared/data/echem/", import.meta.url);
export const sharedThere = existsSync(shared);

export interface Expected {
  file: string;
  half_cycles?: { half_cycle: number; rows: number; t0_s: number; t1_s: number; q_end_mAh: number }[];
  steps?: { n: number };
}

export function expectedOf(name: string): Expected {
  const text = readFileSync(new URL("expected.json", shared), "utf8").replaceAll(/: NaN\b/g, ": null");
  return (JSON.parse(text) as Expected[]).find(({ file }) => file === name)!;
}

export interface Field {
  columns: Echem;
  fields: Fields;
}

export async function echemOf(name: string): Promise<Field> {
  const bytes = new Uint8Array(readFileSync(new URL(`biologic/${name}`, shared)));
  const mpr = await readMpr(async (at, length) => bytes.subarray(at, at + length), bytes.length);
  const vendor = decodeRecords(
    mpr,
    bytes.subarray(mpr.firstRecord, mpr.firstRecord + mpr.records * mpr.recordLength),
  );
  const bdf = bdfOf(fieldsOf(mpr));
  return {
    columns: {
      time: timesOf(0n, vendor["test_time_second"] as Float64Array),
      ...vendor,
      ...bdfColumns(bdf, vendor, mpr.records, nothingBefore()),
    } as Echem,
    fields: { ...fieldsOf(mpr), ...bdf.fields },
  };
}

/** What the vendor's program (BTSDA) exported of a Neware test, and by step the charge that it says [A.h]. */
export async function newareOf(name: string): Promise<Field & { charges: Map<number, { cycle: number; type: string; charge_Ah: number }> }> {
  const bytes = readFileSync(new URL(`neware/${name}.parquet`, shared));
  const rows = (await parquetReadObjects({
    file: new Uint8Array(bytes).buffer,
    compressors: { BROTLI: (data: Uint8Array) => new Uint8Array(brotliDecompressSync(data)) },
  })) as Record<string, number | string>[];
  const numbers = (column: string, factor = 1): Float64Array => Float64Array.from(rows, (row) => Number(row[column]) * factor);
  const types = [...new Set(rows.map((row) => String(row["Step Type"])))];
  const charges = new Map<number, { cycle: number; type: string; charge_Ah: number }>();
  for (const row of rows)
    charges.set(Number(row["Step Count"]), {
      cycle: Number(row["Cycle Index"]), type: String(row["Step Type"]), charge_Ah: Math.abs(Number(row["Capacity(mAs)"])) / 3.6e6,
    });
  return {
    charges,
    columns: {
      time: timesOf(0n, numbers("Total Time")),
      voltage_volt: numbers("Voltage(mV)", 1e-3),
      current_ampere: numbers("Current(uA)", 1e-6),
      step_count: Int32Array.from(numbers("Step Count")),
      cycle_count: Int32Array.from(numbers("Cycle Index")),
      status: Int32Array.from(rows, (row) => types.indexOf(String(row["Step Type"]))),
    },
    fields: {
      ...steps.input.echem, ...cycles.input.echem,
      status: code({ codes: Object.fromEntries(types.map((type, i) => [i, type])) }),
    },
  };
} // prettier-ignore

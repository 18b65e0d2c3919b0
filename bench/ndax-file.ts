/** Neware's archives of our own making: small ones with a known answer for the tests, and one as large as a cycler's. */
import { strToU8, zipSync } from "fflate";

export interface MadeInformation {
  /** Place of the row, from 1. */
  readonly row: number;
  readonly time_ms: number;
  readonly interval_ms: number;
  readonly unix_ms: number;
  readonly step: number;
  /** In the version's own unit: mA.s, or from 14 on A.h, but not in 16. */
  readonly sums?: readonly [charge: number, discharge: number, chargeEnergy: number, dischargeEnergy: number];
}

export interface MadeStep {
  /** From 1. */
  readonly cycle: number;
  readonly index: number;
  readonly status: number;
  readonly first: number;
}

export interface MadeNdax {
  readonly version: 11 | 14 | 16 | 17;
  readonly voltage_V: ArrayLike<number>;
  readonly current_A: ArrayLike<number>;
  /** Places of rows that are marked as missing. */
  readonly missing?: ReadonlySet<number>;
  readonly information?: readonly MadeInformation[];
  readonly steps?: readonly MadeStep[];
  /** Temperatures by the entry's name: one number a row (14, 17), or with a voltage of 0 beside it (11, 16). */
  readonly temperatures?: Readonly<Record<string, ArrayLike<number>>>;
  readonly others?: Readonly<Record<string, string | Uint8Array>>;
}

const PAGE = { 2: 512, 5: 4096 } as const;

/** A table: pages behind a header, with a bit a row from version 5 on. */
export function ndcBytes(
  version: number,
  holds: number,
  rowBytes: number,
  rows: number,
  write: (view: DataView, at: number, row: number) => void,
  missing: ReadonlySet<number> = new Set(),
): Uint8Array {
  const isMarked = version > 2;
  const size = isMarked ? PAGE[5] : PAGE[2];
  const begin = isMarked ? 132 : 5;
  const most = Math.floor((size - begin - 1) / rowBytes);
  const bytes = new Uint8Array(size * (1 + Math.ceil(rows / most)));
  const view = new DataView(bytes.buffer);
  [bytes[0], bytes[2], bytes[4]] = [holds, version, 1];
  for (let row = 0; row < rows; row++) {
    const page = size * (1 + Math.floor(row / most));
    const i = row % most;
    if (missing.has(row + 1)) continue;
    if (isMarked) bytes[page + 4 + (i >> 3)]! |= 1 << (i & 7);
    write(view, page + begin + i * rowBytes, row);
  }
  return bytes;
}

export function zipped(entries: Readonly<Record<string, string | Uint8Array>>, level: 0 | 6 = 6): Uint8Array {
  const files = Object.entries(entries).map(([name, of]) => [name, typeof of === "string" ? strToU8(of) : of]); // prettier-ignore
  return zipSync(Object.fromEntries(files) as Record<string, Uint8Array>, { level });
}

export function ndaxBytes(made: MadeNdax): Uint8Array {
  const { version, voltage_V, current_A, information, steps, temperatures = {}, others = {} } = made;
  const inAmpere = version === 14 || version === 17;
  const isWide = version >= 16;
  const entries: Record<string, string | Uint8Array> = { ...others };
  entries["data.ndc"] = ndcBytes(version, 1, 8, voltage_V.length, (view, at, row) => {
    view.setFloat32(at, voltage_V[row]! * (inAmpere ? 1 : 10_000), true);
    view.setFloat32(at + 4, current_A[row]! * (inAmpere ? 1 : 1000), true);
  }, made.missing); // prettier-ignore
  if (information)
    entries["data_runInfo.ndc"] = ndcBytes(version, 18, isWide ? 100 : version === 14 ? 55 : 47, information.length, (view, at, i) => {
      const { row, time_ms, interval_ms, unix_ms, step, sums = [0, 0, 0, 0] } = information[i]!;
      view.setUint32(at, time_ms, true);
      sums.forEach((sum, n) => view.setFloat32(at + 5 + 4 * n, sum, true));
      view.setInt32(at + 29, interval_ms, true);
      view.setUint32(at + 33, Math.floor(unix_ms / 1000), true);
      view.setUint32(at + 37, step, true);
      view.setUint32(at + 41, row, true);
      view.setUint16(at + 45, unix_ms % 1000, true);
    }); // prettier-ignore
  if (steps)
    entries["data_step.ndc"] = ndcBytes(version, 7, isWide ? 100 : 37, steps.length, (view, at, i) => {
      const { cycle, index, status, first } = steps[i]!;
      view.setUint32(at, cycle - 1, true);
      view.setUint32(at + 4, index, true);
      view.setUint8(at + 24, status);
      view.setUint32(at + 33, first, true);
    });
  for (const [name, values] of Object.entries(temperatures))
    entries[name] = inAmpere
      ? ndcBytes(version, 5, 4, values.length, (view, at, row) => view.setFloat32(at, values[row]!, true))
      : ndcBytes(version, 5, 7, values.length, (view, at, row) => {
          view.setUint8(at, 0x65);
          view.setInt16(at + 5, Math.round(values[row]! * 10), true);
        }); // prettier-ignore
  return zipped(entries);
}

/**
 * A cell that is charged and discharged in steps of 10,000 rows, an interval of 1 s that becomes 0.5 s for one row in 40,
 * which is where run information is written: as often as in a real file of as many rows.
 */
export function cycledNdax(version: MadeNdax["version"], rows: number): MadeNdax {
  const STEP = 10_000, OFTEN = 40, CURRENT_A = 0.05; // prettier-ignore
  const voltage_V = new Float32Array(rows);
  const current_A = new Float32Array(rows);
  const information: MadeInformation[] = [];
  const steps: MadeStep[] = [];
  let [time_ms, unix_ms] = [0, Date.UTC(2026, 0, 1)];
  for (let row = 0; row < rows; row++) {
    const inStep = row % STEP;
    const step = Math.floor(row / STEP);
    const charges = step % 2 === 0;
    const interval_ms = inStep === 0 ? 0 : inStep % OFTEN === 0 ? 500 : 1000;
    if (inStep === 0) {
      time_ms = 0;
      steps.push({ cycle: 1 + (step >> 1), index: 1 + (step & 1), status: charges ? 1 : 2, first: row + 1 });
    }
    time_ms += interval_ms;
    unix_ms += interval_ms;
    voltage_V[row] = 3.7 + (charges ? 0.4 : -0.4) * (inStep / STEP - 0.5);
    current_A[row] = charges ? CURRENT_A : -CURRENT_A;
    const sum = version === 14 || version === 17 ? (CURRENT_A * time_ms) / 3.6e6 : CURRENT_A * time_ms;
    if (inStep < 2 || inStep % OFTEN < 2)
      information.push({ row: row + 1, time_ms, interval_ms, unix_ms, step: step + 1, sums: charges ? [sum, 0, sum * 3.7, 0] : [0, sum, 0, sum * 3.7] }); // prettier-ignore
  }
  return { version, voltage_V, current_A, information, steps };
} // prettier-ignore

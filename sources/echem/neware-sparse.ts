/**
 * Rows of an `.ndax` of versions 11, 14, 16 and 17.
 *
 * Voltage and current stand in every row. Times, charge and energy are written only where the interval between rows changes, and
 * about once a minute; rows between have the interval of the one before:
 *
 *     t_k = t_0 + k dt      exact, since the interval had not changed
 *     Q_k = Q_0 + Σ I dt    and E_k = E_0 + Σ V I dt: estimates, by the vendor's own program, too
 *
 * `interpolated` says which rows these are. Where time does not come out as the next row says, rows were lost; a problem says how many.
 */
import { ChargePassed, DQ } from "./charge-passed.ts";
import { code, scalar, type Fields } from "../../runtime/index.ts";
import { ROWS_AT_A_TIME, type Chunk, type NumberArray, type Problem, type Start } from "./echem-file.ts"; // prettier-ignore
import type { AuxTable } from "./neware-aux.ts";
import { FIELDS, MISSING_CODE, sumFields } from "./neware-codes.ts";
import { NdcRows, type Ndc } from "./neware-ndc.ts";

const ROW_BYTES = 8;
const INFORMATION_BYTES: Readonly<Record<number, number>> = { 11: 47, 14: 55, 16: 100, 17: 100 };
const STEP_BYTES: Readonly<Record<number, number>> = { 11: 37, 14: 37, 16: 100, 17: 100 };
/** Versions in which voltage is in V, current in A, charge in A.h; in the others 0.1 mV, mA, mA.s. */
const IN_AMPERE = new Set([14, 17]);
const SECONDS_PER_HOUR = 3600;

export interface Steps {
  /** As it is stored. */
  readonly stored: Int32Array;
  /** As the vendor's own program shows it. */
  readonly cycle: Int32Array;
  readonly index: Int32Array;
  readonly status: Int32Array;
  /** Place of its first row. */
  readonly first: Int32Array;
}

const CHARGES = new Set([1, 3, 7, 9, 18, 27]), DISCHARGES = new Set([2, 8, 10, 19, 20, 26]); // prettier-ignore

/**
 * Cycle u32 at 0, number in the schedule u32 at 4, type u8 at 24, first row u32 at 33. `chargeFirst`: the person at the vendor's
 * program has chosen that a cycle begins where a charge follows a discharge; it then shows these in place of those stored.
 */
export function stepTable(table: Ndc, chargeFirst: boolean): Steps {
  const all = (): NdcRows => new NdcRows(table, STEP_BYTES[table.version] ?? STEP_BYTES[17]!);
  let count = 0;
  for (const rows = all(); rows.next();) count++;
  const column = (): Int32Array => new Int32Array(count);
  const steps = { stored: column(), cycle: column(), index: column(), status: column(), first: column() };
  const rows = all();
  let [shown, discharged] = [1, false];
  for (let i = 0; rows.next(); i++) {
    const { view, at } = rows;
    const status = view.getUint8(at + 24);
    if (CHARGES.has(status) && discharged) shown++;
    if (CHARGES.has(status) || DISCHARGES.has(status)) discharged = DISCHARGES.has(status);
    steps.stored[i] = view.getUint32(at, true) + 1;
    steps.cycle[i] = chargeFirst ? shown : steps.stored[i]!;
    steps.index[i] = view.getUint32(at + 4, true);
    steps.status[i] = status;
    steps.first[i] = view.getUint32(at + 33, true);
  }
  return steps;
}

/** Goes through the run information beside the rows. What it holds is of the last row at or before them that it says something of. */
class Information {
  /** Place of that row; 0: none yet. */
  index = 0;
  step = 0;
  /** ms since the step began. */
  time_ms = 0;
  interval_ms = 0;
  /** ms since 1970, UTC. */
  unix_ms = 0;
  chargeCapacity = 0;
  dischargeCapacity = 0;
  chargeEnergy = 0;
  dischargeEnergy = 0;
  /** Sum of the steps before this one, and how long this one has come to be. */
  base_ms = 0;
  longest_ms = 0;
  /** Rows between two that do not fit together; the first of them. */
  misfits = 0;
  firstMisfit = 0;
  backwards = 0;
  readonly #rows: NdcRows;
  #next = 0;

  constructor(table: Ndc) {
    this.#rows = new NdcRows(table, INFORMATION_BYTES[table.version] ?? INFORMATION_BYTES[17]!);
    this.#advance();
  }

  /** Of the row of that place, or the last before it; false where nothing is known. */
  seek(place: number): boolean {
    while (this.#next <= place) {
      // Of two for one row the first is right: the second is written when the first interval has passed.
      if (this.#next > this.index) this.#load();
      else if (this.#next > 0 && this.#next < this.index) this.backwards++;
      this.#advance();
    }
    return this.index > 0;
  }

  /** Place of the row that it says something of next. */
  get next(): number {
    return this.#next;
  }

  #advance(): void {
    this.#next = this.#rows.next() ? this.#rows.view.getUint32(this.#rows.at + 41, true) : Infinity;
  }

  #load(): void {
    const { view, at } = this.#rows;
    const f32 = (i: number): number => view.getFloat32(at + i, true);
    const between = this.#next - this.index - 1;
    const expected_ms = this.time_ms + between * this.interval_ms;
    const hadStep = this.step;
    const isFirst = this.index === 0;
    this.index = this.#next;
    this.time_ms = view.getUint32(at, true);
    this.interval_ms = view.getInt32(at + 29, true);
    this.unix_ms = view.getUint32(at + 33, true) * 1000 + view.getUint16(at + 45, true);
    this.step = view.getUint32(at + 37, true);
    this.chargeCapacity = f32(5);
    this.dischargeCapacity = f32(9);
    this.chargeEnergy = f32(13);
    this.dischargeEnergy = f32(17);
    if (isFirst) return;
    if (this.step !== hadStep) {
      this.base_ms += this.longest_ms;
      this.longest_ms = 0;
    } else if (between > 0 && expected_ms + this.interval_ms !== this.time_ms) {
      if (this.misfits === 0) this.firstMisfit = this.index - between;
      this.misfits += between;
    }
  }

  /** Time of a row after the last that is known, since its step began. */
  timeOf(place: number): number {
    const time_ms = this.time_ms + (place - this.index) * this.interval_ms;
    if (time_ms > this.longest_ms) this.longest_ms = time_ms;
    return time_ms;
  }
}

export class SparseRows {
  readonly fields: Fields;
  readonly start: Start | undefined;
  readonly #data: Ndc;
  readonly #information: Ndc | undefined;
  readonly #steps: Steps | undefined;
  readonly #aux: readonly AuxTable[];
  readonly #inAmpere: boolean;
  /** What one ampere and second is in the unit of charge. */
  readonly #perAmpereSecond: number;

  constructor(data: Ndc, information: Ndc | undefined, steps: Steps | undefined, aux: readonly AuxTable[]) {
    this.#data = data;
    this.#information = information;
    this.#steps = steps;
    this.#aux = aux;
    this.#inAmpere = IN_AMPERE.has(data.version);
    const inHours = IN_AMPERE.has(information?.version ?? data.version);
    this.#perAmpereSecond = inHours ? 1 / SECONDS_PER_HOUR : 1000;
    const { test_time_second, voltage_volt, current_ampere, cycle_count, step_count, ...others } = FIELDS;
    this.fields = Object.assign(
      {
        test_time_second, voltage_volt, current_ampere, cycle_count, step_count, ...others,
        stored_cycle: code({ doc: "the cycler's own count; cycle_count is what the vendor's program shows, which may be set to begin cycles by charge" }),
        ...(!this.#inAmpere && { current: scalar("mA", { type: "f32", vendor_name: "Current(mA)" }) }),
        ...(inHours ? sumFields("A.h", "W.h", "f32") : sumFields("mA.s", "mW.s", "f32")),
        ...(information && { dq: DQ }),
        interpolated: code({ type: "u8", codes: { 0: "stored", 1: "interpolated" }, doc: "times, charge and energy; voltage and current are always as measured" }),
      },
      ...aux.map(({ fields }) => fields),
    ) as Fields;
    this.start = this.#startOf();
  } // prettier-ignore

  #startOf(): Start | undefined {
    if (!this.#information) return undefined;
    const first = new Information(this.#information);
    if (!Number.isFinite(first.next) || !first.seek(first.next)) return undefined;
    return { instant: BigInt(first.unix_ms - first.time_ms) * 1_000_000n };
  }

  lastTestTime_s(): number {
    const rows = new NdcRows(this.#data, ROW_BYTES);
    let last = 0;
    while (rows.next()) last = rows.place;
    if (!this.#information) return NaN;
    const information = new Information(this.#information);
    while (information.next <= last) {
      information.seek(information.next);
      if (information.index > 0) information.timeOf(Math.min(information.next - 1, last));
    }
    return information.index > 0 ? (information.base_ms + information.timeOf(last)) / 1000 : NaN;
  }

  *chunks(): Generator<Chunk> {
    const data = new NdcRows(this.#data, ROW_BYTES);
    const information = this.#information && new Information(this.#information);
    const steps = this.#steps;
    const passed = new ChargePassed(this.fields);
    // The number of a step, by the place of its first row; where the table does not tell, by the run information.
    const isOrdered = steps !== undefined && isIncreasing(steps.first);
    let [step, begins, runStep] = [-1, 0, 0];
    let [charge, energy] = [0, 0];
    let [known, place] = [0, 0];
    let goesOn = data.next();
    while (goesOn) {
      const problems: Problem[] = [];
      const where = `entry data.ndc, row ${data.place}`;
      const isTimed = information !== undefined && information.seek(data.place);
      const columns = this.#columns();
      const time = isTimed ? new BigInt64Array(ROWS_AT_A_TIME) : undefined;
      let row = 0;
      let dropped = 0;
      for (; goesOn && row < ROWS_AT_A_TIME; row++, goesOn = data.next()) {
        if (information && information.seek(data.place) !== isTimed) break;
        const before = place;
        place = data.place;
        dropped += place - before - 1;
        const { view, at } = data;
        const stored_V = view.getFloat32(at, true);
        const stored_A = view.getFloat32(at + 4, true);
        const voltage_V = this.#inAmpere ? stored_V : stored_V / 10_000;
        const current_A = this.#inAmpere ? stored_A : stored_A / 1000;
        columns.voltage_volt[row] = voltage_V;
        columns.current_ampere[row] = current_A;
        if (columns.current) columns.current[row] = stored_A;
        columns.record_index[row] = place;

        if (isOrdered) while (steps.first[step + 1]! <= place) begins = steps.first[++step]!;
        // One that began after the table was written, by the run information, too.
        if (isOrdered && isTimed && step + 1 >= steps.first.length && information.step === step + 2) [step, begins] = [step + 1, information.index]; // prettier-ignore
        if (!isOrdered && isTimed && (step < 0 || information.step !== runStep)) [step, begins, runStep] = [step + 1, information.index, information.step]; // prettier-ignore
        columns.step_count[row] = step < 0 ? MISSING_CODE : step + 1;
        columns.cycle_count[row] = steps?.cycle[step] ?? MISSING_CODE;
        columns.stored_cycle[row] = steps?.stored[step] ?? MISSING_CODE;
        columns.step_index[row] = steps?.index[step] ?? MISSING_CODE;
        columns.status[row] = steps?.status[step] ?? MISSING_CODE;

        for (const aux of this.#aux) aux.take(place, row);
        if (!isTimed) continue;
        if (information.index !== known) [charge, energy, known] = [0, 0, information.index];
        const time_ms = information.timeOf(place);
        columns.test_time_second[row] = (information.base_ms + time_ms) / 1000;
        time![row] = BigInt(information.unix_ms + (place - known) * information.interval_ms) * 1_000_000n;
        columns.interpolated[row] = place === known ? 0 : 1;
        if (place > known) {
          const intervals = place - Math.max(known, before); // those of rows that are missing, too
          const moved = (current_A * information.interval_ms * intervals * this.#perAmpereSecond) / 1000;
          charge += moved;
          energy += moved * voltage_V;
        }
        if (begins > known) continue; // of this step nothing is known yet
        columns.step_time[row] = time_ms / 1000;
        columns.charge_capacity[row] = information.chargeCapacity + Math.max(0, charge);
        columns.discharge_capacity[row] = information.dischargeCapacity - Math.min(0, charge);
        columns.charge_energy[row] = information.chargeEnergy + Math.max(0, energy);
        columns.discharge_energy[row] = information.dischargeEnergy - Math.min(0, energy);
      }
      if (dropped > 0) problems.push({ where, what: `${dropped} rows between those that follow are marked as missing`, unread: true, count: dropped }); // prettier-ignore
      if (!goesOn && information) problems.push(...this.#misfits(information));
      const all: Record<string, NumberArray> = {};
      for (const [name, column] of Object.entries(columns)) if (column) all[name] = column.subarray(0, row);
      if ("dq" in this.fields) all["dq"] = passed.take(all);
      for (const aux of this.#aux) Object.assign(all, aux.end(row));
      yield { columns: all, rows: row, where, ...(time && { time: time.subarray(0, row) }), ...(problems.length > 0 && { problems }) };
    }
  } // prettier-ignore

  #columns() {
    const rows = ROWS_AT_A_TIME;
    const missing = (): Float64Array => new Float64Array(rows).fill(NaN);
    const sum = (): Float32Array => new Float32Array(rows).fill(NaN);
    for (const aux of this.#aux) aux.begin(rows);
    return {
      test_time_second: missing(),
      voltage_volt: new Float64Array(rows),
      current_ampere: new Float64Array(rows),
      cycle_count: new Int32Array(rows),
      stored_cycle: new Int32Array(rows),
      step_count: new Int32Array(rows),
      step_index: new Int32Array(rows),
      status: new Int32Array(rows),
      record_index: new Int32Array(rows),
      step_time: missing(),
      current: this.#inAmpere ? undefined : new Float32Array(rows),
      charge_capacity: sum(),
      discharge_capacity: sum(),
      charge_energy: sum(),
      discharge_energy: sum(),
      interpolated: new Uint8Array(rows).fill(1),
    };
  }

  #misfits({ misfits, firstMisfit, backwards }: Information): Problem[] {
    const where = "entry data_runInfo.ndc";
    const problems: Problem[] = [];
    if (misfits > 0) problems.push({ where, what: `the times of ${misfits} rows, the first of them row ${firstMisfit}, do not come out as the next one that is stored: rows were lost there, or the clock was set`, count: misfits }); // prettier-ignore
    if (backwards > 0) problems.push({ where, what: `${backwards} entries belong to rows before those of the entries before them, and are left out`, unread: true, count: backwards }); // prettier-ignore
    return problems;
  }
}

function isIncreasing(first: Int32Array): boolean {
  if (first.length === 0 || first[0]! < 1) return false;
  for (let i = 1; i < first.length; i++) if (first[i]! <= first[i - 1]!) return false;
  return true;
}

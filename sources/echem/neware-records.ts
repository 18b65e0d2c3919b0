/**
 * Records of Neware's older files, each of which holds all about one row: those of `.nda`, and of `.ndc` versions 2 and 5.
 *
 * What differs is the layout; what is made of a record is the same. Steps are counted where the step's number changes, or
 * its time begins anew; test time is the sum of the step times, as in the vendor's own export.
 */
import { ChargePassed, DQ } from "./charge-passed.ts";
import { scalar, type Fields } from "../../runtime/index.ts";
import type { Chunk, NumberArray, Problem } from "./echem-file.ts";
import { currentDivisor, FIELDS, MISSING_CODE, sumFields } from "./neware-codes.ts";

/** One record. One object serves all of them. */
export class Reading {
  index = 0;
  cycle = MISSING_CODE;
  stepIndex = 0;
  status = 0;
  /** Changes with the step: a counter of its own, or the step's index. */
  step = 0;
  step_s = NaN;
  /** Where the file stores it. */
  total_s = NaN;
  voltage_V = NaN;
  current_A = NaN;
  range_mA = 0;
  chargeCapacity = NaN;
  dischargeCapacity = NaN;
  chargeEnergy = NaN;
  dischargeEnergy = NaN;
  /** Its own time in UTC; 0 where it has none. */
  unix_s = 0;
  unix_ns = 0;
  /** By a clock of unknown zone, seconds since 1970 as if it were UTC. */
  local_s = NaN;
  temperature_C = NaN;
}

export interface RecordLayout {
  readonly bytes: number;
  /** Columns beside those that all have. */
  readonly fields: Fields;
  read(view: DataView, at: number, into: Reading): void;
}

const { cycle_count, step_time } = FIELDS;
const CYCLE = { cycle_count };
const STEP_TIME = { step_time };
const RANGE_FIELD = { current_range: scalar("mA", { type: "i32", vendor_name: "Range" }) };
const LOCAL_FIELD = {
  local_time: scalar("s", { vendor_name: "Date", doc: "the cycler's clock, whose zone the file does not say: seconds since 1970 as if it were UTC" }),
}; // prettier-ignore
const MILLI = sumFields("mA.s", "mW.s", "f64");

const TWO_32 = 4294967296;
const i64 = (view: DataView, at: number): number =>
  view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true);

/** y u16, then month, day, hours, minutes, seconds u8. */
const dateAt = (view: DataView, at: number): number => {
  const year = view.getUint16(at, true);
  if (year === 0) return NaN;
  const of = (i: number): number => view.getUint8(at + 2 + i);
  return Date.UTC(year, of(0) - 1, of(1), of(2), of(3), of(4)) / 1000;
};

/** Currents and sums are integers that the range of the current gives their size. */
function readScaled(view: DataView, current: number, sums: number, range: number, into: Reading): void {
  into.range_mA = view.getInt32(range, true);
  const divisor = currentDivisor(into.range_mA);
  const of = (raw: number): number => (raw === 0 ? 0 : raw / divisor);
  into.current_A = of(view.getInt32(current, true)) / 1000;
  into.chargeCapacity = of(i64(view, sums));
  into.dischargeCapacity = of(i64(view, sums + 8));
  into.chargeEnergy = of(i64(view, sums + 16));
  into.dischargeEnergy = of(i64(view, sums + 24));
}

export const NDA_8: RecordLayout = {
  bytes: 59,
  fields: {
    ...CYCLE,
    ...STEP_TIME,
    capacity: scalar("uA.s", { vendor_name: "Capacity", doc: "of the step so far, without sign" }),
    energy: scalar("uW.s", { vendor_name: "Energy", doc: "of the step so far, without sign" }),
  },
  read(view, at, into) {
    into.index = view.getUint32(at + 1, true);
    into.cycle = view.getUint32(at + 5, true);
    into.stepIndex = into.step = view.getUint8(at + 9);
    into.status = view.getUint8(at + 10);
    into.step_s = view.getUint32(at + 11, true);
    into.voltage_V = view.getInt32(at + 15, true) / 10_000;
    into.current_A = view.getInt32(at + 19, true) / 1e6;
    into.chargeCapacity = i64(view, at + 31);
    into.chargeEnergy = i64(view, at + 39);
    into.unix_s = i64(view, at + 47);
  },
};

const readNda22 = (view: DataView, at: number, into: Reading): void => {
  into.index = view.getUint32(at + 2, true);
  into.cycle = view.getUint32(at + 6, true) + 1;
  into.stepIndex = view.getUint16(at + 10, true);
  into.status = view.getUint8(at + 12);
  into.step = view.getUint8(at + 13);
  into.step_s = i64(view, at + 14) / 1000;
  into.voltage_V = view.getInt32(at + 22, true) / 10_000;
  readScaled(view, at + 26, at + 38, at + 78, into);
};

export const NDA_22: RecordLayout = {
  bytes: 86,
  fields: { ...CYCLE, ...STEP_TIME, ...MILLI, ...RANGE_FIELD },
  read(view, at, into) {
    readNda22(view, at, into);
    into.unix_s = i64(view, at + 70);
  },
};

/** Versions 26 and 29. */
export const NDA_29: RecordLayout = {
  bytes: 86,
  fields: { ...NDA_22.fields, ...LOCAL_FIELD },
  read(view, at, into) {
    readNda22(view, at, into);
    into.local_s = dateAt(view, at + 70);
  },
};

/**
 * Version 130 of BTS 9.0. The sums at 60 and 64 are negative on discharge, as in the one file that is known; those at 52 and 56 are
 * zero there, and readers of others take them for charge. So a sum counts by its sign, wherever it stands.
 */
export const NDA_130_90: RecordLayout = {
  bytes: 88,
  fields: { ...STEP_TIME, ...sumFields("mA.s", "mW.s", "f32") },
  read(view, at, into) {
    into.stepIndex = into.step = view.getUint8(at + 9);
    into.status = view.getUint8(at + 10);
    into.index = view.getUint32(at + 16, true);
    into.step_s = i64(view, at + 28) / 1e6;
    into.voltage_V = view.getFloat32(at + 36, true);
    into.current_A = view.getFloat32(at + 40, true) / 1000;
    const [capacity, energy] = [view.getFloat32(at + 60, true), view.getFloat32(at + 64, true)];
    into.chargeCapacity = view.getFloat32(at + 52, true) + Math.max(0, capacity);
    into.chargeEnergy = view.getFloat32(at + 56, true) + Math.max(0, energy);
    into.dischargeCapacity = Math.max(0, -capacity);
    into.dischargeEnergy = Math.max(0, -energy);
    const unix_us = i64(view, at + 68);
    into.unix_s = Math.floor(unix_us / 1e6);
    into.unix_ns = (unix_us - into.unix_s * 1e6) * 1000;
  },
};

/** Version 130 of BTS 9.1, whose records are as long as the device has channels: 52 bytes and more. */
export function nda130of91(bytes: number): RecordLayout {
  const hasTemperature = bytes >= 56;
  return {
    bytes,
    fields: {
      ...CYCLE,
      capacity: scalar("mA.s", { type: "f32", vendor_name: "Capacity", doc: "of the step so far, negative on discharge" }),
      energy: scalar("mW.s", { type: "f32", vendor_name: "Energy", doc: "of the step so far, negative on discharge" }),
      ...(hasTemperature && { aux1_temperature: scalar("Cel", { type: "f32", vendor_name: "T1" }) }),
    },
    read(view, at, into) {
      into.stepIndex = into.step = view.getUint8(at + 2);
      into.status = view.getUint8(at + 3);
      into.index = view.getUint32(at + 8, true);
      into.total_s = view.getUint32(at + 12, true) + view.getUint32(at + 16, true) / 1e9;
      into.current_A = view.getFloat32(at + 20, true) / 1000;
      into.voltage_V = view.getFloat32(at + 24, true);
      into.chargeCapacity = view.getFloat32(at + 28, true);
      into.chargeEnergy = view.getFloat32(at + 32, true);
      into.cycle = view.getUint32(at + 36, true) + 1;
      into.unix_s = view.getUint32(at + 44, true);
      into.unix_ns = view.getUint32(at + 48, true);
      if (hasTemperature) into.temperature_C = view.getFloat32(at + 52, true);
    },
  };
} // prettier-ignore

/** `.ndc` versions 2 and 5: the same record, with 8 bytes or 1 before its index. */
export function ndcRecord(before: number): RecordLayout {
  return {
    bytes: before + 86,
    fields: NDA_29.fields,
    read(view, record, into) {
      const at = record + before;
      into.index = view.getUint32(at, true);
      into.cycle = view.getUint32(at + 4, true) + 1;
      into.stepIndex = into.step = view.getUint8(at + 8);
      into.status = view.getUint8(at + 9);
      into.step_s = i64(view, at + 15) / 1000;
      into.voltage_V = view.getInt32(at + 23, true) / 10_000;
      readScaled(view, at + 27, at + 35, at + 74, into);
      into.local_s = dateAt(view, at + 67);
    },
  };
}

/** A clock of whole seconds that is further than this from start + test time shows something else. */
const APART_s = 10;

/** Makes columns of records, in order: counts steps and adds up their times. */
export class RecordRows {
  readonly layout: RecordLayout;
  readonly fields: Fields;
  /** Own clock of the first row, less its test time: UTC ns, or a clock face. */
  start: { readonly instant: bigint } | { readonly face: bigint } | undefined;
  /** Rows that have no time of their own in a file whose others have, since this was last set to 0. */
  untimed = 0;
  /** Rows whose current has no known size, since this was last set to 0. */
  unscaled = 0;
  /** How far the clock of the last row is ahead of start + test time, where rows have a clock of unknown zone. */
  #apart_s = 0;
  #saidApart_s = 0;
  #problems: Problem[] = [];
  readonly #reading = new Reading();
  readonly #passed: ChargePassed | undefined;
  #steps = 0;
  #step = NaN;
  #step_s = Infinity;
  /** Test time at which the present step began, and how long it has come to be. */
  #base_s = 0;
  #longest_s = 0;
  #testTime_s = NaN;
  #columns: ReturnType<typeof columnsOf>;
  #time: BigInt64Array | undefined;
  #most = 0;
  #rows = 0;

  constructor(layout: RecordLayout) {
    this.layout = layout;
    const { test_time_second, voltage_volt, current_ampere, step_count, step_index, status, record_index } = FIELDS;
    const { cycle_count, ...others } = layout.fields;
    this.fields = {
      test_time_second, voltage_volt, current_ampere, ...(cycle_count && { cycle_count }), step_count, step_index, status, record_index, ...others,
      ...(ChargePassed.of(layout.fields) && { dq: DQ }),
    };
    if ("dq" in this.fields) this.#passed = new ChargePassed(layout.fields);
    this.#columns = columnsOf(layout.fields, 0);
  } // prettier-ignore

  /** Room for so many rows. */
  begin(rows: number): void {
    this.#columns = columnsOf(this.layout.fields, rows);
    this.#time = undefined;
    this.#most = rows;
    this.#rows = 0;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Index of the record that was added last. */
  get index(): number {
    return this.#reading.index;
  }

  add(view: DataView, at: number): void {
    const reading = this.#reading;
    const columns = this.#columns;
    this.layout.read(view, at, reading);
    const row = this.#rows++;
    const test_s = (this.#testTime_s = this.#testTime(reading));
    columns.test_time_second[row] = test_s;
    columns.voltage_volt[row] = reading.voltage_V;
    columns.current_ampere[row] = reading.current_A;
    columns.step_count[row] = this.#steps;
    columns.step_index[row] = reading.stepIndex;
    columns.status[row] = reading.status;
    columns.record_index[row] = reading.index;
    if (columns.cycle_count) columns.cycle_count[row] = reading.cycle;
    if (columns.step_time) columns.step_time[row] = reading.step_s;
    if (columns.capacity) columns.capacity[row] = reading.chargeCapacity;
    if (columns.energy) columns.energy[row] = reading.chargeEnergy;
    if (columns.charge_capacity) columns.charge_capacity[row] = reading.chargeCapacity;
    if (columns.discharge_capacity) columns.discharge_capacity[row] = reading.dischargeCapacity;
    if (columns.charge_energy) columns.charge_energy[row] = reading.chargeEnergy;
    if (columns.discharge_energy) columns.discharge_energy[row] = reading.dischargeEnergy;
    if (columns.local_time) columns.local_time[row] = reading.local_s;
    if (columns.aux1_temperature) columns.aux1_temperature[row] = reading.temperature_C;
    if (columns.current_range) {
      columns.current_range[row] = reading.range_mA;
      if (Number.isNaN(reading.current_A)) this.unscaled++;
    }
    this.#setTime(row, test_s);
  }

  #testTime({ step, step_s, total_s }: Reading): number {
    const isStored = !Number.isNaN(total_s);
    if (step !== this.#step || (!isStored && step_s < this.#step_s)) {
      this.#steps++;
      this.#step = step;
      this.#base_s += this.#longest_s;
      this.#longest_s = 0;
    }
    this.#step_s = step_s;
    if (step_s > this.#longest_s) this.#longest_s = step_s;
    return isStored ? total_s : this.#base_s + step_s;
  }

  #setTime(row: number, test_s: number): void {
    const { unix_s, unix_ns, local_s } = this.#reading;
    const own =
      unix_s > 0 && unix_s < TWO_32 && unix_ns < 1e9
        ? BigInt(unix_s) * 1_000_000_000n + BigInt(unix_ns)
        : undefined;
    if (!this.start) {
      const before = nanoseconds(test_s);
      if (own !== undefined) this.start = { instant: own - before };
      else if (!Number.isNaN(local_s)) this.start = { face: nanoseconds(local_s) - before };
    }
    const { start } = this;
    if (start && "face" in start) this.#compareClock(local_s - test_s - Number(start.face) / 1e9);
    if (!start || !("instant" in start)) return;
    if (!this.#time) {
      this.#time = new BigInt64Array(this.#most);
      for (let i = 0; i < row; i++) this.#time[i] = start.instant + nanoseconds(this.#columns.test_time_second[i]!);
    }
    if (own === undefined) this.untimed++;
    this.#time[row] = own ?? start.instant + nanoseconds(test_s);
  } // prettier-ignore

  /** Test time leaves out pauses, and what passes between two steps; the clock does not. Said where it begins, and once at the end. */
  #compareClock(apart_s: number): void {
    if (Number.isNaN(apart_s)) return;
    this.#apart_s = apart_s;
    if (this.#saidApart_s === 0 && Math.abs(apart_s) > APART_s) this.#sayApart();
  }

  #sayApart(): void {
    const apart_s = this.#apart_s;
    this.#saidApart_s = apart_s;
    this.#problems.push({
      where: `record ${this.index}`,
      what: `its clock is ${Math.round(Math.abs(apart_s))} s ${apart_s > 0 ? "ahead of" : "behind"} start + test time, as after a pause, by what passes between steps, or where summer time begins or ends; rows are placed by test time, local_time has the clock`,
    });
  }

  /** What was found of the rows since this was last asked. `atEnd`: no more will come. */
  problems(atEnd = false): Problem[] {
    if (atEnd && this.#saidApart_s !== 0 && Math.abs(this.#apart_s - this.#saidApart_s) > APART_s) this.#sayApart();
    const found = this.#problems;
    this.#problems = [];
    return found;
  } // prettier-ignore

  /** Test time of the record that was added last. */
  get testTime_s(): number {
    return this.#testTime_s;
  }

  end(): Pick<Chunk, "columns" | "rows" | "time"> {
    const rows = this.#rows;
    const columns: Record<string, NumberArray> = {};
    for (const [name, column] of Object.entries(this.#columns)) if (column) columns[name] = column.subarray(0, rows); // prettier-ignore
    if (this.#passed) columns["dq"] = this.#passed.take(columns);
    return { columns, rows, ...(this.#time && { time: this.#time.subarray(0, rows) }) };
  }
}

const nanoseconds = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));

function columnsOf(fields: Fields, rows: number) {
  const f64 = (name: string) => (name in fields ? new Float64Array(rows) : undefined);
  const i32 = (name: string) => (name in fields ? new Int32Array(rows) : undefined);
  const sum = (name: string) => (fields[name]?.type === "f32" ? new Float32Array(rows) : f64(name));
  return {
    test_time_second: new Float64Array(rows),
    voltage_volt: new Float64Array(rows),
    current_ampere: new Float64Array(rows),
    step_count: new Int32Array(rows),
    step_index: new Int32Array(rows),
    status: new Int32Array(rows),
    record_index: new Int32Array(rows),
    cycle_count: i32("cycle_count"),
    step_time: f64("step_time"),
    capacity: sum("capacity"),
    energy: sum("energy"),
    charge_capacity: sum("charge_capacity"),
    discharge_capacity: sum("discharge_capacity"),
    charge_energy: sum("charge_energy"),
    discharge_energy: sum("discharge_energy"),
    current_range: i32("current_range"),
    local_time: f64("local_time"),
    aux1_temperature: sum("aux1_temperature"),
  };
}

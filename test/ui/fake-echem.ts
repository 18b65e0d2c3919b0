/** Made-up streams of a cell that is cycled: half cycles of 10 min, what is found of them, and spectra of two electrodes. */
import { code, curve, scalar } from "../../runtime/wire/schema.ts";
import type { Ms } from "../../ui/client/types.ts";
import type { Made } from "./fake-client.ts";

export const HALF_ms = 600_000;
export const SPECTRUM_ms = 450_000;
/** The last tenth of a half cycle is a rest. */
const ACTIVE = 0.9;

/** 1 mAh, and 1 % less from cycle to cycle. */
export const capacityOf = (half: number): number => 1e-3 * (1 - 0.01 * Math.floor(half / 2));
export const efficiencyOf = (cycle: number): number => 0.99 + 0.001 * (cycle % 5);
export const POINTS = 200;
/** 100 mOhm to begin with, 1 mOhm more from spectrum to spectrum. */
export const seriesOf = (index: number): number => 0.1 + 0.001 * index;
/** Diameter of the arc; of the counter electrode twice as much. */
export const arcOf = (electrode: number): number => 0.05 * (1 + electrode);
const DECADES = 7;

const CODES = {
  cycle_index: code(),
  half_cycle_index: code(),
  kind: code({ codes: { 0: "rest", 1: "charge", 2: "discharge" } }),
};
const POINT = { voltage: "V", dq_dv: "A.h/V", dq_dv_se: "A.h/V", capacity: "A.h", dv_dq: "V/A/h", dv_dq_se: "V/A/h" } as const; // prettier-ignore
const each = <T>(make: (unit: string) => T) =>
  Object.fromEntries(Object.entries(POINT).map(([name, unit]) => [name, make(unit)]));

/** A point of dQ/dV, `share` of the half cycle's way: one peak at 3.4 V of 4 mAh/V. */
function pointOf(column: string, half: number, share: number): number {
  const voltage = half % 2 === 0 ? 3 + 0.8 * share : 3.8 - 0.8 * share;
  const dq_dv = 2e-4 + 4e-3 * Math.exp(-(((voltage - 3.4) / 0.05) ** 2));
  const values: Record<string, number> = {
    voltage, dq_dv, dq_dv_se: 1e-5, capacity: capacityOf(half) * share, dv_dq: 1 / dq_dv, dv_dq_se: 1,
  }; // prettier-ignore
  return values[column]!;
}

export function echemStreams(start: Ms): Made[] {
  const halfOf = (time: Ms) => Math.floor((time - start) / HALF_ms);
  const shareOf = (time: Ms) => Math.min(1, ((time - start) / HALF_ms - halfOf(time)) / ACTIVE);
  const kindOf = (time: Ms) => ((time - start) / HALF_ms - halfOf(time) > ACTIVE ? 0 : 1 + (halfOf(time) % 2));
  const codeOf = (column: string, half: number): number =>
    column === "cycle_index" ? Math.floor(half / 2) : column === "half_cycle_index" ? half : 1 + (half % 2);
  /** Half cycle that a curve's row, at its end, is of. */
  const ended = (time: Ms) => Math.round((time - start) / HALF_ms) - 1;
  const cycleEnded = (time: Ms) => Math.round((time - start) / (2 * HALF_ms)) - 1;
  const spectrum = (time: Ms) => Math.round((time - start) / SPECTRUM_ms) - 1;
  const indexOf = (time: Ms) => Math.floor(spectrum(time) / 2);
  const electrodeOf = (time: Ms) => spectrum(time) % 2;
  const z = (column: string, time: Ms): Float64Array =>
    Float64Array.from({ length: 10 * DECADES + 1 }, (_, i) => {
      const frequency = 1e5 * 10 ** (-i / 10);
      if (column === "frequency") return frequency;
      const u = frequency / 100; // apex at 100 Hz
      const R = arcOf(electrodeOf(time));
      return /real/.test(column) ? seriesOf(indexOf(time)) + R / (1 + u * u) : (-R * u) / (1 + u * u);
    });
  const which = { index: code(), electrode: code({ codes: { 0: "cell or working electrode", 1: "counter electrode" } }) };
  const numberOf = (column: string, time: Ms): number => (column === "index" ? indexOf(time) : electrodeOf(time));
  return [
    {
      stream: "cycler.echem", interval: 1000, derived: false,
      schema: { fields: { voltage_volt: scalar("V"), current_ampere: scalar("A") }, metadata: {} },
      value: (column, time) => (column === "voltage_volt" ? pointOf("voltage", halfOf(time), shareOf(time)) : [0, 6e-3, -6e-3][kindOf(time)]!),
    },
    {
      stream: "charge.charge", interval: 1000, derived: true,
      schema: {
        fields: {
          voltage_volt: scalar("V"), current_ampere: scalar("A"), ...CODES,
          charge_ampere_hour: scalar("A.h"), half_cycle_charge_ampere_hour: scalar("A.h"),
        },
        metadata: {},
      },
      value(column, time) {
        const half = halfOf(time);
        if (column === "kind") return kindOf(time);
        if (column.endsWith("index")) return codeOf(column, half);
        if (column === "voltage_volt") return kindOf(time) === 0 ? 3.3 : pointOf("voltage", half, shareOf(time));
        return pointOf("capacity", half, shareOf(time));
      },
    },
    {
      stream: "dqdv.curves", interval: HALF_ms, offset: HALF_ms, derived: true,
      schema: { fields: { ...CODES, ...each((unit) => curve(unit)) }, metadata: {} },
      value: (column, time) => codeOf(column, ended(time)),
      rows: (column, time) => Float64Array.from({ length: POINTS }, (_, i) => pointOf(column, ended(time), (i + 0.5) / POINTS)),
    },
    {
      stream: "dqdv.live", interval: 2000, derived: true,
      schema: { fields: { ...CODES, ...each((unit) => scalar(unit)) }, metadata: {} },
      value: (column, time) => (column in POINT ? pointOf(column, halfOf(time), shareOf(time)) : codeOf(column, halfOf(time))),
    },
    {
      stream: "cycles.cycles", interval: 2 * HALF_ms, offset: 2 * HALF_ms, derived: true,
      schema: { fields: { cycle_index: code(), duration: scalar("s"), charge_capacity_ampere_hour: scalar("A.h"), discharge_capacity_ampere_hour: scalar("A.h") }, metadata: {} },
      value: (column, time) => (column === "cycle_index" ? cycleEnded(time) : capacityOf(2 * cycleEnded(time)) * (column.startsWith("dis") ? efficiencyOf(cycleEnded(time)) : 1)),
    },
    {
      stream: "efficiency.efficiency", interval: 2 * HALF_ms, offset: 2 * HALF_ms, derived: true,
      schema: {
        fields: { cycle_index: code(), status: code(), coulombic_efficiency: scalar("1", { uncertainty: "coulombic_efficiency_se" }), coulombic_efficiency_se: scalar("1") },
        metadata: {},
      },
      value: (column, time) =>
        column === "cycle_index" ? cycleEnded(time) : column === "status" ? 0 : column === "coulombic_efficiency" ? efficiencyOf(cycleEnded(time)) : 4e-4,
    },
    {
      stream: "efficiency.bound", interval: 30_000, derived: true,
      schema: { fields: { cycle_index: code(), side: code({ codes: { 0: "lower bound", 1: "upper bound" } }), coulombic_efficiency_bound: scalar("1") }, metadata: {} },
      value: (column, time) => (column === "cycle_index" ? Math.floor(halfOf(time) / 2) : column === "side" ? 0 : shareOf(time)),
      absent: (time) => halfOf(time) % 2 === 0,
    },
    {
      stream: "cycler.impedance", interval: SPECTRUM_ms, offset: SPECTRUM_ms, derived: false,
      schema: { fields: { ...which, frequency: curve("Hz"), z_real: curve("Ohm"), z_imaginary: curve("Ohm"), voltage_volt: scalar("V") }, metadata: {} },
      value: (column, time) => (column === "voltage_volt" ? 3.4 : numberOf(column, time)),
      rows: z,
    },
    {
      stream: "eis.fit", interval: SPECTRUM_ms, offset: SPECTRUM_ms, derived: true,
      schema: {
        fields: { ...which, frequency: curve("Hz"), z_real: curve("Ohm"), z_imaginary: curve("Ohm"), z_real_fit: curve("Ohm"), z_imaginary_fit: curve("Ohm") },
        metadata: {},
      },
      value: numberOf, rows: z,
    },
    {
      stream: "eis.spectra", interval: SPECTRUM_ms, offset: SPECTRUM_ms, derived: true,
      schema: {
        fields: {
          ...which, valid: code({ codes: { 0: "valid" } }), duration: scalar("s"),
          series_resistance: scalar("Ohm", { uncertainty: "series_resistance_se" }), series_resistance_se: scalar("Ohm"),
          charge_transfer_resistance: scalar("Ohm", { uncertainty: "charge_transfer_resistance_se" }), charge_transfer_resistance_se: scalar("Ohm"),
        },
        metadata: {},
      },
      value: (column, time) =>
        column === "series_resistance" ? seriesOf(indexOf(time))
        : column === "charge_transfer_resistance" ? arcOf(electrodeOf(time))
        : column.endsWith("_se") ? 1e-3
        : column === "valid" ? 0 : numberOf(column, time),
    },
  ];
} // prettier-ignore

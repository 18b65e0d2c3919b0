/** What an electrochemist looks at cycle by cycle, found by the columns that streams have. */
import type { StreamEntry } from "./client/types.ts";
import type { Fields } from "../runtime/wire/schema.ts";
import { nodeOf } from "./wiring.ts";

/** V against the charge that has passed in its half cycle. */
export interface CapacityPanel {
  readonly id: string;
  readonly title: string;
  readonly stream: string;
}

/** dQ/dV of half cycles: whole ones as curves, and the points of the one that is running. */
export interface IncrementalPanel {
  readonly id: string;
  readonly title: string;
  readonly stream: string;
  readonly live?: string;
  /** There is dV/dQ too. */
  readonly differential: boolean;
}

/** Spectra; of each, by its `index` and `electrode`, what a model makes of it and the resistances that were read from it. */
export interface ImpedancePanel {
  readonly id: string;
  readonly title: string;
  readonly stream: string;
  /** Stream with the columns of `FIT_COLUMNS`. */
  readonly fit?: string;
  readonly resistances?: Resistances;
}

export interface Resistances {
  readonly stream: string;
  readonly values: readonly Resistance[];
  /** Code with the reason not to believe them. */
  readonly valid?: string;
}

export interface Resistance {
  readonly column: string;
  readonly error?: string;
  readonly name: string;
}

export const SPECTRUM_COLUMNS = ["frequency", "z_real", "z_imaginary"] as const;
export const FIT_COLUMNS = ["frequency", "z_real_fit", "z_imaginary_fit"] as const;

/** A number a cycle, with its standard error. */
export interface PerCycle {
  readonly stream: string;
  readonly column: string;
  readonly error?: string;
  readonly name: string;
}

export interface EfficiencyPanel {
  readonly id: string;
  readonly title: string;
  readonly efficiency?: PerCycle;
  readonly capacities: readonly PerCycle[];
  /** Of the cycle that goes on: how far its efficiency is known. */
  readonly bound?: PerCycle & { readonly side: boolean };
}

export interface CyclePanels {
  readonly capacity: readonly CapacityPanel[];
  readonly incremental: readonly IncrementalPanel[];
  readonly impedance: readonly ImpedancePanel[];
  readonly efficiency: readonly EfficiencyPanel[];
}

/** Columns of the panel of V against capacity. */
export const CAPACITY_COLUMNS = [
  "voltage_volt", "half_cycle_charge_ampere_hour", "cycle_index", "half_cycle_index", "kind",
] as const; // prettier-ignore

const has = (fields: Fields, kind: string, ...names: string[]): boolean =>
  names.every((name) => fields[name]?.kind === kind);

export function cyclePanelsOf(entries: readonly StreamEntry[]): CyclePanels {
  /** Of several of a kind, each bears the name of its node. */
  const named = <P extends { id: string; title: string }>(found: readonly P[]): P[] =>
    found.map((panel) => (found.length > 1 ? { ...panel, title: `${panel.title}, ${nodeOf(panel.id.split("/")[0]!)}` } : panel)); // prettier-ignore

  const capacity = entries.flatMap(({ stream, schema: { fields } }): CapacityPanel[] => {
    const [voltage, charge, ...codes] = CAPACITY_COLUMNS;
    if (!has(fields, "scalar", voltage, charge) || !has(fields, "code", ...codes)) return [];
    return [{ id: `${stream}/V(Q)`, title: "V against Q", stream }];
  });

  const incremental = entries.flatMap(({ stream, schema: { fields } }): IncrementalPanel[] => {
    if (!has(fields, "curve", "voltage", "dq_dv") || !("half_cycle_index" in fields)) return [];
    const live = entries.find(
      (other) =>
        nodeOf(other.stream) === nodeOf(stream) &&
        has(other.schema.fields, "scalar", "voltage", "dq_dv") &&
        "half_cycle_index" in other.schema.fields,
    );
    return [{
      id: `${stream}/dQ/dV`, title: "dQ/dV", stream, ...(live && { live: live.stream }),
      differential: has(fields, "curve", "dv_dq", "capacity"),
    }]; // prettier-ignore
  });

  const fit = entries.find(
    ({ schema: { fields } }) =>
      has(fields, "curve", ...FIT_COLUMNS) && has(fields, "code", "index", "electrode"),
  );
  const resistances = entries.map(resistancesOf).find((found) => found !== undefined);
  const impedance = entries
    // What a model makes of a spectrum carries the measured one along: it is no spectrum of its own.
    .filter(({ schema: { fields } }) => has(fields, "curve", ...SPECTRUM_COLUMNS) && !has(fields, "curve", "z_real_fit"))
    // The measured before what was made of it.
    .sort((a, b) => Number(a.derived) - Number(b.derived))
    .map(({ stream, derived, schema: { fields } }, i): ImpedancePanel & { derived: boolean } => {
      const joined = i === 0 && has(fields, "code", "index", "electrode");
      return { id: `${stream}/Z`, title: "impedance", stream, derived, ...(joined && fit && { fit: fit.stream }), ...(joined && resistances && { resistances }) };
    }); // prettier-ignore
  const several = impedance.filter(({ derived }) => !derived).length > 1;

  return {
    capacity: named(capacity),
    incremental: named(incremental),
    impedance: impedance.map((panel) =>
      panel.derived || several ? { ...panel, title: `${panel.title}, ${panel.stream}` } : panel,
    ),
    efficiency: named(efficiencyOf(entries)),
  };
}

/** The resistances that are said. */
const RESISTANCES: readonly [name: string, column: string][] = [
  ["R0", "series_resistance"],
  ["Rct", "charge_transfer_resistance"],
];

function resistancesOf({ stream, schema: { fields } }: StreamEntry): Resistances | undefined {
  const values = RESISTANCES.filter(([, column]) => has(fields, "scalar", column)).map(([name, column]) => {
    const error = errorOf(fields, column);
    return { column, name, ...(error !== undefined && { error }) };
  });
  if (values.length === 0 || !has(fields, "code", "index", "electrode")) return undefined;
  return { stream, values, ...(has(fields, "code", "valid") && { valid: "valid" }) };
}

function errorOf(fields: Fields, column: string): string | undefined {
  return [fields[column]?.uncertainty, `${column}_se`].find(
    (name) => name !== undefined && fields[name]?.kind === "scalar",
  );
}

function perCycle({ stream, schema: { fields } }: StreamEntry, column: string, name: string): PerCycle {
  const error = errorOf(fields, column);
  return { stream, column, name, ...(error !== undefined && { error }) };
}

/** One panel a node that finds efficiencies; of a pipeline without, one a node that finds capacities. */
function efficiencyOf(entries: readonly StreamEntry[]): EfficiencyPanel[] {
  const cyclic = entries.filter(({ schema: { fields } }) => has(fields, "code", "cycle_index"));
  const with_ = (...names: string[]) => cyclic.filter(({ schema }) => has(schema.fields, "scalar", ...names));
  const sums = with_("charge_capacity_ampere_hour", "discharge_capacity_ampere_hour");
  const ofSums = (entry: StreamEntry | undefined): PerCycle[] =>
    entry
      ? [
          perCycle(entry, "charge_capacity_ampere_hour", "charge"),
          perCycle(entry, "discharge_capacity_ampere_hour", "discharge"),
        ]
      : [];
  const title = "efficiency";
  const efficiencies = with_("coulombic_efficiency");
  if (efficiencies.length === 0)
    return sums.map((entry) => ({ id: `${entry.stream}/cycles`, title: "capacity", capacities: ofSums(entry) })); // prettier-ignore
  return efficiencies.map((entry): EfficiencyPanel => {
    const { stream, schema } = entry;
    const bound = with_("coulombic_efficiency_bound").find((other) => nodeOf(other.stream) === nodeOf(stream)); // prettier-ignore
    const own = has(schema.fields, "scalar", "capacity_ampere_hour")
      ? [perCycle(entry, "capacity_ampere_hour", "capacity")]
      : [];
    return {
      id: `${stream}/efficiency`, title,
      efficiency: perCycle(entry, "coulombic_efficiency", "coulombic efficiency"),
      // Which cycles these are of, two nodes of cycles would leave open.
      capacities: sums.length === 1 ? ofSums(sums[0]) : own,
      ...(bound && {
        bound: { ...perCycle(bound, "coulombic_efficiency_bound", "bound"), side: "side" in bound.schema.fields },
      }),
    }; // prettier-ignore
  });
}

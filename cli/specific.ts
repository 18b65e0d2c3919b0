/**
 * Per mass and per area: mA.h/g and mA/cm2, from what the run says of its experiment.
 */
import { convert, scalar, type Columns, type Field, type Schema } from "../runtime/index.ts";

interface Specific {
  readonly name: string;
  readonly from: string;
  readonly field: Field;
  readonly of: (value: number) => number;
}

const measures = (unit: string, wanted: string): boolean => {
  try {
    return Number.isFinite(convert(1, unit, wanted));
  } catch {
    return false;
  }
};

/** A stream with a column beside each current and each charge: per electrode area, per active mass. */
export function withSpecific(
  schema: Schema,
  experiment: unknown,
): { schema: Schema; add: (columns: Columns) => Columns } {
  const { active_mass: mass_mg, electrode_area: area_cm2 } = (experiment ?? {}) as Record<string, unknown>;
  const specific: Specific[] = [];
  for (const [name, { kind, unit }] of Object.entries(schema.fields)) {
    if (kind !== "scalar" || unit === "" || unit === "1") continue;
    if (typeof area_cm2 === "number" && measures(unit, "mA")) {
      const doc = `${name} per electrode area of ${area_cm2} cm2`;
      specific.push({
        name: `${name}_per_area`,
        from: name,
        field: scalar("mA/cm2", { doc }),
        of: (value) => convert(value, unit, "mA") / area_cm2,
      });
    } else if (typeof mass_mg === "number" && measures(unit, "mA.h")) {
      const doc = `${name} per active mass of ${mass_mg} mg`;
      specific.push({
        name: `${name}_per_mass`,
        from: name,
        field: scalar("mA.h/g", { doc }),
        of: (value) => convert(value, unit, "mA.h") / (mass_mg / 1000),
      });
    }
  }
  if (specific.length === 0) return { schema, add: (columns) => columns };
  return {
    schema: {
      ...schema,
      fields: { ...schema.fields, ...Object.fromEntries(specific.map(({ name, field }) => [name, field])) },
    },
    add: (columns) => ({
      ...columns,
      ...Object.fromEntries(specific.map(({ name, from, of }) => [name, Float64Array.from(columns[from] as Float64Array, of)])),
    }) as Columns, // prettier-ignore
  };
}

/**
 * Options of sources, operators and sinks: data from which come validation, units, help, the reference page
 * and the form in the ui. A pipeline file's values are `unknown` until they have passed here.
 */
import * as v from "valibot";
import { parseQuantity } from "./wire/units.ts";

export interface Option<T = unknown> {
  readonly kind: "quantity" | "integer" | "text" | "flag" | "choice" | "list" | "record";
  /** What it is if not given; undefined says that it must be given. */
  readonly default: T | undefined;
  readonly required: boolean;
  readonly doc: string;
  /** Of a quantity: the unit that the number reaches the code in. */
  readonly unit?: string;
  readonly choices?: readonly string[];
  readonly schema: v.GenericSchema<unknown, T>;
}

export type Options = Readonly<Record<string, Option>>;
export type ConfigOf<C extends Options> = {
  readonly [N in keyof C]: C[N] extends Option<infer T> ? T : never;
};

interface About {
  doc?: string;
}
interface Range extends About {
  min?: number;
  max?: number;
}

/** Marks an option that has no default: the pipeline file must say it. */
export const REQUIRED: unique symbol = Symbol("required");
type Given<T> = T | typeof REQUIRED;

function option<T>(
  kind: Option["kind"],
  initial: Given<T>,
  schema: v.GenericSchema<unknown, T>,
  rest: { doc?: string | undefined; unit?: string; choices?: readonly string[] },
): Option<T> {
  const required = initial === REQUIRED;
  return {
    kind,
    schema,
    required,
    default: required ? undefined : (initial as T),
    ...rest,
    doc: rest.doc ?? "",
  };
}

function inRange({ min = -Infinity, max = Infinity }: Range, unit: string): v.GenericSchema<number, number> {
  const said = unit === "1" ? "" : ` ${unit}`;
  return v.pipe(
    v.number(),
    v.check((x) => x >= min && x <= max, ({ input }) =>
      max === Infinity ? `${input}${said} is below ${min}${said}`
      : min === -Infinity ? `${input}${said} is above ${max}${said}`
      : `${input}${said} is not within ${min} to ${max}${said}`), // prettier-ignore
  );
}

/** A number with a unit: "10 nm" in the pipeline file, 10 in the code where the option's unit is nm. */
export function quantity(unit: string, initial: Given<number>, about: Range = {}): Option<number> {
  const read = v.pipe(
    v.unknown(),
    v.rawTransform<unknown, number>(({ dataset: { value }, addIssue, NEVER }) => {
      if (typeof value === "number") {
        // Zero and infinity are the same in every unit; a bare number elsewhere would hide a mistake.
        if (/^(1|\{.*\})$/.test(unit) || value === 0 || Math.abs(value) === Infinity) return value;
        addIssue({
          message: `${value} has no unit; write "${value} ${unit}", or it in another unit of the same quantity`,
        });
        return NEVER;
      }
      if (typeof value !== "string") {
        addIssue({ message: `wanted a number with a unit, such as "10 ${unit}"` });
        return NEVER;
      }
      try {
        return parseQuantity(value, unit);
      } catch (error) {
        addIssue({ message: (error as Error).message });
        return NEVER;
      }
    }),
    inRange(about, unit),
  );
  return option("quantity", initial, read, { doc: about.doc, unit });
}

export function integer(initial: Given<number>, about: Range = {}): Option<number> {
  const whole = v.pipe(
    v.number("wanted a whole number"),
    v.integer("wanted a whole number"),
    inRange(about, "1"),
  );
  return option("integer", initial, whole as v.GenericSchema<unknown, number>, { doc: about.doc });
}

/** `check` says what is wrong with a value, undefined where nothing is. */
export function text(
  initial: Given<string>,
  about: About & { check?: (value: string) => string | undefined } = {},
): Option<string> {
  const such = typeof initial === "string" && initial !== "" ? `, such as "${initial}"` : "";
  const read = v.pipe(
    v.string(`wanted text${such}`),
    v.check((value) => about.check?.(value) === undefined, ({ input }) => about.check!(input)!), // prettier-ignore
  );
  return option("text", initial, read as v.GenericSchema<unknown, string>, { doc: about.doc });
}

export function flag(initial: Given<boolean>, about: About = {}): Option<boolean> {
  const schema = v.boolean("wanted true or false") as v.GenericSchema<unknown, boolean>;
  return option("flag", initial, schema, { doc: about.doc });
}

export function choice<const C extends readonly string[]>(
  choices: C,
  initial: Given<C[number]>,
  about: About = {},
): Option<C[number]> {
  const schema = v.picklist(choices, ({ input }) => `${input} is not one of ${choices.join(", ")}`);
  return option<C[number]>("choice", initial, schema as v.GenericSchema<unknown, C[number]>, {
    doc: about.doc,
    choices,
  });
}

/** A list of texts or numbers; a single one may stand without brackets. */
export function list<T extends string | number>(
  initial: Given<readonly T[]>,
  about: About = {},
): Option<readonly T[]> {
  const one = v.union([v.string(), v.number()], "wanted a list of texts or numbers");
  const schema = v.pipe(v.union([v.array(one), one]), v.transform((x) => (Array.isArray(x) ? x : [x]))); // prettier-ignore
  return option<readonly T[]>("list", initial, schema as unknown as v.GenericSchema<unknown, readonly T[]>, {
    doc: about.doc,
  });
}

/** Free names with text values, such as the column map of a CSV file. */
export function record(
  initial: Given<Readonly<Record<string, string>>>,
  about: About = {},
): Option<Readonly<Record<string, string>>> {
  const schema = v.record(
    v.string(),
    v.pipe(v.union([v.string(), v.number(), v.boolean()]), v.transform(String)),
  );
  return option<Readonly<Record<string, string>>>("record", initial, schema as never, { doc: about.doc });
}

export interface ConfigProblem {
  readonly key: string;
  readonly value: unknown;
  readonly message: string;
}

/** All values checked and converted, or all that is wrong with them. */
export function readConfig<C extends Options>(
  options: C,
  given: Readonly<Record<string, unknown>>,
): { config: ConfigOf<C>; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const config: Record<string, unknown> = {};
  for (const [key, { required, default: initial, schema, doc }] of Object.entries(options)) {
    const value = given[key];
    if (value === undefined || value === null) {
      if (required) problems.push({ key, value, message: `must be given${doc && `: ${doc}`}` });
      config[key] = initial;
      continue;
    }
    const result = v.safeParse(schema, value);
    if (result.success) config[key] = result.output;
    else for (const issue of result.issues) problems.push({ key, value, message: issue.message });
  }
  for (const key of Object.keys(given)) {
    if (!(key in options))
      problems.push({ key, value: given[key], message: unknownName(key, Object.keys(options)) });
  }
  return { config: config as ConfigOf<C>, problems };
}

/** "is not known; did you mean …? Allowed: …" */
export function unknownName(name: string, allowed: readonly string[]): string {
  const near = nearest(name, allowed);
  return `${name} is not known${near ? `; did you mean ${near}?` : "."}` +
    (allowed.length ? ` Allowed: ${allowed.join(", ")}` : " Nothing is allowed here"); // prettier-ignore
}

/** The name that a typing mistake most likely meant, if one is near. */
export function nearest(name: string, allowed: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of allowed) {
    const distance = editDistance(name, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

import {
  choice, defineOperator, flag, list, nearest, quantity, REQUIRED, scalar, slice, WiringError,
  type Column, type Columns, type Field, type Fields, type Rows,
} from "../../runtime/index.ts"; // prettier-ignore
import { asOf, axisOf, nsBetween, settled, type Axis } from "./as-of.ts";
import { copyRows, withHeld } from "./held-rows.ts";

/**
 * As-of join by event time: beside each row of `reference` the newest row of every other stream.
 *
 *     row(p, t) = the last row of p with t - tolerance <= time <= t         direction: backward
 *               = the row of p nearest to t, |time - t| <= tolerance        direction: nearest
 *
 * `joined` has the reference's rows, each once and at its own time, with its scalars and codes, and of each other
 * port p the columns `p_<column>` and `p_age` [s], how much older than the reference its row is (negative: newer).
 * Where no row is near enough they are NaN, so integers and codes of other ports become floats here. A match is never
 * further away than `tolerance`. Of rows at one time the last counts, of two equally near the earlier.
 *
 * Holds, per other port, the rows that may still match: backward one, nearest those of one tolerance; and nearest
 * keeps the reference's rows for as long as something nearer may come, one tolerance at most.
 *
 * Reference: pandas.merge_asof, whose `direction` and `tolerance` these are.
 */
export const join = defineOperator({
  name: "correlate/join",
  doc: "As-of join by event time: each row of `reference` with the newest row of every other stream",
  input: { reference: {}, "*": {} },
  output: (inputs, config) => ({ joined: planJoin(inputs, config).fields }),
  config: {
    tolerance: quantity("s", REQUIRED, { min: 0, doc: "a row further away than this is no match" }),
    direction: choice(["backward", "nearest"], "backward", {
      doc: "backward: rows at or before the reference's; nearest: on either side, which waits for one tolerance",
    }),
    columns: list<string>([], {
      doc: "columns to carry, as port.column; a port of which none is named carries all its scalars and codes",
    }),
    images: flag(false, { doc: "also carry the images and curves of the reference" }),
  },
  start(config, { inputs, origin, timeAt }) {
    const fieldsOf = Object.fromEntries(Object.entries(inputs).map(([port, { fields }]) => [port, fields]));
    const { carried, others } = planJoin(fieldsOf, config);
    const { direction } = config;
    const tolerance_ns = Math.round(config.tolerance * 1e9);
    const kept: Record<string, Fields> = { reference: carried };
    for (const { port, columns } of others)
      kept[port] = Object.fromEntries(columns.map(({ from, field }) => [from, field]));
    // What is held: reference rows that wait, rows of the others that may still match.
    let held: Record<string, Columns> = {};
    const waiting_s = (): number => {
      const first = held["reference"]?.time[0];
      return first === undefined ? Infinity : Number(first - origin) / 1e9;
    };

    return {
      step(given, out, upTo) {
        const ports = given as unknown as Record<string, Rows<Fields>>;
        const rows: Record<string, Columns> = {};
        for (const port in kept) rows[port] = withHeld(held[port], ports[port]!.columns, kept[port]!);
        const reference = axisOf(rows["reference"]!.time);
        const axes = others.map(({ port }) => axisOf(rows[port]!.time));
        const end = upTo === Infinity ? undefined : axisOf(BigInt64Array.of(timeAt(upTo)));
        const ready =
          direction === "backward" || !end ? reference.length
          : axes.reduce((least, axis) => Math.min(least, settled(reference, axis, tolerance_ns, end)), reference.length); // prettier-ignore

        if (ready > 0) {
          const joined: Record<string, Column> = { ...slice(rows["reference"]!, carried, 0, ready) };
          others.forEach(({ port, columns }, i) => {
            const matches = asOf(reference, axes[i]!, { tolerance_ns, direction, count: ready });
            joined[`${port}_age`] = ages(reference, axes[i]!, matches);
            for (const { from, to, field } of columns)
              joined[to] = gather(rows[port]![from] as Float64Array, matches, field);
          });
          out.joined.put(joined as never);
        }

        held = {};
        if (!end) return;
        if (ready < reference.length)
          held["reference"] = copyRows(slice(rows["reference"]!, carried, ready, reference.length));
        // The next reference time to be matched is that of the first that waits, or not before `upTo`.
        const [next, at] = ready < reference.length ? [reference, ready] : [end, 0];
        others.forEach(({ port }, i) => {
          const from = firstOfUse(axes[i]!, next, at, tolerance_ns);
          if (from < axes[i]!.length)
            held[port] = copyRows(slice(rows[port]!, kept[port]!, from, axes[i]!.length));
        });
      },
      holds: waiting_s,
      save: () => held,
      load: (saved: Record<string, Columns>) => void (held = saved),
    };
  },
});

interface Carried {
  readonly from: string;
  readonly to: string;
  readonly field: Field;
}

interface JoinPlan {
  /** Of `joined`. */
  readonly fields: Fields;
  /** Of the reference. */
  readonly carried: Fields;
  readonly others: readonly { readonly port: string; readonly columns: readonly Carried[] }[];
}

interface JoinConfig {
  readonly columns: readonly string[];
  readonly direction: string;
  readonly tolerance: number;
  readonly images: boolean;
}

/** Which columns go where. Throws WiringError where names clash or are not there. */
function planJoin(inputs: Readonly<Record<string, Fields>>, config: JoinConfig): JoinPlan {
  if (config.direction === "nearest" && config.tolerance === Infinity) {
    throw new WiringError(
      "nearest needs a finite tolerance: without one it would wait for ever for a nearer row",
    );
  }
  const { reference = {}, ...rest } = inputs;
  if (Object.keys(rest).length === 0) {
    throw new WiringError(
      "needs a stream to join to its reference; write from: { reference: node.port, any_name: node.port }",
    );
  }
  const named = namedColumns(inputs, config.columns);
  const plain = ({ kind }: Field): boolean => kind === "scalar" || kind === "code";
  const arrays = ({ kind }: Field): boolean => config.images && (kind === "image" || kind === "curve");
  const carried = only(
    reference,
    (name, field) => named.get("reference")?.has(name) ?? (plain(field) || arrays(field)),
  );
  const fields: Record<string, Field> = { ...carried };
  const add = (name: string, field: Field): void => {
    if (name in fields)
      throw new WiringError(
        `two columns would be called ${name}; give the port another name in the pipeline file`,
      );
    fields[name] = field;
  };
  const others = Object.entries(rest).map(([port, offered]) => {
    const chosen = only(
      offered,
      (name, field) => named.get(port)?.has(name) ?? (plain(field) && field.type !== "i64"),
    );
    add(`${port}_age`, scalar("s", { doc: `how much older than the reference the row of ${port} is` }));
    const columns = Object.entries(chosen).map(([from, field]): Carried => {
      if (!plain(field))
        throw new WiringError(
          `${port}.${from} is ${field.kind === "image" ? "an image" : `a ${field.kind}`}, which cannot be missing; only scalars and codes of other ports can be joined`,
        );
      if (field.type === "i64")
        throw new WiringError(
          `${port}.${from} holds 64-bit integers, which a float cannot hold; leave it out`,
        );
      const { uncertainty, ...about } = field;
      const kept =
        uncertainty !== undefined && uncertainty in chosen ? { uncertainty: `${port}_${uncertainty}` } : {};
      return {
        from,
        to: `${port}_${from}`,
        field: { ...about, ...kept, kind: "scalar", type: field.type === "f32" ? "f32" : "f64" },
      };
    });
    for (const { to, field } of columns) add(to, field);
    return { port, columns };
  });
  return { fields, carried, others };
}

/** `port.column` by port; throws WiringError naming what is not there. */
function namedColumns(
  inputs: Readonly<Record<string, Fields>>,
  columns: readonly string[],
): Map<string, Set<string>> {
  const named = new Map<string, Set<string>>();
  for (const written of columns) {
    const [port = "", name = ""] = written.split(/\.(.*)/s);
    const fields = inputs[port];
    const all = Object.entries(inputs).flatMap(([one, given]) =>
      Object.keys(given).map((column) => `${one}.${column}`),
    );
    if (!fields?.[name]) {
      const near = nearest(written, all);
      throw new WiringError(
        `columns: there is no ${written}${near ? `; did you mean ${near}?` : ""} There are ${all.join(", ")}`,
      );
    }
    named.set(port, (named.get(port) ?? new Set()).add(name));
  }
  return named;
}

const only = (fields: Fields, keep: (name: string, field: Field) => boolean): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name, field]) => keep(name, field)));

/** The values of the matched rows; NaN where there is none. */
function gather(values: ArrayLike<number>, rows: Int32Array, { type }: Field): Float32Array | Float64Array {
  const gathered = type === "f32" ? new Float32Array(rows.length) : new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) gathered[i] = rows[i]! < 0 ? NaN : values[rows[i]!]!;
  return gathered;
}

function ages(reference: Axis, other: Axis, rows: Int32Array): Float64Array {
  const age_s = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++)
    age_s[i] = rows[i]! < 0 ? NaN : nsBetween(reference, i, other, rows[i]!) / 1e9;
  return age_s;
}

/** First row of `other` that a reference at or after time `at` of `next` may match. */
function firstOfUse(other: Axis, next: Axis, at: number, tolerance_ns: number): number {
  let row = other.length - 1;
  while (row >= 0 && nsBetween(other, row, next, at) > 0) row--;
  if (row < 0) return 0;
  return nsBetween(next, at, other, row) <= tolerance_ns ? row : row + 1;
}

/** Which streams belong together, from the pipeline in the run's manifest, or else from what they are. */
import type { StreamEntry } from "./client/types.ts";
import { curveOf, type CurvePanel } from "./curve-panels.ts";
import type { ImagePanel } from "./image-panels.ts";
import { isModulus } from "./quantities.ts";

type Catalogue = ReadonlyMap<string, StreamEntry>;

/** Streams that a node of the pipeline reads; none where the manifest does not say. */
export function inputsOf(manifest: Readonly<Record<string, unknown>>, node: string): string[] {
  const pipeline = manifest["pipeline"] as { operators?: Record<string, { from?: unknown }> } | undefined;
  const from = pipeline?.operators?.[node]?.from;
  if (typeof from === "string") return [from];
  return typeof from === "object" && from !== null ? Object.values(from).flat().map(String) : [];
}

/** What a node reads, what that was made of, and so on: the nearest first. */
export function upstreamOf(manifest: Readonly<Record<string, unknown>>, node: string): string[] {
  const found = new Set(inputsOf(manifest, node));
  for (const stream of found) for (const before of inputsOf(manifest, nodeOf(stream))) found.add(before);
  return [...found];
}

export const nodeOf = (stream: string): string => stream.split(".").slice(0, -1).join(".") || stream;

/** What stands behind the pixels of a map: pixel (row, column) is the row whose `index` is row × columns + column. */
export interface Behind {
  /** One row a curve, with its `index`. */
  readonly stream: string;
  /** Its estimate, the standard error of that, and the code that says why there is none. */
  readonly value: string | undefined;
  readonly error: string | undefined;
  readonly reason: string | undefined;
  /** The curves as they were fitted, and as they were measured. */
  readonly fits: CurvePanel | undefined;
  readonly curves: CurvePanel | undefined;
}

/** What a map was made of; undefined where that cannot be told, or where its streams have no curves. */
export function curvesBehind(
  panel: ImagePanel,
  catalogue: Catalogue,
  manifest: Readonly<Record<string, unknown>>,
): Behind | undefined {
  const map = catalogue.get(panel.stream);
  if (!map || !isGrid(panel, map)) return undefined;
  const { column, unit } = panel;
  // A map's stream carries no `index` of its own: with it each row is an image of a series.
  if ("index" in map.schema.fields) return undefined;
  const wired = manifest["pipeline"] !== undefined;
  const all = [...catalogue.values()];
  const known = (streams: readonly string[]) => streams.flatMap((stream) => catalogue.get(stream) ?? []);
  // Where there is no pipeline to look at, any stream may be it.
  const source = only(
    (wired ? known(inputsOf(manifest, nodeOf(panel.stream))) : all).filter((entry) => {
      const { fields } = entry.schema;
      // What holds the fits has their estimates too.
      return indexed(fields) && curveOf(entry).length === 0 && estimate(fields, column, unit) !== undefined;
    }),
  );
  if (!source) return undefined;
  const { fields } = source.schema;
  const value = estimate(fields, column, unit);
  // Positions may have been corrected between the fit and the map: what was fitted stands further up.
  const upstream = [source.stream, ...upstreamOf(manifest, nodeOf(source.stream))];
  const nodes = wired ? [...new Set(upstream.map(nodeOf))] : [nodeOf(source.stream)];
  const fits = nodes
    .flatMap((node) => all.filter(({ stream }) => nodeOf(stream) === node))
    .flatMap(curveOf)
    .filter(({ fit }) => fit !== undefined);
  const measured = (wired ? known(upstream) : all).filter(
    (entry) => indexed(entry.schema.fields) && curveOf(entry).some(({ fit }) => fit === undefined),
  );
  // Of several on the way the one that was fitted; of several that nobody has wired, none.
  const curves = wired ? measured[0] : only(measured);
  if (fits.length === 0 && !curves) return undefined;
  return {
    stream: source.stream,
    value,
    error: value === undefined ? undefined : errorOf(fields, value),
    reason: Object.keys(fields).find((name) => name === "valid" && fields[name]!.kind === "code"),
    fits: fits[0],
    curves: curves && curveOf(curves)[0],
  };
}

type Fields = StreamEntry["schema"]["fields"];

const indexed = (fields: Fields): boolean => fields["index"]?.kind === "code";

function isGrid({ column }: ImagePanel, { schema: { fields, metadata } }: StreamEntry): boolean {
  const [rows, columns] = fields[column]?.shape ?? [];
  const [gridRows, gridColumns] = [metadata["grid_rows"], metadata["grid_columns"]];
  // A mechanics/map whose grid stands in its options has an image of that shape and no such metadata.
  return (
    typeof rows === "number" &&
    typeof columns === "number" &&
    (gridRows === undefined || Number(gridRows) === rows) &&
    (gridColumns === undefined || Number(gridColumns) === columns)
  );
}

/** The column that the map shows: of its name, or the only modulus. */
function estimate(fields: Fields, column: string, unit: string): string | undefined {
  const scalar = (name: string) => fields[name]?.kind === "scalar" && fields[name].unit === unit;
  if (scalar(column)) return column;
  return isModulus(unit) && scalar("modulus") ? "modulus" : undefined;
}

function errorOf(fields: Fields, value: string): string | undefined {
  const name = fields[value]!.uncertainty ?? `${value}_se`;
  return fields[name]?.kind === "scalar" ? name : undefined;
}

/** Of several nobody knows which. */
const only = <T>(all: readonly T[]): T | undefined => (all.length === 1 ? all[0] : undefined);

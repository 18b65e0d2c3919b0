/**
 * What the page shows, decided from the catalogue: units, quantities and kinds of columns, never from the names
 * of nodes. So the same page serves any pipeline.
 */
import type { StreamEntry } from "./client/types.ts";
import { curveOf, type CurvePanel } from "./curve-panels.ts";
import { cyclePanelsOf, type CyclePanels } from "./cycle-panels.ts";
import {
  imagesOf, isTruth, tomographiesOf, withErrors, type ImagePanel, type TomographyPanel,
} from "./image-panels.ts"; // prettier-ignore
import type { Field } from "../runtime/wire/schema.ts";
import {
  columnsOf, driftsOf, modulusAgainstPotential, type Column, type DriftPanel, type Pair,
} from "./plot-panels.ts"; // prettier-ignore
import {
  HUES, quantityOf, titleOf, type Quantity,
} from "./quantities.ts"; // prettier-ignore

export interface Trace {
  readonly stream: string;
  readonly column: string;
  readonly title: string;
  readonly unit: string;
  readonly quantity: Quantity;
  readonly hue: string;
  readonly side: "left" | "right";
  /** Columns of the same stream: a standard error, or the lower and upper edge of a band. */
  readonly error?: string;
  /** Of the single values about this one, such as the median absolute deviation. */
  readonly spread?: string;
  readonly band?: readonly [low: string, high: string];
  /** A limit is drawn as a dashed line, and so is what may still change. */
  readonly limit?: boolean;
  readonly provisional?: boolean;
}

export interface Panel {
  readonly id: string;
  readonly title: string;
  readonly traces: readonly Trace[];
}

/** A stream that an instrument publishes, under the shortest name that tells it from the others. */
export interface Source {
  readonly stream: string;
  readonly name: string;
}

export interface Choice {
  /** Shown from the start, from the top. */
  readonly panels: readonly Panel[];
  /** One key away. */
  readonly more: readonly Panel[];
  /** Scores with their limit, of the streams that raise alarms. */
  readonly scores: readonly Panel[];
  /** Planes through one sample that fill as it turns. */
  readonly tomography: TomographyPanel | undefined;
  readonly moreTomographies: readonly TomographyPanel[];
  readonly images: readonly ImagePanel[];
  readonly moreImages: readonly ImagePanel[];
  readonly curve: CurvePanel | undefined;
  /** Paths of drifts, the best first. */
  readonly drifts: readonly DriftPanel[];
  /** What is drawn against what from the start, and all columns that can be. */
  readonly against: Pair | undefined;
  readonly columns: readonly Column[];
  /** What comes again with each cycle. */
  readonly cyclic: CyclePanels;
  /** What stands for the whole run in the overview. */
  readonly overview: Trace | undefined;
  /** Code columns that say in words what the cell is doing. */
  readonly state: { readonly stream: string; readonly column: string } | undefined;
  readonly cycle: { readonly stream: string; readonly column: string } | undefined;
  readonly step: { readonly stream: string; readonly column: string } | undefined;
  /** The numbers that one says on the telephone; `charge` is the state of charge, or else the charge. */
  readonly voltage: Trace | undefined;
  readonly current: Trace | undefined;
  readonly charge: Trace | undefined;
  readonly modulus: Trace | undefined;
}

/** Streams of the house-keeping: they have tables and marks of their own, and `health` goes by the clock. */
export const isHousekeeping = ({ stream }: StreamEntry): boolean =>
  /^(faults|health|actions|alarms)$|\.(late|faults)$/.test(stream);

/** Codes that say what a cell is doing. */
const DOING = /charg|rest|idle/i;

export const isScore = ({ schema: { fields } }: StreamEntry) =>
  fields["level"]?.kind === "code" &&
  fields["value"]?.kind === "scalar" &&
  fields["limit"]?.kind === "scalar";

/** Where a column's own band stands: beside a median, usually percentiles. */
const EDGES: readonly [string, string][] = [
  ["_low", "_high"], ["_lower", "_upper"], ["_p16", "_p84"], ["_p25", "_p75"], ["_q25", "_q75"], ["_p05", "_p95"], ["_p5", "_p95"], ["_min", "_max"],
]; // prettier-ignore

/** How far single values lie from a median or mean of the same stream. */
const SPREADS = ["mad", "sd", "std"];

function trace(stream: string, fields: Readonly<Record<string, Field>>, column: string): Trace {
  const field = fields[column]!;
  const quantity = quantityOf(column, field);
  const has = (name: string | undefined) => name !== undefined && fields[name]?.kind === "scalar";
  const root = column.replace(/_(median|mean)$/, "");
  const edges = [column, root]
    .flatMap((stem) => EDGES.map(([a, b]): [string, string] => [stem + a, stem + b]))
    .find(([a, b]) => has(a) && has(b));
  const error = [field.uncertainty, `${column}_se`].find(has);
  const stem = column.slice(0, column.length - (/(median|mean)$/.exec(column)?.[0].length ?? 0));
  const spread =
    stem === column
      ? undefined
      : SPREADS.map((name) => stem + name).find((name) => has(name) && fields[name]!.unit === field.unit);
  return {
    stream,
    column,
    title: titleOf(column, field),
    unit: field.unit,
    quantity,
    hue: HUES[quantity],
    side: "left",
    ...(error !== undefined && { error }),
    ...(spread !== undefined && { spread }),
    ...(edges && { band: edges }),
  };
}

/** Columns that only say how sure another is, or where it was measured, make no trace of their own. */
function isAccessory(column: string, fields: Readonly<Record<string, Field>>): boolean {
  if (/(^|_)(se|mad|sd|std)$|^(x|y|index|limit)$/.test(column) || /time|(^|_)age$/.test(column)) return true;
  return Object.entries(fields).some(([name, field]) => {
    if (name === column || field.kind !== "scalar") return false;
    if (field.uncertainty === column) return true;
    return EDGES.some((edges) =>
      edges.some((edge) => column === name + edge || column === name.replace(/_(median|mean)$/, "") + edge),
    );
  });
}

interface Candidate {
  readonly trace: Trace;
  readonly entry: StreamEntry;
  readonly worth: number;
}

/** Higher is shown first. A pure function of the schema, so that the page does not change its mind as rows come. */
function worth(entry: StreamEntry, { quantity, band, spread, error }: Trace, place: number): number {
  const { fields } = entry.schema;
  const kinds = Object.values(fields).map(({ kind }) => kind);
  let points = -place / 100 - kinds.length / 1000;
  if (isTruth(entry)) points -= 100;
  if (entry.provisional) points -= 5;
  if (band || spread) points += 4;
  if (error) points += 2;
  if (kinds.includes("curve")) points -= 6; // a column beside a force curve or a spectrum belongs to it
  if (quantity === "voltage" || quantity === "current") {
    // The cycler's own record before what others carry along with theirs; both in one stream before one alone.
    if (!entry.derived) points += 8;
    const own = Object.entries(fields).map(([name, field]) => quantityOf(name, field));
    if (own.includes("voltage") && own.includes("current")) points += 4;
  }
  // Single spots of a map scatter; the rolling median over them is what one follows.
  if ("x" in fields && "y" in fields && !band && !spread) points -= 3;
  return points;
}

/** Quantities from the top of the page. */
const ORDER: readonly Quantity[] = [
  "voltage",
  "modulus",
  "gas",
  "thickness",
  "force",
  "pressure",
  "temperature",
];

/** Panels of traces that are shown from the start. */
const SHOWN = 5;

export function choose(catalogue: ReadonlyMap<string, StreamEntry>): Choice {
  const entries = [...catalogue.values()]
    .filter((entry) => !isHousekeeping(entry))
    .sort((a, b) => (a.stream < b.stream ? -1 : 1));
  const found = withErrors(entries.flatMap(imagesOf), catalogue).sort((a, b) => b.worth - a.worth);
  const tomographies = tomographiesOf(found, catalogue);
  const [tomography] = tomographies;
  const others = new Set(tomographies.flatMap(({ planes }) => planes.slice(1).map(({ stream }) => stream)));
  const candidates: Candidate[] = [];
  for (const entry of entries) {
    // Planes of one scan say the same of it as the first.
    if (isScore(entry) || others.has(entry.stream)) continue;
    const { fields } = entry.schema;
    Object.entries(fields).forEach(([column, field], place) => {
      if (field.kind !== "scalar" || isAccessory(column, fields)) return;
      const made = {
        ...trace(entry.stream, fields, column),
        ...(entry.provisional && { provisional: true }),
      };
      candidates.push({ entry, trace: made, worth: worth(entry, made, place) });
    });
  }
  candidates.sort((a, b) => b.worth - a.worth);
  const best = (quantity: Quantity, of: (candidate: Candidate) => boolean = () => true) =>
    candidates.find((c) => c.trace.quantity === quantity && c.worth > -50 && of(c));

  const panels: Panel[] = [];
  const taken = new Set<string>();
  const add = (...traces: Trace[]) => {
    const ids = traces.map(({ stream, column }) => `${stream}/${column}`);
    for (const id of ids) taken.add(id);
    panels.push({ id: ids.join("+"), title: traces.map(({ title }) => title).join(", "), traces });
  };
  const voltage = best("voltage");
  const current = best("current", ({ entry }) => !voltage || entry === voltage.entry) ?? best("current");
  for (const quantity of ORDER) {
    if (panels.length >= SHOWN) break;
    const found = quantity === "voltage" ? (voltage ?? current) : best(quantity, ({ worth: w }) => w > -5);
    if (!found) continue;
    if (found === voltage && current) add(voltage.trace, { ...current.trace, side: "right" });
    else add(found.trace);
  }

  const more = candidates
    .filter((c) => !taken.has(`${c.trace.stream}/${c.trace.column}`))
    .map(({ trace: t }): Panel => ({ id: `${t.stream}/${t.column}`, title: t.title, traces: [t] }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));

  const planes = new Set(tomographies.flatMap((one) => one.planes.map(({ id }) => id)));
  const images = found.map(({ panel }) => panel).filter(({ id }) => !planes.has(id));
  const shownImages: ImagePanel[] = [];
  for (const sort of [...(tomography ? [] : ["slice"]), "change", "topography", "modulus"]) {
    const finest = images.find((image) => image.sort === sort);
    if (finest) shownImages.push(finest);
  }
  // A pipeline of radiographs alone shows them rather than nothing.
  if (shownImages.length === 0 && !tomography && images[0]) shownImages.push(images[0]);

  const modulus = best("modulus", ({ worth: w }) => w > -5)?.trace;
  const measured = entries.filter((entry) => !isTruth(entry));
  const byRecord = [...entries].sort((a, b) => Number(isNow(b)) - Number(isNow(a)));
  return {
    panels: panels.length > 0 ? panels : more.slice(0, 3),
    more: panels.length > 0 ? more : more.slice(3),
    scores: entries.filter(isScore).map(scorePanel),
    tomography,
    moreTomographies: tomographies.slice(1),
    images: shownImages,
    moreImages: images.filter((panel) => !shownImages.includes(panel)),
    curve: entries
      .flatMap(curveOf)
      .sort((a, b) => Number(b.fit !== undefined) - Number(a.fit !== undefined))
      .at(0),
    drifts: driftsOf(measured),
    against: modulusAgainstPotential(measured, { modulus, voltage: voltage?.trace }),
    columns: columnsOf(entries),
    cyclic: cyclePanelsOf(measured),
    overview: (voltage ?? current ?? candidates.find((c) => c.worth > -50))?.trace,
    state: find(
      byRecord,
      (_, { kind, codes }) => kind === "code" && Object.values(codes ?? {}).some((c) => DOING.test(c)),
    ),
    cycle: find(
      byRecord,
      (name, { kind }) =>
        (kind === "code" || kind === "scalar") && /^cycle(_count|_index|_number)?$/.test(name),
    ),
    step: find(
      byRecord,
      (name, { kind }) =>
        (kind === "code" || kind === "scalar") && /^step(_count|_index|_number)?$/.test(name),
    ),
    voltage: voltage?.trace,
    current: current?.trace,
    charge: (best("state of charge") ?? best("charge", ({ entry }) => isNow(entry)))?.trace,
    modulus,
  };
}

/** Rows of what is now, and not of a whole step, cycle or spectrum once it has ended. */
function isNow({ schema: { fields } }: StreamEntry): boolean {
  if ("duration" in fields || Object.values(fields).some(({ kind }) => kind === "curve")) return false;
  return (
    !("cycle_index" in fields) || "voltage_volt" in fields || ("kind" in fields && !("voltage" in fields))
  );
}

function find(entries: readonly StreamEntry[], wanted: (name: string, field: Field) => boolean) {
  for (const { stream, schema } of entries) {
    for (const [column, field] of Object.entries(schema.fields))
      if (wanted(column, field)) return { stream, column };
  }
  return undefined;
}

/** What is held against the limit: the statistics in its unit, or else the value itself. */
export function statisticsOf(fields: Readonly<Record<string, Field>>): string[] {
  const unit = fields["limit"]?.unit;
  const own = ["upper", "lower"].filter(
    (name) => fields[name]?.kind === "scalar" && fields[name].unit === unit,
  );
  return own.length > 0 ? own : ["value"];
}

function scorePanel({ stream, schema: { fields } }: StreamEntry): Panel {
  const statistics = statisticsOf(fields).map((column, i): Trace => ({
    ...trace(stream, fields, column),
    hue: i === 0 ? "#d5dbe2" : "#8fa3b8",
  }));
  const traces = [...statistics, { ...trace(stream, fields, "limit"), hue: "#8b949e", limit: true }];
  return {
    id: traces.map(({ column }) => `${stream}/${column}`).join("+"),
    title: `${titleOf("value", fields["value"]!)}: ${traces.map(({ title }) => title).join(", ")}`,
    traces,
  };
}

/** The streams that come from instruments, by the name of their node where that has only one, else by their port. */
export function sourcesOf(catalogue: ReadonlyMap<string, StreamEntry>): Source[] {
  const streams = [...catalogue.values()]
    .filter((entry) => !entry.derived && !isHousekeeping(entry) && !isTruth(entry))
    .map(({ stream }) => stream);
  const node = (stream: string) => stream.split(".")[0]!;
  const port = (stream: string) => stream.split(".").slice(1).join(".") || stream;
  return streams.map((stream) => {
    if (streams.filter((other) => node(other) === node(stream)).length === 1)
      return { stream, name: node(stream) };
    const alone = streams.filter((other) => port(other) === port(stream)).length === 1;
    return { stream, name: alone ? port(stream) : stream.replaceAll(".", " ") };
  });
}

/**
 * What an image column is, from its unit, its quantity and what stands beside it, and how it is coloured. Slices that
 * say how much of the turn they hold stand together, as planes through one sample.
 */
import type { StreamEntry } from "./client/types.ts";
import type { Colours } from "./picture.ts";
import { isAttenuation, isCounted, isLength, isModulus } from "./quantities.ts";
import type { RowPanel } from "./row-view.ts";
import type { Field, Fields, Schema } from "../runtime/wire/schema.ts";

export type ImageSort =
  | "slice" | "change" | "first change" | "topography" | "modulus" | "error" | "sinogram" | "mask" | "frame"; // prettier-ignore

export interface ImagePanel extends RowPanel, Colours {
  readonly sort: ImageSort;
  readonly column: string;
  readonly unit: string;
  /** Columns of single values that stand beside the image and say from what it was made. */
  readonly state: readonly string[];
  /** Column of the same stream, or of another, with the standard error of each pixel. */
  readonly error?: { readonly stream: string; readonly column: string };
  /** True where its columns lie across the rotation axis and its rows along it. */
  readonly upright?: boolean;
}

/** Where a plane lies in the sample; of an oblique one only its words. */
export interface PlanePanel extends ImagePanel {
  readonly port: string;
  readonly plane:
    { readonly axis: "x" | "y" | "z"; readonly at: number } | { readonly words: string } | undefined;
}

export interface TomographyPanel {
  readonly id: string;
  readonly title: string;
  /** Node whose ports these are. */
  readonly node: string;
  /** At most three, the horizontal one first. */
  readonly planes: readonly PlanePanel[];
}

export interface FoundImage {
  readonly worth: number;
  readonly panel: ImagePanel;
}

const words = (...texts: (string | undefined)[]) => texts.join(" ").toLowerCase().replaceAll("_", " ");

function sortOf(column: string, field: Field, { fields, metadata }: Schema, port: string): ImageSort {
  const { unit, quantity, long_name } = field;
  const said = words(quantity, long_name, column);
  const ofAnother = Object.values(fields).some(({ uncertainty }) => uncertainty === column);
  if (ofAnother || /standard error|uncertainty|\bse$/.test(said)) return "error";
  if (unit === "1" && /change/.test(said) && /deviation|sigma|error/.test(said)) return "change";
  if (unit === "s" && /first|onset/.test(said)) return "first change";
  if (/sinogram/.test(words(said, port)) || "angle_step_deg" in metadata) return "sinogram";
  if (unit === "" && field.type === "u8") return "mask";
  if (isAttenuation(unit)) return "slice";
  if (isLength(unit)) return "topography";
  return isModulus(unit) ? "modulus" : "frame";
}

const COLOURS: Record<ImageSort, Colours> = {
  slice: { map: "grey", scale: "linear" },
  change: { map: "diverging", scale: "centred" },
  "first change": { map: "viridis", scale: "linear" },
  topography: { map: "cividis", scale: "linear" },
  modulus: { map: "viridis", scale: "log" },
  error: { map: "cividis", scale: "linear" },
  sinogram: { map: "grey", scale: "linear" },
  mask: { map: "grey", scale: "linear" },
  frame: { map: "grey", scale: "linear" },
};

const TITLES: Partial<Record<ImageSort, string>> = {
  slice: "slice",
  change: "change, in standard deviations",
  "first change": "time of first change",
  topography: "topography",
  modulus: "modulus map",
  error: "standard error",
  sinogram: "sinogram",
  mask: "segmented",
};

export const isTruth = (entry: StreamEntry) =>
  /(^|[._])truth$/.test(entry.stream) || entry.schema.metadata["truth"] === "true";

const nodeOf = (stream: string) => stream.split(".").slice(0, -1).join(".") || stream;
const portOf = (stream: string) => stream.split(".").at(-1)!;

/** Columns of one number or text a row. */
const single = (fields: Fields) =>
  Object.keys(fields).filter((name) => fields[name]!.kind !== "image" && fields[name]!.kind !== "curve");

export function imagesOf(entry: StreamEntry): FoundImage[] {
  const { stream, schema } = entry;
  const { fields } = schema;
  return Object.entries(fields).flatMap(([column, field]) => {
    if (field.kind !== "image" || isTruth(entry)) return [];
    const { unit, long_name } = field;
    const sort = sortOf(column, field, schema, portOf(stream));
    const error = [field.uncertainty, `${column}_se`].find((name) => name !== undefined && fields[name]?.kind === "image");
    const panel: ImagePanel = {
      id: `${stream}/${column}`,
      title: long_name ?? TITLES[sort] ?? portOf(stream),
      stream, column, unit, sort,
      state: single(fields),
      ...COLOURS[sort],
      ...(error !== undefined && { error: { stream, column: error } }),
    };
    // Corrected before raw: what an operator made of an image comes later in the pipeline.
    const worth = (entry.derived ? 2 : 0) - (isCounted(unit) ? 1 : 0) - (entry.provisional ? 1 : 0);
    return [{ worth, panel }];
  });
} // prettier-ignore

/** Scanned images, maps and their errors: how their values are spread is worth a look. Of a tomograph's it is not. */
export const isSpread = ({ sort, unit }: ImagePanel): boolean =>
  sort === "topography" ||
  sort === "modulus" ||
  ((sort === "frame" || sort === "error") && !isCounted(unit) && !isAttenuation(unit) && unit !== "1");

/** An image stream of standard errors serves the images of the same unit and size that have none of their own. */
export function withErrors(
  found: readonly FoundImage[],
  entries: ReadonlyMap<string, StreamEntry>,
): FoundImage[] {
  const field = ({ stream, column }: ImagePanel) => entries.get(stream)?.schema.fields[column];
  const same = (a: ImagePanel, b: ImagePanel) =>
    a.unit === b.unit && String(field(a)?.shape) === String(field(b)?.shape);
  return found.map((one) => {
    const { panel } = one;
    if (panel.error || panel.sort === "error") return one;
    const fitting = found.filter((other) => other.panel.sort === "error" && other.panel.stream !== panel.stream && same(other.panel, panel)); // prettier-ignore
    const [only] = fitting;
    if (fitting.length !== 1) return one;
    return { ...one, panel: { ...panel, error: { stream: only!.panel.stream, column: only!.panel.column } } };
  });
}

function planeOf(text: string | undefined): PlanePanel["plane"] {
  if (text === undefined) return undefined;
  const match = /^\s*([xyz])\s*=\s*([+-]?[\d.]+)\s*$/.exec(text);
  return match ? { axis: match[1] as "x" | "y" | "z", at: Number(match[2]) } : { words: text };
}

const isHorizontal = ({ plane }: PlanePanel) =>
  plane === undefined || ("axis" in plane && plane.axis === "z");

/** Nodes whose slices say what of the turn they cover, and their planes; the one that shows most comes first. */
export function tomographiesOf(
  found: readonly FoundImage[],
  entries: ReadonlyMap<string, StreamEntry>,
): TomographyPanel[] {
  const nodes = new Map<string, PlanePanel[]>();
  for (const { panel } of found) {
    const { sort, state, stream } = panel;
    if (sort !== "slice" || !state.includes("coverage") || !state.includes("views")) continue;
    const plane = planeOf(entries.get(stream)!.schema.metadata["plane"]);
    const upright = plane !== undefined && "axis" in plane && plane.axis !== "z";
    const planes = nodes.get(nodeOf(stream)) ?? [];
    planes.push({ ...panel, port: portOf(stream), plane, upright });
    nodes.set(nodeOf(stream), planes);
  }
  return [...nodes]
    .map(([node, planes]): TomographyPanel => ({
      id: `${node}/planes`,
      title: planes.length > 1 ? "planes" : "slice as it fills",
      node,
      planes: planes
        .sort((a, b) => Number(isHorizontal(b)) - Number(isHorizontal(a)) || orderOf(a) - orderOf(b))
        .slice(0, 3),
    }))
    .sort((a, b) => b.planes.length - a.planes.length);
}

/** Seen from the front, then from the side, then obliquely. */
const orderOf = ({ plane }: PlanePanel) => (plane && "axis" in plane ? "zyx".indexOf(plane.axis) : 3);

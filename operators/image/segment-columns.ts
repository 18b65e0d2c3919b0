import { code, curve, scalar, type Fields } from "../../runtime/index.ts";

// What image/segment gives out.

export const POROSITY = {
  slice: code({ doc: "row of the detector" }),
  fraction: scalar("1", { uncertainty: "fraction_se", doc: "share of the pixels in the phase; NaN where there is no threshold" }),
  fraction_se: scalar("1", { doc: "from noise at the threshold and from pixels that both classes share" }),
  fraction_low: scalar("1", { doc: "at the threshold moved by `band` times the noise, the way that gives less" }),
  fraction_high: scalar("1", { doc: "the way that gives more" }),
  partial_volume: scalar("1", { doc: "half a pixel along all of the interface: the most that shared pixels can shift the fraction" }),
  area_px: scalar("{px}", { doc: "pixels in the phase" }),
  area: scalar("m2", { uncertainty: "area_se", doc: "NaN where the pixel size at the sample is not known" }),
  area_se: scalar("m2"),
  interface: scalar("{px}", { doc: "sides of pixels between the two classes" }),
  pixels: scalar("{px}", { doc: "that have a value, within `within` and the radius" }),
  missing: scalar("{px}", { doc: "that have none" }),
  threshold: scalar("1/{px}"),
  noise: scalar("1/{px}", { doc: "of a pixel: from the variance (root mean square), or from the histogram" }),
  noise_of: code({ codes: { 0: "not known", 1: "variance", 2: "histogram" } }),
  held: code({ codes: { 0: "the threshold still follows the slices", 1: "held, or given" } }),
} satisfies Fields; // prettier-ignore

const SPANS = { 0: "none", 1: "x", 2: "y", 3: "x, y", 4: "z", 5: "x, z", 6: "y, z", 7: "x, y, z" };
const SIZE = {
  volume_px: scalar("{px}", { uncertainty: "volume_px_se", doc: "pixels of all slices" }),
  volume_px_se: scalar("{px}"),
  volume: scalar("m3", {
    uncertainty: "volume_se",
    doc: "NaN where the pixel size at the sample is not known",
  }),
  volume_se: scalar("m3"),
} satisfies Fields;

export const BUBBLES = {
  slice: code({ doc: "row of the detector; the first, of slices that are next to each other" }),
  slices: scalar("1", { doc: "slices that make up the volume" }),
  number: scalar("1", { doc: "bubbles of `min_size` and more" }),
  ...SIZE,
  largest_px: scalar("{px}"),
  largest: scalar("m3"),
  largest_id: code({ doc: "-1 where there is none" }),
  largest_x: scalar("{px}", { doc: "column of its middle" }),
  largest_y: scalar("{px}", { doc: "row of its middle" }),
  largest_z: scalar("{px}", { doc: "slice of its middle" }),
  specks: scalar("1", { doc: "smaller than `min_size`" }),
  spanning: code({ codes: SPANS, doc: "faces that some bubble joins" }),
  spanning_x: scalar("1", { doc: "bubbles that join the left face and the right; NaN where these are not in the picture" }),
  spanning_y: scalar("1", { doc: "… the upper face and the lower" }),
  spanning_z: scalar("1", { doc: "… the first slice and the last; NaN for a single slice" }),
  channel_width: scalar("{px}", { doc: "of the widest channel, where it is narrowest; in a stack at most its slices; NaN where there is none, or `channels` is count" }),
} satisfies Fields; // prettier-ignore

export const OBJECTS = {
  slice: code({ doc: "as in `bubbles`" }),
  id: code({ doc: "the same from slice to slice of a row, as long as it overlaps itself" }),
  x: scalar("{px}", { doc: "column of its middle" }),
  y: scalar("{px}", { doc: "row of its middle, downwards" }),
  z: scalar("{px}", { doc: "slice of its middle" }),
  ...SIZE,
  dx: scalar("{px}", { doc: "moved since the slice before; NaN for a new one" }),
  dy: scalar("{px}"),
  dz: scalar("{px}"),
  age: scalar("s", { doc: "since it was first seen" }),
  spanning: code({ codes: SPANS }),
  channel_width: scalar("{px}", { doc: "where it is narrowest, as a channel; NaN where it is none" }),
} satisfies Fields;

export const EVENTS = {
  slice: code({ doc: "as in `bubbles`" }),
  id: code(),
  event: code({ codes: { 0: "appeared", 1: "split", 2: "merged", 3: "vanished" } }),
  other: code({ doc: "what it split from or merged into; -1 where nothing" }),
  x: scalar("{px}"),
  y: scalar("{px}"),
  z: scalar("{px}"),
  volume_px: scalar("{px}", { doc: "of one that ended, the last" }),
} satisfies Fields;

export const PROTRUSIONS = {
  slice: code({ doc: "row of the detector" }),
  number: scalar("1", { doc: "protrusions of `min_height` and more" }),
  height: scalar("{px}", { uncertainty: "height_se", doc: "of the highest above the plane" }),
  height_se: scalar("{px}"),
  height_x: scalar("{px}", { doc: "column of its tip" }),
  height_y: scalar("{px}", { doc: "row of its tip" }),
  base_width: scalar("{px}", { doc: "of the highest, at `min_height`; NaN where none is so high" }),
  ratio: scalar("1", { doc: "height / base_width" }),
  reach: scalar("1", { doc: "height over the room there is: 1 touches the other side" }),
  area_px: scalar("{px}", { doc: "pixels that stand on the plane" }),
  profile: curve("{px}", { doc: "height at each place along the plane" }),
} satisfies Fields;

export type Outputs = {
  porosity: typeof POROSITY; bubbles: typeof BUBBLES; objects: typeof OBJECTS; events: typeof EVENTS; mask: Fields;
}; // prettier-ignore
export type RowOf<F> = { readonly time: bigint } & {
  readonly [N in keyof F]: F[N] extends { kind: "curve" } ? Float64Array : number;
};
interface Writer<F> {
  add(row: RowOf<F>): void;
}
/** Which outputs there are is known from the options only. */
export interface Writers {
  readonly porosity: Writer<typeof POROSITY>;
  readonly bubbles: Writer<typeof BUBBLES>;
  readonly objects: Writer<typeof OBJECTS>;
  readonly events: Writer<typeof EVENTS>;
  readonly protrusions?: Writer<typeof PROTRUSIONS>;
  readonly mask: { put(columns: { time: BigInt64Array; data: Uint8Array; slice: Int32Array }): void };
  fault(time: bigint, what: string): void;
}
/** The porosity of a slice without a threshold. */
export function unknown(time: bigint, slice: number, pixels: number): RowOf<typeof POROSITY> {
  const none = Object.fromEntries(Object.keys(POROSITY).map((name) => [name, NaN]));
  return { ...(none as unknown as RowOf<typeof POROSITY>), time, slice, pixels, noise_of: 0, held: 0 };
}

import { image, type Columns, type Field, type Fields, WiringError } from "../../runtime/index.ts";

/**
 * Noise of line integrals that were measured by counting photons.
 *
 *     var(-ln T) = 1 / (N T) + (r / (F T))²        N = F × photons per count
 *
 *     F  counts of a clear pixel, flat-field's `flux`  [count]
 *     T  transmission                                  [1]
 *     r  noise of reading a pixel                      [count]
 *
 * Holds where N T is above some ten photons. The flats' own noise is left out: it is the same in all views.
 */
export interface Detector {
  readonly photons_per_count: number;
  readonly read_noise: number;
}

/** Of line integrals p, into `into`: (col). NaN where the flux is not known or not above zero. */
export function photonVariance(
  p: ArrayLike<number>,
  flux: ArrayLike<number>,
  { photons_per_count, read_noise }: Detector,
  into: Float32Array,
): void {
  for (let i = 0; i < into.length; i++) {
    const counts = flux[i]! * Math.exp(-p[i]!);
    into[i] = counts > 0 ? 1 / (counts * photons_per_count) + (read_noise / counts) ** 2 : NaN;
  }
}

/**
 * The same where no flux is known: as if it were even, from how far each sample is off the middle of its neighbours,
 * and growing as the line integrals that are expected say.
 * What the sample shows from column to column counts as noise, so this is too much rather than too little.
 */
export function roughVariance(p: Float32Array, expected: ArrayLike<number>, into: Float32Array): void {
  const off = new Float64Array(p.length - 2);
  for (let i = 0; i < off.length; i++) off[i] = (p[i]! - 2 * p[i + 1]! + p[i + 2]!) ** 2 / (6 * Math.exp(p[i + 1]!));
  const middle = off.sort()[off.length >> 1]!;
  const perPhoton = 1.4826 ** 2 * middle;
  for (let i = 0; i < into.length; i++) into[i] = perPhoton * Math.exp(expected[i]!);
} // prettier-ignore

/** The port that a stream's flux comes on, where one is wired. */
export const FLUX: Field<"image", "f32"> = image("{count}");

/** Throws where ports beside `projections` are no flux, or one of another size. */
export function checkFlux(inputs: Readonly<Record<string, Fields>>, required: boolean): boolean {
  const others = Object.keys(inputs).filter((port) => port !== "projections");
  const foreign = others.find((port) => port !== "flux");
  if (foreign !== undefined)
    throw new WiringError(`input ${foreign} is not known; wanted projections and flux, flat-field's second output`);
  if (others.length === 0) {
    if (required) throw new WiringError("flux: needs flat-field's second output, the counts of a clear pixel; wire it as the input flux");
    return false;
  }
  if ("image_key" in inputs["flux"]! || "rotation_angle" in inputs["flux"]!)
    throw new WiringError("flux: this stream has views of the sample in it; wire flat-field's second output, such as flat.flux");
  const [given, wanted] = [inputs["flux"]!["data"]?.shape, inputs["projections"]!["data"]?.shape];
  if (given?.every((n) => typeof n === "number") && wanted?.every((n) => typeof n === "number") && String(given) !== String(wanted)) {
    throw new WiringError(`flux is ${given.join(" × ")} pixels but projections are ${wanted.join(" × ")}; take both from the same flat-field`);
  }
  return true;
} // prettier-ignore

/** The flux as it stood when a view was taken, of the detector rows that are looked at. */
export class FluxInForce {
  readonly #rows: readonly number[];
  readonly #cols: number;
  /** (detector row, col); undefined before there is one. */
  current: Float32Array | undefined;
  #next = 0;

  constructor(rows: readonly number[], cols: number) {
    this.#rows = rows;
    this.#cols = cols;
  }

  /** Begins with the rows of another step. */
  begin(): void {
    this.#next = 0;
  }

  /** Takes in what has come up to a time. */
  upTo(time: bigint, columns: Columns | undefined): void {
    if (!columns) return;
    while (this.#next < columns.time.length && columns.time[this.#next]! <= time) this.#take(columns);
  }

  /** Takes in the rest of a step. */
  end(columns: Columns | undefined): void {
    while (columns && this.#next < columns.time.length) this.#take(columns);
  }

  #take(columns: Columns): void {
    const cols = this.#cols;
    const data = columns["data"] as Float32Array;
    const from = (this.#next++ * data.length) / columns.time.length;
    this.current ??= new Float32Array(this.#rows.length * cols);
    this.#rows.forEach((row, i) =>
      this.current!.set(data.subarray(from + row * cols, from + (row + 1) * cols), i * cols),
    );
  }
}

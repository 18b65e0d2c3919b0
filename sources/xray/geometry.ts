/**
 * The geometry of a scan: what its file says, what the pipeline says over it, and what follows from both.
 *
 *     magnification       M = (source_distance + detector_distance) / source_distance    of a fan or cone
 *     at the sample       sample_pixel_size = pixel_size / M
 *
 *     source_distance     [m]  source to rotation axis
 *     detector_distance   [m]  rotation axis to detector
 *     pixel_size          [m]  of the detector, as recorded
 *
 * A parallel beam has M = 1 but for optics behind the sample, which only `magnification` tells.
 */
export type Geometry = "parallel" | "fan" | "cone";

/** What the pipeline file says; NaN where it does not. */
export interface GivenGeometry {
  readonly geometry: Geometry | "as-recorded";
  readonly source_distance: number;
  readonly detector_distance: number;
  readonly pixel_size: number;
  readonly magnification: number;
}

/** Contradictions up to this much are rounding. */
const TOLERANCE = 0.01;

export function withGeometry(
  file: Readonly<Record<string, string>>,
  given: GivenGeometry,
): { metadata: Record<string, string>; remarks: string[] } {
  const metadata: Record<string, string> = { ...file };
  const remarks: string[] = [];
  const overridden: string[] = [];
  const override = (name: string, value: string): void => {
    if (name in metadata && !same(metadata[name]!, value)) overridden.push(name);
    metadata[name] = value;
  };
  if (given.geometry !== "as-recorded") override("geometry", given.geometry);
  for (const name of ["source_distance", "detector_distance", "magnification"] as const) {
    if (!Number.isNaN(given[name])) override(name, String(given[name]));
  }
  if (!Number.isNaN(given.pixel_size)) {
    for (const axis of ["x", "y"]) {
      override(`pixel_size_${axis}`, String(given.pixel_size));
      delete metadata[`sample_pixel_size_${axis}`];
    }
  }

  const number = (name: string): number => (metadata[name] === undefined ? NaN : Number(metadata[name]));
  const source_m = number("source_distance");
  const detector_m = number("detector_distance");
  const diverges = metadata["geometry"] === "fan" || metadata["geometry"] === "cone";
  const fromDistances = diverges ? (source_m + detector_m) / source_m : NaN;
  const said = number("magnification");
  if (diverges && Number.isNaN(fromDistances)) {
    const missing = ["source_distance", "detector_distance"].filter((name) => Number.isNaN(number(name)));
    remarks.push(`is of a ${metadata["geometry"]} beam, and ${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} not known; set ${missing.join(" and ")}`); // prettier-ignore
  }
  if (apart(said, fromDistances)) {
    remarks.push(
      `its magnification is said to be ${said}, and its distances (${source_m} m to the sample, ${detector_m} m on to the detector) ` +
        `make it ${Number(fromDistances.toPrecision(5))}; ${said} is used for the pixel size at the sample`,
    );
  }
  const pixel = number("pixel_size_x");
  const atSample = number("sample_pixel_size_x");
  const changed = overridden.some((name) => name !== "geometry");
  const magnification = first(said, fromDistances, changed ? NaN : pixel / atSample, diverges ? NaN : 1);
  if (!changed && apart(pixel / atSample, magnification)) {
    remarks.push(`its pixels of ${pixel} m, ${atSample} m at the sample, make a magnification of ${Number((pixel / atSample).toPrecision(5))}, and ${Number(magnification.toPrecision(5))} is said otherwise`); // prettier-ignore
  }
  if (Number.isFinite(magnification)) {
    if (diverges || magnification !== 1) metadata["magnification"] = exact(magnification);
    for (const axis of ["x", "y"]) {
      const recorded = number(`pixel_size_${axis}`);
      const sample = number(`sample_pixel_size_${axis}`);
      // With other distances the pixels at the sample have another size, and the detector's have not.
      if (Number.isFinite(recorded) && (changed || Number.isNaN(sample))) metadata[`sample_pixel_size_${axis}`] = exact(recorded / magnification); // prettier-ignore
      else if (Number.isNaN(recorded) && Number.isFinite(sample)) metadata[`pixel_size_${axis}`] = exact(sample * magnification); // prettier-ignore
    }
  }
  if (overridden.length > 0) metadata["overridden"] = overridden.join(", ");
  return { metadata, remarks };
}

const same = (a: string, b: string): boolean => a === b || (Number(a) === Number(b) && a !== "");
const apart = (a: number, b: number): boolean => Math.abs(a - b) > TOLERANCE * Math.abs(b);
const first = (...values: number[]): number => values.find(Number.isFinite) ?? NaN;
const exact = (x: number): string => String(Number(x.toPrecision(12)));

/** What a pipeline adds to a scan that lacks it: a list of angles, a geometry file, dark and flat fields in files of their own. */
import { SourceError } from "../../runtime/index.ts";
import { openSeries } from "./frame-series.ts";
import { readAngles, readGeometryFile } from "./geometry-file.ts";
import { DARK, FLAT, PROJECTION, type Part, type Scan } from "./scan.ts";

/** The scan with the angles of a list: of its projections, or of all its frames. */
export async function anglesFor(scan: Scan, list: string): Promise<Scan> {
  if (scan.growth) throw new SourceError(`${list}: a list of angles is for a scan that has ended, or for a folder of images; leave angles out`); // prettier-ignore
  const angles = await readAngles(list);
  const frames = scan.parts.reduce((n, part) => n + part.frames, 0);
  const projections = scan.parts.reduce((n, { image_key }) => n + image_key.filter((key) => key === PROJECTION).length, 0); // prettier-ignore
  if (angles.length !== projections && angles.length !== frames) {
    throw new SourceError(`${list}: has ${angles.length} angles, and the scan has ${projections} projections among ${frames} frames; wanted as many`); // prettier-ignore
  }
  let next = 0;
  const parts = scan.parts.map((part) => ({
    ...part,
    rotation_angle: Float64Array.from(part.image_key, (key) =>
      angles.length === frames || key === PROJECTION ? angles[next++]! : NaN,
    ),
  }));
  return { ...scan, parts, metadata: { ...scan.metadata, rotation_angles: `from ${list} (option angles)` } };
}

/** The scan with what a geometry file says over what the scan itself says. */
export async function withGeometryFile(scan: Scan, path: string): Promise<Scan> {
  const { metadata, exposure_s, remarks } = await readGeometryFile(path);
  return {
    ...scan,
    metadata: { ...scan.metadata, ...metadata },
    clock: { ...(exposure_s !== undefined && { exposure_s }), ...scan.clock },
    remarks: [...scan.remarks, ...remarks],
  };
}

export interface FieldFiles {
  readonly darks: string;
  readonly flats: string;
  readonly flats_after: string;
}

/**
 * The scan with dark and flat fields of other files before and after its frames, at the spacing of its frames where
 * these have times: when a field was taken is not told by the files that people keep of it.
 */
export async function withFields(scan: Scan, files: FieldFiles, folder: string): Promise<Scan> {
  const before = [
    ...(await fieldParts(scan, files.darks, "darks", DARK, folder)),
    ...(await fieldParts(scan, files.flats, "flats", FLAT, folder)),
  ];
  const after = await fieldParts(scan, files.flats_after, "flats_after", FLAT, folder);
  if (before.length + after.length === 0) return scan;
  if (scan.growth && after.length > 0) {
    throw new SourceError(`${files.flats_after}: flats_after cannot be there while the scan is still followed; leave follow out`); // prettier-ignore
  }
  if (!scan.parts.every(({ times_s }) => times_s))
    return { ...scan, parts: [...before, ...scan.parts, ...after] };
  const times_s = scan.parts.flatMap((part) => [...part.times_s!]);
  const [first, last] = [times_s[0] ?? 0, times_s.at(-1) ?? 0];
  const spacing_s = times_s.length > 1 && last > first ? (last - first) / (times_s.length - 1) : 1;
  const count = before.reduce((n, part) => n + part.frames, 0);
  const parts = [
    ...timed(before, (i) => first - (count - i) * spacing_s),
    ...scan.parts,
    ...timed(after, (i) => last + (i + 1) * spacing_s),
  ];
  return { ...scan, parts };
}

function timed(parts: readonly Part[], at: (i: number) => number): Part[] {
  let i = 0;
  return parts.map((part) => ({ ...part, times_s: Float64Array.from({ length: part.frames }, () => at(i++)) })); // prettier-ignore
}

async function fieldParts(
  scan: Scan,
  path: string,
  option: string,
  key: number,
  folder: string,
): Promise<Part[]> {
  if (path === "") return [];
  const { rows, cols, runs } = await openSeries(path, folder, { flat: scan.rows === 1 ? "lines" : "image" });
  if (rows !== scan.rows || cols !== scan.cols) {
    throw new SourceError(
      `${path}: ${option} are ${rows} × ${cols}, the scan's frames ${scan.rows} × ${scan.cols}; record them at the same binning`,
    );
  }
  const columns = scan.parts[0]?.columns;
  return runs.map(({ file, dataset, frames, type, chunk }) => ({
    file, dataset, first: 0, frames, type, chunk,
    image_key: new Int32Array(frames).fill(key),
    rotation_angle: new Float64Array(frames).fill(NaN),
    ...(columns && { columns: Object.fromEntries(Object.keys(columns).map((name) => [name, new Float64Array(frames).fill(name.startsWith("shift") ? 0 : NaN)])) }),
  })); // prettier-ignore
}

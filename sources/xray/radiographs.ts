import {
  defineSource, flag, image, quantity, REQUIRED, SourceError, text,
  type Columns, type ConfigOf, type Fault, type SourceContext, type SourceItem,
} from "../../runtime/index.ts"; // prettier-ignore
import { clockOf } from "./frame-clock.ts";
import { arrivals } from "./frame-files-follow.ts";
import { formatOf } from "./frame-files.ts";
import { rowsOf } from "./frame-rows.ts";
import { isMany, openSeries, type Run } from "./frame-series.ts";
import { latest } from "./image-scan.ts";
import { PROJECTION, type Part, type Scan } from "./scan.ts";

const CONFIG = {
  path: text(REQUIRED, {
    doc: "a folder of TIFF images, several by * and ? in their name, or a TIFF stack, .npy or HDF5 file; relative to the pipeline file",
  }),
  dataset: text("", { doc: "of an HDF5 file; by default the only one of frames × rows × columns" }),
  rate: quantity("Hz", 0, { min: 0, doc: "frames a second; 0: when each file was written, else one a second" }),
  follow: flag(false, { doc: "goes on watching a folder or pattern for new images" }),
  poll_every: quantity("s", 1, { min: 0.001, doc: "how often `follow` looks; a file is read once it has stopped growing" }),
  ends_after: quantity("s", Infinity, { min: 0, doc: "`follow` ends when nothing has come for so long" }),
} as const; // prettier-ignore

/**
 * A plain series of images: one a row, in the type it is stored in (double precision becomes single), natural order of
 * the files' names. Formats are told by content: TIFF (a folder or pattern of files, or one of many pages), `.npy`
 * (frames × rows × columns; rows × columns is one image), a dataset of an HDF5 file.
 *
 * Time: every 1 / `rate`, else when each file was written, else every second (a fault says so). The files tell nothing
 * better, so `time_basis` is "first seen". An image of another size is a fault, and left out.
 *
 * While it is followed nothing is kept but the names of the files that were read.
 */
export const radiographs = defineSource({
  name: "xray/radiographs",
  doc: "Reads a plain series of images: TIFF (folder, pattern, stack), .npy, a dataset of HDF5",
  output: { frames: { data: image("{count}") } },
  config: CONFIG,
  // HDF5 and Zeiss's containers mostly hold scans: xray/tomography says what is in them.
  claims: (head) => ["tiff", "npy"].includes(formatOf(head)),
  open: (config, context) => framesOf(config, context),
});

async function* framesOf(
  config: ConfigOf<typeof CONFIG>,
  context: SourceContext,
): AsyncGenerator<SourceItem> {
  const scan = await openImages(config, context);
  const clock = clockOf(scan, config.rate, context);
  const { rows, cols } = scan;
  const { type } = scan.parts[0]!;
  const metadata = {
    layout: scan.layout,
    ...scan.metadata,
    time_basis: clock.basis,
    frame_times: clock.spacing,
  };
  const data = { ...radiographs.output.frames.data, type, shape: [rows, cols] };
  yield {
    schema: { frames: { fields: { data }, metadata } },
    faults: [...scan.remarks, ...clock.remarks].map((what): Fault => ({ time: clock.start, what: `${config.path}: ${what}` })),
  }; // prettier-ignore
  const columnsOf = (): Omit<Columns, "time"> => ({});
  yield* rowsOf(scan, clock, { port: "frames", type, columnsOf, signal: context.signal });
}

async function openImages(config: ConfigOf<typeof CONFIG>, { directory, signal }: SourceContext): Promise<Scan> {
  const { path, follow, poll_every, ends_after } = config;
  if (!follow) {
    const series = await openSeries(path, directory, { dataset: config.dataset, flat: "image" });
    const { runs, rows, cols, remarks } = series;
    const byFile = runs.length > 1 && runs.every(({ frames }) => frames === 1);
    const frames = runs.reduce((n, run) => n + run.frames, 0);
    if (frames === 0) throw new SourceError(`${runs[0]!.file}: has no frames`);
    return {
      layout: series.format === "tiff" ? (runs.length > 1 ? "TIFF images" : "TIFF stack") : series.format === "npy" ? "npy array" : `HDF5 ${runs[0]!.dataset}`,
      parts: runs.map((run) => partOf(run, byFile)), rows, cols, remarks,
      clock: { written_ns: latest(runs), ...(byFile && { times_of: "files" }) },
      metadata: { images: String(frames) },
    };
  }
  if (!(await isMany(path, directory))) {
    throw new SourceError(`${path}: is not a folder; follow wants a folder, or a pattern such as images/*.tif`);
  }
  const arriving = arrivals(path, directory, { every_s: poll_every, endsAfter_s: ends_after }, signal);
  const opening = await arriving.next();
  if (opening.done) throw new SourceError(`${path}: the run ended before the first image came`);
  const { runs, shape } = opening.value;
  async function* growth() {
    for await (const { runs, faults } of arriving) {
      if (faults.length > 0) yield { faults };
      for (const run of runs) yield { part: partOf(run, true) };
    }
  }
  return {
    layout: "TIFF images", parts: runs.map((run) => partOf(run, true)), growth: growth(), rows: shape.rows, cols: shape.cols, remarks: [],
    clock: { written_ns: latest(runs), times_of: "files" }, metadata: {},
  };
} // prettier-ignore

function partOf({ file, dataset, frames, type, chunk, written_ns }: Run, timed: boolean): Part {
  return {
    file, dataset, first: 0, frames, type, chunk,
    image_key: new Int32Array(frames).fill(PROJECTION),
    rotation_angle: new Float64Array(frames).fill(NaN),
    ...(timed && { times_s: new Float64Array(frames).fill(Number(written_ns) / 1e9) }),
  }; // prettier-ignore
}

import { WiringError } from "../../runtime/index.ts";
import { detectorRows } from "./detector-rows.ts";
import { beamOf, type Beam } from "./geometry.ts";
import { horizontal, type Plane } from "./planes.ts";
import type { RampWindow } from "./ramp-filter.ts";
import { readPlane } from "./read-plane.ts";
import type { EngineOptions } from "./slice-engine.ts";
import { rowsFor } from "./slice-kernel.ts";
import { readSpan, type Span } from "./view-window.ts";
import { webgpuDevice, webgpuViewsThatFit } from "./webgpu/kernel.ts";
import { runsWasm, viewsThatFit, wasmMemory } from "./wasm/slice-kernel.ts";

// What options and stream of tomography/incremental determine together, and what cannot be right.

/** Views that are kept where `max_views` is not set, if the memory allows. */
export const MOST_VIEWS = 4096;
/** Line integrals are kept beside the filtered rows where those of all views take no more than this. */
const KEPT_BYTES = 512 << 20;

export interface Config {
  readonly slices: readonly (string | number)[];
  readonly planes: Readonly<Record<string, string>>;
  readonly window: string;
  readonly taper: number;
  readonly forgetting: number;
  readonly axis: number;
  readonly filter: RampWindow;
  readonly padding: "zero" | "edge";
  readonly size: number;
  readonly pitch: number;
  readonly centre_x: number;
  readonly centre_y: number;
  readonly shift_rows: number;
  readonly max_gap: number;
  readonly max_views: number;
  readonly rebuild_rate: number;
  readonly beyond_radius: "incomplete" | "missing";
  readonly kernel: "wasm" | "typescript" | "webgpu";
  readonly threads: number;
}

/** Throws WiringError where the kernel that was named cannot run here: another never stands in for it. */
export function checkKernel(kernel: Config["kernel"]): void {
  if (kernel === "wasm" && !runsWasm())
    throw new WiringError(
      "kernel: this JavaScript engine has no WebAssembly SIMD; set kernel: typescript, which is some five times slower",
    );
  if (kernel === "webgpu") webgpuDevice();
}

export const sliceCount = ({ slices, planes }: Config): number =>
  slices.length || (Object.keys(planes).length > 0 ? 0 : 1);

/** Everything that config and stream determine; throws WiringError where they cannot be right. */
export function setup(config: Config, metadata: Readonly<Record<string, string>>, detector: number, cols: number) {
  const beam = beamOf(metadata);
  const span = spanOf(config, beam);
  if (config.forgetting > 0 && !(span.kind === "angle" && span.period_deg === 360))
    throw new WiringError(`forgetting: with a window of ${config.window} the same angle does not come round as it was; set window: 360 deg`);
  const axis = axisOf(config.axis, metadata, cols);
  const slices = sliceCount(config) > 0 ? detectorRows(config.slices, detector) : [];
  const size = config.size || cols;
  const radius = config.beyond_radius === "missing" ? radiusOf(axis, cols, beam) : Infinity;
  const { pitch, centre_x: x, centre_y: y } = config;
  const planes = [
    ...slices.map((row) => horizontal(row, size, { pitch, x, y, radius })),
    ...Object.entries(config.planes).map(([name, written]) => readPlane(name, written, { detector, size, pitch })),
  ];
  beam.refuse(planes, detector, cols);
  Object.keys(config.planes).forEach((name, i) => {
    const nearest = fromAxis(planes[slices.length + i]!);
    if (nearest > cols)
      throw new WiringError(`planes: ${name} lies ${nearest.toFixed(0)} px from the axis; the detector is ${cols} px wide and sees nothing there`);
  });
  const rows = rowsFor(planes, detector, config.shift_rows);
  const options = {
    planes, detectorRows: rows, cols, images: 2, window: config.filter, padding: config.padding,
    middleRow: (detector - 1) / 2, fan: beam.fan,
  };
  if (config.kernel === "webgpu") {
    const most = webgpuDevice().buffer_bytes / 4;
    const large = planes.find(({ rows, cols }) => rows * cols > most);
    if (large)
      throw new WiringError(`size: ${large.rows} × ${large.cols} pixels are more than a buffer of this device holds (${most}); set a smaller size, or kernel: wasm`);
  }
  if (config.kernel === "wasm") {
    const { fixed_bytes } = wasmMemory(options);
    const fit = viewsThatFit(options) * config.threads;
    const wanted = config.max_views || 64;
    const lines = planes.length === 1 ? `${planes[0]!.rows} × ${planes[0]!.cols} pixels` : `${planes.length} planes`;
    if (fixed_bytes > 2 ** 32)
      throw new WiringError(`slices: ${lines} need ${(fixed_bytes / 2 ** 30).toFixed(1)} GiB, more than the 4 GiB that a kernel's memory holds; ` +
        "name fewer planes here and the others in a second node, or set a smaller size");
    if (fit < wanted)
      throw new WiringError(`max_views: ${Math.min(fit, wanted)} views of ${rows.length} detector rows fit into the 4 GiB of a kernel's memory, not ${wanted}; ` +
        "name fewer planes, or bin the frames");
  }
  return { planes, rows, slices, axis, beam, span, options };
} // prettier-ignore

/** How near a plane's lines come to the rotation axis, as lines without end [px]. */
function fromAxis({ rows, x, y, alongX, alongY, downX, downY }: Plane): number {
  const off = (r: number): number =>
    ((x + r * downX) * alongY - (y + r * downY) * alongX) / Math.hypot(alongX, alongY);
  const [first, last] = [off(0), off(rows - 1)];
  return first * last <= 0 ? 0 : Math.min(Math.abs(first), Math.abs(last));
}

export function mostViews(config: Config, options: Parameters<typeof viewsThatFit>[0]): number {
  if (config.max_views > 0) return config.max_views;
  if (config.kernel === "webgpu") return Math.min(MOST_VIEWS, webgpuViewsThatFit(options));
  return config.kernel === "wasm" ? Math.min(MOST_VIEWS, viewsThatFit(options)) : MOST_VIEWS;
}

type Made = Pick<EngineOptions, "kernel" | "cols" | "axis" | "span"> & {
  beam: Beam;
  rows: readonly number[];
  most: number;
};

export function engineOptions(config: Config, { kernel, cols, axis, span, beam, rows, most }: Made): EngineOptions {
  return {
    kernel, cols, axis, span, filter: config.filter, parallel: !beam.fan, circle_deg: beam.circle_deg,
    keepLineIntegrals: 4 * cols * rows.length * most <= KEPT_BYTES, forgetting: config.forgetting, rebuildRate_Hz: config.rebuild_rate,
    maxGap_deg: config.max_gap, maxViews: most,
  };
} // prettier-ignore

/** What is wrong with a window as it is written. */
export const windowMistake = (window: string): string | undefined =>
  readSpan(window, 0)
    ? undefined
    : `${window} is no window; wanted 180 deg, 360 deg, so many views (300 views) or a time (90 s)`;

export function spanOf({ window, taper }: Pick<Config, "window" | "taper">, beam: Beam): Span {
  const span = readSpan(window, taper);
  if (!span)
    throw new WiringError(`window: ${windowMistake(window)}`);
  if (taper > 0 && span.kind !== "tapered")
    throw new WiringError(`taper: only a window of 180 deg has one, not ${window}`);
  const half = span.kind === "tapered" || (span.kind === "angle" && span.period_deg === 180);
  if (half && beam.fan)
    throw new WiringError("window: a half-turn shows all only in a parallel beam; set window: 360 deg for this fan beam");
  return span;
} // prettier-ignore

export const written = (span: Span): string =>
  span.kind === "angle" ? `${span.period_deg} deg`
  : span.kind === "tapered" ? `180 deg, taper ${span.taper_deg} deg`
  : span.kind === "views" ? `${span.views} views`
  : `${span.seconds} s`; // prettier-ignore

/** Within it all views see a pixel. */
export function radiusOf(axis: number, cols: number, { fan }: Beam): number {
  const half = Math.min(axis, cols - 1 - axis);
  return fan ? (fan.distance_px * half) / Math.hypot(fan.distance_px, half) : half;
}

/** Size of a picture's pixels at the sample, where the stream says the detector's. */
export function pixels(metadata: Readonly<Record<string, string>>, pitch: number): Record<string, string> {
  if (pitch === 1) return {};
  const of = (name: string): Record<string, string> =>
    metadata[name] === undefined ? {} : { [name]: String(Number(metadata[name]) * pitch) };
  return { pitch: String(pitch), ...of("sample_pixel_size_x"), ...of("sample_pixel_size_y") };
}

export function axisOf(given: number, metadata: Readonly<Record<string, string>> | undefined, cols: number): number {
  const stated = metadata?.["rotation_axis"];
  const axis = !Number.isNaN(given) ? given : stated === undefined ? (cols - 1) / 2 : Number(stated);
  if (!(axis >= 0 && axis <= cols - 1)) {
    throw new WiringError(`axis: ${Number.isNaN(given) ? `the stream's rotation_axis "${stated}"` : `${given} px`} is not on the detector, 0 to ${cols - 1} px`);
  }
  return axis;
} // prettier-ignore

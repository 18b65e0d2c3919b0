/** Paints buckets on a canvas: a band where a bucket holds several rows, a line where it holds one, nothing in a gap. */
import type { Ms } from "./client/types.ts";
import { connectedRuns, longestBridge } from "./gaps.ts";
import type { TraceBuffer, TraceColumn } from "./trace-buffer.ts";

export interface Plot {
  readonly context: CanvasRenderingContext2D;
  readonly x: (time: Ms) => number;
  readonly y: (value: number) => number;
  readonly from: Ms;
  readonly to: Ms;
  /** Device pixels a CSS pixel. */
  readonly ratio: number;
  readonly top: number;
  readonly bottom: number;
}

export interface Stroke {
  readonly column: string;
  readonly hue: string;
  readonly dashed: boolean;
  readonly error?: string | undefined;
  readonly spread?: string | undefined;
  readonly band?: readonly [string, string] | undefined;
}

export function drawTrace(plot: Plot, buffer: TraceBuffer, stroke: Stroke): void {
  const column = buffer.columns.get(stroke.column);
  if (!column) return;
  const { context: c, ratio } = plot;
  const bridge = longestBridge(buffer.time, column.count, buffer.length);
  // One bucket beyond either edge, so that lines run out of the picture.
  const first = Math.max(0, buffer.indexOf(plot.from - bridge) - 1);
  const end = Math.min(buffer.length, buffer.indexOf(plot.to + bridge) + 1);
  const runs = connectedRuns(buffer.time, column, { first, end, bridge });
  const measured = (i: number) => column.count[i]! > 0 && !Number.isNaN(column.min[i]!);

  c.lineJoin = "round";
  c.strokeStyle = stroke.hue;
  c.fillStyle = stroke.hue;

  // Behind it, how the single values lie about it and how sure it is itself.
  for (const { low, high, alpha } of bands(buffer, column, stroke)) {
    c.globalAlpha = alpha;
    for (const [a, b] of runs) area(plot, buffer.time, a, b, measured, low, high);
  }

  // Spread within a bucket: never a smooth line through it.
  c.globalAlpha = 0.45;
  for (const [a, b] of runs)
    area(
      plot,
      buffer.time,
      a,
      b,
      measured,
      (i) => column.min[i]!,
      (i) => column.max[i]!,
    );

  c.globalAlpha = 1;
  c.lineWidth = 1.3 * ratio;
  c.setLineDash(stroke.dashed ? [5 * ratio, 4 * ratio] : []);
  for (const [a, b] of runs) {
    if (a === b) dot(plot, buffer.time[a]!, column.min[a]!, column.max[a]!);
    else line(plot, buffer.time, a, b, measured, column);
  }
  c.setLineDash([]);

  // Where the stream fell silent, a thin tick on either side of the hole.
  c.globalAlpha = 0.5;
  for (let i = 1; i < runs.length; i++) {
    const [before, after] = [runs[i - 1]![1], runs[i]![0]];
    for (const at of [before, after]) {
      const y = plot.y(column.max[at]!);
      c.fillRect(plot.x(buffer.time[at]!) - ratio / 2, y - 5 * ratio, ratio, 10 * ratio);
    }
  }
  c.globalAlpha = 1;
}

type Edge = (i: number) => number;

interface Band {
  readonly low: Edge;
  readonly high: Edge;
  readonly alpha: number;
}

/** The stream's own band or spread, and plus and minus one standard error, the wider first. */
function bands(buffer: TraceBuffer, { min, max }: TraceColumn, { error, spread, band }: Stroke): Band[] {
  const found: Band[] = [];
  const about = (name: string | undefined, alpha: number): void => {
    const by = name === undefined ? undefined : buffer.columns.get(name);
    if (by) found.push({ low: (i) => min[i]! - by.max[i]!, high: (i) => max[i]! + by.max[i]!, alpha });
  };
  const [low, high] = (band ?? []).map((name) => buffer.columns.get(name));
  if (low && high) found.push({ low: (i) => low.min[i]!, high: (i) => high.max[i]!, alpha: 0.2 });
  about(spread, 0.2);
  about(error, found.length > 0 ? 0.4 : 0.25);
  return found;
}

function area(
  { context: c, x, y }: Plot,
  time: Float64Array,
  a: number,
  b: number,
  measured: (i: number) => boolean,
  low: Edge,
  high: Edge,
): void {
  const sound = (i: number) => measured(i) && !Number.isNaN(low(i)) && !Number.isNaN(high(i));
  c.beginPath();
  let started = false;
  for (let i = a; i <= b; i++) {
    if (!sound(i)) continue;
    if (started) c.lineTo(x(time[i]!), y(high(i)));
    else c.moveTo(x(time[i]!), y(high(i)));
    started = true;
  }
  for (let i = b; i >= a; i--) if (sound(i)) c.lineTo(x(time[i]!), y(low(i)));
  c.closePath();
  c.fill();
}

function line(
  { context: c, x, y }: Plot,
  time: Float64Array,
  a: number,
  b: number,
  measured: (i: number) => boolean,
  column: TraceColumn,
): void {
  // Along the upper edge, and along the lower where it differs: a constant is one line, a band has two.
  for (const edge of [column.max, column.min]) {
    let differs = edge === column.max;
    c.beginPath();
    let started = false;
    for (let i = a; i <= b; i++) {
      if (!measured(i)) continue;
      if (column.max[i]! > column.min[i]!) differs = true;
      if (started) c.lineTo(x(time[i]!), y(edge[i]!));
      else c.moveTo(x(time[i]!), y(edge[i]!));
      started = true;
    }
    if (differs) c.stroke();
  }
}

function dot({ context: c, x, y, ratio }: Plot, time: Ms, min: number, max: number): void {
  c.beginPath();
  c.arc(x(time), y((min + max) / 2), 1.8 * ratio, 0, 2 * Math.PI);
  c.fill();
  if (max > min) c.fillRect(x(time) - ratio / 2, y(max), ratio, y(min) - y(max));
}

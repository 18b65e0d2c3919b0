/** From recorded counts to the bubble: a gas pocket of known place and size in a real cell's cross-section. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { segment } from "../../../operators/image/segment.ts";
import { region } from "../../../operators/image/region.ts";
import { flatField } from "../../../operators/tomography/flat-field.ts";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { SECOND } from "./pictures.ts";

const folder = fileURLToPath(new URL("../../../../shared/data/xrm/npy/", import.meta.url));

/** Numbers of a .npy file. */
function npy(name: string): Float32Array {
  const bytes = readFileSync(`${folder}${name}.npy`);
  const start = 10 + bytes.readUInt16LE(8);
  const type = /'descr': '([^']+)'/.exec(bytes.toString("latin1", 10, start))![1];
  const body = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
  const values = { "<u2": Uint16Array, "<f4": Float32Array, "<f8": Float64Array }[type!]!;
  return Float32Array.from(new values(body));
}

describe.runIf(existsSync(folder))("operando_21700_sim_A", () => {
  // A disc of gas from frame 600 on, 60 px to the right of the axis and 35 below, its area growing to a radius of
  // 14 px at frame 960.
  const cols = 512;
  const shape = { shape: [1, cols] };
  const [dark, white, data, angles] = ["dark", "white", "data", "theta_deg"].map((n) => npy(`operando_A_${n}`)) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const keys = [...Array(dark.length / cols).fill(2), ...Array(white.length / cols).fill(1), ...Array(data.length / cols).fill(0)] as number[];
  const before = keys.length - data.length / cols;
  const frames = {
    time: BigInt64Array.from(keys, (_, i) => BigInt(i - before) * SECOND),
    data: Float32Array.of(...dark, ...white), rotation_angle: Float64Array.from(keys, (_, i) => (i < before ? NaN : angles[i - before]!)),
    image_key: Int32Array.from(keys),
  };
  const all = new Float32Array(keys.length * cols);
  all.set(frames.data);
  all.set(data, frames.data.length);
  const { projections } = feed(flatField, { frames: { ...frames, data: all } }, { schema: { frames: { ...flatField.input.frames, data: image("{count}", shape) } } });
  const { slices } = feed(incremental, { projections }, {
    schema: { projections: { ...incremental.input.projections, data: image("1", shape) } }, with: { axis: 262.75, every: 60 },
  });
  const fields = { slices: { ...segment.input.slices, data: image("1/{px}", { shape: [cols, cols] }) } };
  const [x, y] = [255.5 + 60, 255.5 + 35];

  test("no bubble before there is gas; then one, where it is, as large as it is, and always the same", () => {
    const within = `circle ${x},${y},40`;
    const { porosity } = feed(segment, { slices }, { schema: fields, with: { within } });
    // the pocket is seen as a class of its own once it is there; half of the attenuation around it is 0.0052
    const threshold = porosity.threshold.at(-1);
    expect(threshold).toBeGreaterThan(0.0045);
    expect(threshold).toBeLessThan(0.006);
    const { bubbles, objects, events } = feed(segment, { slices }, { schema: fields, with: { within, min_size: 30, threshold: "0.0052 1/{px}" } });
    const at = [...slices.time].map((t: bigint) => Number(t / SECOND));
    const from = at.length - bubbles.time.length; // slices of less than 150 degrees have none
    const pixels = at.map((_, i) => (i < from ? 0 : bubbles.volume_px[i - from]!));
    expect(at.filter((_, i) => pixels[i]! > 0)[0]).toBeLessThanOrEqual(720); // the window is 180 frames long
    for (const [i, frame] of at.entries()) if (frame < 600) expect(pixels[i]).toBe(0);
    expect([...new Set(objects.id)]).toEqual([0]);
    expect([...events.event]).toEqual([0]);
    // all of the window after frame 960 + 180: a disc with a radius of 14 px
    const disc = Math.PI * 14 ** 2;
    for (const [i, frame] of at.entries()) {
      if (frame < 1140) continue;
      const k = i - from;
      expect(Math.abs(bubbles.volume_px[k] - disc)).toBeLessThan(3 * bubbles.volume_px_se[k] + 0.02 * disc); // its edge is blurred
      expect(Math.hypot(bubbles.largest_x[k] - x, bubbles.largest_y[k] - y)).toBeLessThan(0.3);
    }
    const band = porosity.time.length - 1;
    expect(porosity.fraction_low[band] * porosity.pixels[band]).toBeLessThan(disc);
    expect(porosity.fraction_high[band] * porosity.pixels[band]).toBeGreaterThan(disc);
  });

  test("the mean within it falls to that of gas, by its own error", () => {
    const { regions } = feed(region, { images: slices }, { schema: { images: fields.slices }, with: { regions: [`pocket = circle ${x},${y},12`] } });
    expect(Math.abs(regions.mean.at(-1))).toBeLessThan(4 * regions.mean_se.at(-1));
    const before = [...slices.time].findIndex((t: bigint) => t >= 540n * SECOND);
    expect(regions.mean[before]).toBeGreaterThan(50 * regions.mean_se[before]);
  });
}); // prettier-ignore

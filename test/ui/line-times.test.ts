import { expect, test } from "vitest";
import { scalar } from "../../runtime/wire/schema.ts";
import { LineStrip } from "../../ui/line-strip.ts";
import { lineTime, lineTimes } from "../../ui/line-times.ts";
import type { Trace } from "../../ui/panels.ts";
import type { Row } from "../../ui/row-feed.ts";
import { FRAME_ms } from "./fake-afm.ts";
import { FakeClient, START } from "./fake-client.ts";

const row = (duration: number, slow_scan: number): Row => ({
  time: 1_000_000, at: 0, bytes: 0,
  frame: {
    kind: "rows", epoch: 0, row: 0, time: Float64Array.of(1_000_000), dropped: 0,
    schema: { fields: { duration: scalar("s") }, metadata: {} },
    columns: { duration: Float64Array.of(duration), ...(slow_scan >= 0 && { slow_scan: Int32Array.of(slow_scan) }) },
  },
}); // prettier-ignore

test("a frame of 4 min, scanned from row 0: its last line ends with it, its first 1 of 240 parts after it began", () => {
  const times = lineTimes(row(240, 0), 240)!;
  expect(lineTime(times, 239)).toBe(1_000_000);
  expect(lineTime(times, 0)).toBe(1_000_000 - 239_000);
  expect(lineTime(times, 100)).toBe(1_000_000 - 139_000);
});

test("scanned from the last row it is the other way round", () => {
  const times = lineTimes(row(240, 1), 240)!;
  expect(lineTime(times, 0)).toBe(1_000_000);
  expect(lineTime(times, 239)).toBe(1_000_000 - 239_000);
});

test.each([
  ["no duration", NaN, 0],
  ["none at all", 0, 0],
  ["an unknown direction", 240, 255],
  ["no direction", 240, NaN],
])("with %s nothing is said", (_, duration, slow) => {
  expect(lineTimes(row(duration, slow), 240)).toBeUndefined();
});

test("the potential of each line is what the cell's was when the line was taken", async () => {
  const client = new FakeClient({ history: 60 * 60_000, afm: true });
  const voltage = { stream: "cycler.echem", column: "voltage_volt", unit: "V", hue: "#fff" } as Trace;
  const strip = new LineStrip(client, voltage, () => {});
  const end = START + 5 * FRAME_ms;
  const rows = 48;
  const times = { rows, first: end - (FRAME_ms * (rows - 1)) / rows, last: end };
  strip.see(times);
  await Promise.resolve();
  // The same voltage, asked for line by line.
  const wanted = await Promise.all(
    Array.from({ length: rows }, (_, k) => {
      const at = lineTime(times, k);
      return new Promise<number>((resolve) =>
        client.subscribe({ stream: "cycler.echem", columns: ["voltage_volt"], from: 0, to: at + 1e-3 }, (frame) => {
          if (frame.kind === "rows") resolve((frame.columns["voltage_volt"] as Float64Array)[0]!);
        }),
      );
    }),
  );
  const { values } = strip;
  expect(values.length).toBe(rows);
  wanted.forEach((value, k) => expect(Math.abs(values[k]! - value)).toBeLessThan(0.003)); // its noise
  expect(strip.said).toMatch(/^\d\.\d{3} V to \d\.\d{3} V$/);
  // The next frame is another question; the same is none.
  const asked = client.asked.length;
  strip.see(times);
  expect(client.asked.length).toBe(asked);
  strip.see({ ...times, first: times.first + FRAME_ms, last: times.last + FRAME_ms });
  expect(client.asked.length).toBe(asked + 1);
  const before = client.subscriptions;
  strip.close();
  expect(client.subscriptions).toBe(before - 1);
}); // prettier-ignore

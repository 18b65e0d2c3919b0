// Records as fast as it can, from the build, and prints each acknowledgement, until it is killed.
import { writeSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [directory, dist] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(dist, path)).href);
const { createRecorder, writeManifest } = await load("runtime/journal/index.js");
const { makeBatch } = await load("runtime/batch.js");
const { scalar, label } = await load("runtime/wire/schema.js");

const schema = { fields: { value: scalar("V"), name: label() }, metadata: {} };
await writeManifest(directory, { operando: "test", name: "killed", origin: "0", started: "now" });
const recorder = await createRecorder({ directory, segmentBytes: 200_000, flushEvery_ms: 5 });
let heard;
recorder.onAcknowledged((stream, epoch, row) => {
  heard?.();
  if (row > 0) writeSync(1, `${stream} ${epoch} ${row}\n`);
});
recorder.onFailure((error) => {
  writeSync(2, `${error.message}\n`);
  process.exit(1);
});

let row = 0;
for (;;) {
  const rows = 1 + ((row * 7919) % 300);
  const numbers = Array.from({ length: rows }, (_, i) => row + i);
  const time = BigInt64Array.from(numbers, (n) => BigInt(n) * 1_000_000n);
  const columns = { time, value: Float64Array.from(numbers), name: numbers.map((n) => `row ${n}`) };
  for (const [stream, derived] of [
    ["source.out", false],
    ["operator.out", true],
  ]) {
    recorder.append(
      makeBatch({ stream, epoch: 0, row, columns, schema, watermark: time[rows - 1], state: "active" }),
      { derived },
    );
  }
  row += rows;
  while (recorder.pendingBytes > 50_000) await new Promise((resolve) => (heard = resolve));
}

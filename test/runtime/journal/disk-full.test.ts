import { expect, test } from "vitest";
import { realDisk, type Disk } from "../../../runtime/journal/disk.ts";
import { openRun } from "../../../runtime/journal/index.ts";
import { flatten, layoutOf } from "../../../runtime/journal/layout.ts";
import { startWriter, type FromWriter, type Rows, type ToWriter } from "../../../runtime/journal/writer.ts";
import { joined, manifest, newFolder, PLAIN, plainRows } from "./rows.ts";

/** A disk that takes so many bytes more; as a real one, it takes a part of the last write. */
function smallDisk(bytes: number): Disk {
  return {
    ...realDisk,
    write(file, parts, position) {
      for (const part of parts) {
        const fits = Math.min(part.length, bytes);
        realDisk.write(file, [part.subarray(0, fits)], position);
        position += fits;
        bytes -= fits;
        if (fits < part.length)
          throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      }
    },
  };
}

function rowsPost(from: number, to: number): Rows {
  const { rows, buffers } = flatten(plainRows(from, to), layoutOf(PLAIN), "a.b");
  const block = new Uint8Array(Buffer.concat(buffers)).buffer; // doubles alone: each buffer ends at a multiple of 8
  return {
    kind: "rows",
    channel: 0,
    row: from,
    rows,
    watermark: 0n,
    state: "active",
    block,
    lengths: buffers.map(({ length }) => length),
    bytes: block.byteLength,
  };
}

test.each([0, 500, 3000, 5000, 9000])(
  "a disk with %i bytes left: one sentence, and what was acknowledged stays",
  async (bytes) => {
    const directory = newFolder();
    await manifest(directory);
    const said: FromWriter[] = [];
    const options = {
      directory,
      flushEvery_ms: 100,
      segmentBytes: 1e9,
      segmentSpan_s: 600,
      segmentBytesLeast: 0,
      pane_s: 1,
    };
    let closed = (): void => undefined;
    const done = new Promise<void>((resolve) => (closed = resolve));
    const reply = (message: FromWriter): void =>
      void (message.kind === "done" ? closed() : said.push(message));
    const send = startWriter(options, reply, smallDisk(bytes));
    const append = (...posts: Extract<ToWriter, { kind: "append" }>["posts"]): void =>
      send({ kind: "append", posts });
    append({ kind: "open", channel: 0, stream: "a.b", epoch: 0, row: 0, derived: false, schema: PLAIN });
    for (let row = 0; row < 500; row += 50) append(rowsPost(row, row + 50));
    send({ kind: "close", id: 1 });
    await done;

    const failures = said.flatMap((message) => (message.kind === "failed" ? [message.message] : []));
    expect(failures).toEqual([
      `recording into ${directory} stopped: the disk is full. What was recorded so far is safe; make room, or give another directory, and start a new run`,
    ]);
    const rows =
      said
        .flatMap((message) => (message.kind === "written" ? message.positions.map(({ row }) => row) : []))
        .at(-1) ?? 0;
    if (bytes >= 5000) expect(rows).toBeGreaterThan(0);
    const run = await openRun(directory);
    if (rows > 0) expect(await joined(run.read("a.b"), PLAIN)).toEqual(plainRows(0, rows));
    // Truncated to its last whole message: nothing torn is left to be dropped.
    expect(run.recovered).toEqual(
      bytes < 1000 ? [`streams/a.b/000000.arrows was begun and holds nothing yet; ignored it`] : [],
    );
  },
);

/**
 * The recorder's own half: takes rows as bytes, cuts what is derived, writes segments, indexes and levels. Runs in a
 * thread of its own, or in the caller's where that is wanted.
 */
import { join as path } from "node:path";
import type { StreamState } from "../batch.ts";
import type { Field, Schema } from "../wire/schema.ts";
import { Cutter } from "./cut.ts";
import { realDisk, type Disk } from "./disk.ts";
import { flatten, layoutOf, timesOf, type Flat, type Layout } from "./layout.ts";
import { LevelBuilder, levelSchema } from "./levels.ts";
import { batchMessage, padded, schemaMessage, type BatchHead, type SegmentHead } from "./message.ts";
import { inWords, RunError } from "./run-error.ts";
import { folderOf, segmentName, SegmentWriter } from "./segment.ts";

export interface WriterOptions {
  readonly directory: string;
  readonly flushEvery_ms: number;
  readonly segmentBytes: number;
  readonly segmentSpan_s: number;
  readonly segmentBytesLeast: number;
  readonly pane_s: number;
}

/** Opens a channel: what follows on it is of this stream and epoch, in this schema. */
export interface Opening {
  readonly kind: "open";
  readonly channel: number;
  readonly stream: string;
  readonly epoch: number;
  readonly row: number;
  readonly derived: boolean;
  /** As recorded: with references in place of images. */
  readonly schema: Schema;
  readonly references?: Readonly<Record<string, Field>>;
}

/** Rows as the buffers of `Flat`, one after the other at multiples of 8 bytes in `block`, save those that are `shared`. */
export interface Rows {
  readonly kind: "rows";
  readonly channel: number;
  readonly row: number;
  readonly rows: number;
  readonly watermark: bigint;
  readonly state: StreamState;
  readonly block: ArrayBuffer;
  readonly lengths: readonly number[];
  readonly shared?: readonly (Uint8Array | undefined)[];
  /** What the sender counts for it. */
  readonly bytes: number;
}

export type ToWriter =
  | { readonly kind: "append"; readonly posts: readonly (Opening | Rows)[] }
  | { readonly kind: "drain" | "close"; readonly id: number };

export interface Position {
  readonly stream: string;
  readonly epoch: number;
  /** Next row after the last that is written. */
  readonly row: number;
  /** Bytes of the stream's segments. */
  readonly bytes: number;
}

export type FromWriter =
  | { readonly kind: "written"; readonly bytes: number; readonly positions: readonly Position[] }
  | { readonly kind: "durable"; readonly positions: readonly Position[] }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "done"; readonly id: number };

/** Bytes that wait for the operating system, at most. */
const WRITE_BYTES = 4 * 1024 * 1024;
function flatOf({ rows, block, lengths, shared }: Rows): Flat {
  let at = 0;
  const buffers = lengths.map((length, i) => {
    const known = shared?.[i];
    if (known) return known;
    const bytes = new Uint8Array(block, at, length);
    at += padded(length);
    return bytes;
  });
  return { rows, buffers };
}

export interface WriterSettings {
  readonly directory: string;
  readonly disk: Disk;
  readonly segmentBytes: number;
  /** ns of event time. */
  readonly segmentSpan: bigint;
  readonly segmentBytesLeast: number;
  readonly pane: bigint;
}

/** Writes the segments of one stream, or of one level of it. */
class SegmentsWriter {
  readonly #directory: string;
  readonly #settings: WriterSettings;
  #number = 0;
  #segment: SegmentWriter | undefined;
  #head: SegmentHead | undefined;
  #layout: Layout | undefined;
  #batches = 0;
  /** Time of the first row in the open segment; undefined while it has none. */
  #since: bigint | undefined;
  #closedBytes = 0;
  /** Next row. */
  row = 0;

  constructor(directory: string, settings: WriterSettings) {
    this.#directory = directory;
    this.#settings = settings;
  }

  get bytes(): number {
    return this.#closedBytes + (this.#segment?.size ?? 0);
  }

  /** Begins a segment. */
  open(head: SegmentHead): void {
    this.end();
    this.#head = head;
    this.#layout = layoutOf(head.schema);
    this.row = head.row;
    this.#batches = 0;
    this.#since = undefined;
    this.#segment = new SegmentWriter(
      path(this.#directory, segmentName(this.#number++)),
      this.#settings.disk,
    );
    this.#segment.append([schemaMessage(head)], { row: head.row, rows: 0, first: 0n, last: 0n });
  }

  /** One record batch. Where a segment ends depends on the batches alone. */
  append(flat: Flat, about: Omit<BatchHead, "epoch" | "row">): void {
    const { epoch } = this.#head!;
    const times = timesOf(flat);
    const first = flat.rows > 0 ? times[0]! : about.watermark!;
    const last = flat.rows > 0 ? times[flat.rows - 1]! : first;
    const { segmentBytes, segmentSpan, segmentBytesLeast } = this.#settings;
    const full = this.#batches > 0 && this.#segment!.size >= segmentBytes;
    const worth = this.#segment!.size >= segmentBytesLeast;
    const over = worth && flat.rows > 0 && this.#since !== undefined && first - this.#since >= segmentSpan;
    if (full || over) this.open({ ...this.#head!, row: this.row });
    if (flat.rows > 0) this.#since ??= first;
    this.#batches++;
    const parts = batchMessage(flat, this.#layout!, { epoch, row: this.row, ...about });
    this.#segment!.append(parts, { row: this.row, rows: flat.rows, first, last });
    this.row += flat.rows;
  }

  write(): void {
    this.#segment?.write();
  }

  async flush(): Promise<void> {
    await this.#segment?.flush();
  }

  end(): void {
    const segment = this.#segment;
    if (!segment) return;
    this.#segment = undefined;
    segment.end(this.row);
    this.#closedBytes += segment.size;
    // The timer does not see a closed segment any more; its bytes go to the disk before its file is closed.
    void this.#closing(segment);
  }

  #closings: Promise<void>[] = [];
  async #closing(segment: SegmentWriter): Promise<void> {
    const closing = segment.flush().finally(() => segment.close());
    this.#closings.push(closing);
    await closing.catch(() => undefined);
    this.#closings = this.#closings.filter((other) => other !== closing);
  }

  /** Until the segments that were ended are on the disk and closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closings);
  }

  abandon(): void {
    this.#segment?.close();
    this.#segment = undefined;
  }
}

/** One stream with its levels. */
class StreamWriter {
  readonly #settings: WriterSettings;
  readonly #rows: SegmentsWriter;
  readonly #levelWriters = new Map<number, SegmentsWriter>();
  /** Schemas of the levels that have a block in this epoch. */
  readonly #openLevels = new Map<number, Schema>();
  #opening: Opening | undefined;
  #layout: Layout | undefined;
  #cutter: Cutter | undefined;
  #levels: LevelBuilder | undefined;
  /** Next row to come. */
  #next = 0;

  constructor(stream: string, settings: WriterSettings) {
    this.#settings = settings;
    this.#rows = new SegmentsWriter(path(settings.directory, "streams", folderOf(stream)), settings);
  }

  open(opening: Opening): void {
    const { stream, epoch, row, derived, schema, references } = opening;
    const sameEpoch = this.#opening?.epoch === epoch;
    if (!sameEpoch) this.endEpoch();
    this.#opening = opening;
    this.#layout = layoutOf(schema);
    this.#rows.open({ stream, epoch, row, derived, schema, ...(references && { references }) });
    this.#next = row;
    this.#cutter = derived ? new Cutter(this.#layout, { pane: this.#settings.pane }) : undefined;
    if (!sameEpoch) this.#levels = new LevelBuilder(schema, row);
  }

  append(rows: Rows): void {
    const { stream, epoch } = this.#opening!;
    if (rows.row !== this.#next) {
      throw new RunError(
        `${stream}, epoch ${epoch}: row ${rows.row} came where row ${this.#next} was expected`,
      );
    }
    this.#next += rows.rows;
    const flat = flatOf(rows);
    if (this.#cutter) {
      if (rows.rows > 0) for (const cut of this.#cutter.take(flat)) this.#write(cut, {});
      const complete = this.#cutter.advance(rows.watermark);
      if (complete) this.#write(complete, {});
    } else this.#write(flat, { watermark: rows.watermark, state: rows.state });
  }

  #write(flat: Flat, about: Omit<BatchHead, "epoch" | "row">): void {
    const row = this.#rows.row;
    this.#rows.append(flat, about);
    this.#levels!.add(flat, this.#layout!, row);
    this.#writeLevels(false);
  }

  #writeLevels(all: boolean): void {
    const { stream, epoch, derived, schema } = this.#opening!;
    for (const { k, row, columns } of this.#levels!.take({ all })) {
      let writer = this.#levelWriters.get(k);
      if (!writer) {
        writer = new SegmentsWriter(
          path(this.#settings.directory, "levels", folderOf(stream), String(k).padStart(2, "0")),
          this.#settings,
        );
        this.#levelWriters.set(k, writer);
      }
      let levels = this.#openLevels.get(k);
      if (!levels) {
        levels = levelSchema(schema, k);
        writer.open({ stream, epoch, row, derived, schema: levels });
        this.#openLevels.set(k, levels);
      }
      writer.append(flatten(columns, layoutOf(levels), stream), {});
    }
  }

  write(): Position {
    this.#rows.write();
    for (const writer of this.#levelWriters.values()) writer.write();
    const { stream, epoch } = this.#opening!;
    return { stream, epoch, row: this.#rows.row, bytes: this.#rows.bytes };
  }

  async flush(): Promise<Position> {
    const { stream, epoch } = this.#opening!;
    const position = { stream, epoch, row: this.#rows.row, bytes: this.#rows.bytes };
    await this.#rows.flush();
    await this.#rows.closed();
    return position;
  }

  /** Writes what waits, and ends the segments. */
  endEpoch(): void {
    if (!this.#opening) return;
    const rest = this.#cutter?.end();
    if (rest) this.#write(rest, {});
    this.#writeLevels(true);
    this.#rows.end();
    for (const writer of this.#levelWriters.values()) writer.end();
    this.#openLevels.clear();
  }

  async closed(): Promise<void> {
    await this.#rows.closed();
    for (const writer of this.#levelWriters.values()) await writer.closed();
  }

  abandon(): void {
    this.#rows.abandon();
    for (const writer of this.#levelWriters.values()) writer.abandon();
  }
}

/** Takes messages in order, answers through `reply`. */
export function startWriter(
  options: WriterOptions,
  reply: (message: FromWriter) => void,
  disk: Disk = realDisk,
): (message: ToWriter) => void {
  const settings: WriterSettings = {
    directory: options.directory,
    disk,
    segmentBytes: options.segmentBytes,
    segmentSpan: BigInt(Math.round(options.segmentSpan_s * 1e9)),
    segmentBytesLeast: options.segmentBytesLeast,
    pane: BigInt(Math.round(options.pane_s * 1e9)),
  };
  const streams = new Map<string, StreamWriter>();
  const channels = new Map<number, StreamWriter>();
  let failed = false;
  let flushing: Promise<void> | undefined;

  const fail = (error: unknown): void => {
    if (failed) return;
    failed = true;
    const { code, path: file } = error as NodeJS.ErrnoException;
    const where = file ? ` (${file})` : "";
    const message = error instanceof RunError || code === undefined
      ? `recording stopped: ${(error as Error).message}`
      : `recording into ${options.directory} stopped: ${inWords(error)}${where}. What was recorded so far is safe; make room, or give another directory, and start a new run`;
    reply({ kind: "failed", message });
  }; // prettier-ignore

  const attempt = (act: () => void): void => {
    if (failed) return;
    try {
      act();
    } catch (error) {
      fail(error);
    }
  };

  const flush = async (): Promise<void> => {
    const positions: Position[] = [];
    for (const stream of streams.values()) positions.push(await stream.flush());
    if (positions.length > 0) reply({ kind: "durable", positions });
  };
  const timer = setInterval(() => {
    if (failed) return;
    flushing ??= flush().catch(fail).finally(() => (flushing = undefined)); // prettier-ignore
  }, options.flushEvery_ms);
  timer.unref();

  function append(posts: readonly (Opening | Rows)[]): void {
    const touched = new Set<StreamWriter>();
    let bytes = 0;
    const write = (): void => {
      const positions = [...touched].map((stream) => stream.write());
      touched.clear();
      reply({ kind: "written", bytes, positions });
      bytes = 0;
    };
    for (const post of posts) {
      if (post.kind === "open") {
        let stream = streams.get(post.stream);
        if (!stream) streams.set(post.stream, (stream = new StreamWriter(post.stream, settings)));
        stream.open(post);
        channels.set(post.channel, stream);
        touched.add(stream);
      } else {
        const stream = channels.get(post.channel)!;
        stream.append(post);
        touched.add(stream);
        bytes += post.bytes;
        if (bytes >= WRITE_BYTES) write();
      }
    }
    write();
  }

  async function close(id: number): Promise<void> {
    clearInterval(timer);
    await flushing;
    attempt(() => {
      const positions: Position[] = [];
      for (const stream of streams.values()) {
        stream.endEpoch();
        positions.push(stream.write());
      }
      reply({ kind: "written", bytes: 0, positions });
    });
    if (failed) for (const stream of streams.values()) stream.abandon();
    try {
      const positions: Position[] = [];
      for (const stream of streams.values()) {
        await stream.closed();
        positions.push(await stream.flush());
      }
      if (!failed) reply({ kind: "durable", positions });
    } catch (error) {
      fail(error);
    }
    reply({ kind: "done", id });
  }

  return (message) => {
    if (message.kind === "append") attempt(() => append(message.posts));
    else if (message.kind === "drain") reply({ kind: "done", id: message.id });
    else void close(message.id);
  };
}

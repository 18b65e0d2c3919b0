/**
 * The recorder as the graph sees it: hands rows to a thread of its own, and hears what has been written.
 *
 * Numbers are copied once, into a block that moves to the thread; what lies in a SharedArrayBuffer is not copied.
 * Nothing here waits: who must bound memory looks at `pendingBytes`.
 */
import { existsSync, readdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Batch } from "../batch.ts";
import type { FrameReference } from "../define.ts";
import { emptyMinMax } from "../min-max.ts";
import type { MinMax, ReadRange } from "../run-view.ts";
import { threadUrl } from "../thread-url.ts";
import type { Field, Schema } from "../wire/schema.ts";
import { flatten, layoutOf, type Layout } from "./layout.ts";
import { LEVELS } from "./levels.ts";
import { lock } from "./lock.ts";
import { padded } from "./message.ts";
import { minMax, type Span } from "./min-max.ts";
import { readRows } from "./reader.ts";
import { referenceSchema, withReferences, type Resolve } from "./reference.ts";
import { inWords, RunError } from "./run-error.ts";
import { folderOf } from "./segment.ts";
import { StreamFiles } from "./stream-files.ts";
import {
  startWriter,
  type FromWriter,
  type Opening,
  type Position,
  type Rows,
  type ToWriter,
  type WriterOptions,
} from "./writer.ts";

export interface RecorderOptions {
  /** The run's. */
  readonly directory: string;
  /** How often what was written is flushed to the disk. */
  readonly flushEvery_ms?: number;
  /** A segment ends after so many bytes, */
  readonly segmentBytes?: number;
  /** or so much event time. */
  readonly segmentSpan_s?: number;
  /** if it then has so many bytes: a slow stream would else have a segment for every few rows. */
  readonly segmentBytesLeast?: number;
  /** Event time, counted from 1970, after which a batch of a derived stream ends. */
  readonly pane_s?: number;
  /** False writes in the caller's thread. */
  readonly inThread?: boolean;
  /** For `read`, of frames that are recorded by reference. */
  readonly resolve?: Resolve;
}

export interface AppendOptions {
  /** Made by an operator: cut by its rows alone, and its watermarks are not recorded. */
  readonly derived: boolean;
  /** Record the images that `batch.reference` names as where they lie. */
  readonly byReference?: boolean;
}

export interface RecorderPosition {
  readonly stream: string;
  readonly epoch: number;
  /** Next row after the last that the operating system has: it outlives this process. */
  readonly row: number;
  /** Next row after the last that the disk has: it outlives the machine. */
  readonly durableRow: number;
  readonly bytes: number;
}

export interface Recorder {
  /**
   * Batches of a stream in row order. Throws where the rows are not what the schema says: they are not recorded then,
   * and the next batch begins at the same row. After a failure, or when closed, it does nothing.
   */
  append(batch: Batch, how: AppendOptions): void;
  /** Bytes that the writer has not taken yet. Rows that wait for their pane to end (4 MB a stream, at most) do not count. */
  readonly pendingBytes: number;
  acknowledged(stream: string): { readonly epoch: number; readonly row: number } | undefined;
  /** Calls with the next row after the last written, each time that some were; the result ends it. */
  onAcknowledged(listener: (stream: string, epoch: number, row: number) => void): () => void;
  /** Calls once when nothing can be recorded any more, with a sentence for the person who runs it. */
  onFailure(listener: (error: Error) => void): void;
  /** What is acknowledged, while recording goes on. */
  read(stream: string, range?: ReadRange & { readonly heartbeats?: boolean }): AsyncIterable<Batch>;
  minMax(stream: string, column: string, span: Span): Promise<MinMax>;
  positions(): RecorderPosition[];
  /** Until everything appended is written (of derived streams, the batches that are complete). Rejects after a failure. */
  drain(): Promise<void>;
  /** Writes what is open, flushes all to the disk and ends the thread. */
  close(): Promise<void>;
}

/** Posts are sent together at the end of the current turn, or at once when they hold so much. */
const POST_BYTES = 1024 * 1024;
/** Below this, copying shared memory costs less than sending a view of it. */
const SHARED_BYTES = 16 * 1024;

interface Channel {
  readonly number: number;
  readonly epoch: number;
  readonly byReference: boolean;
  readonly layout: Layout;
}

export async function createRecorder(options: RecorderOptions): Promise<Recorder> {
  const { directory, resolve } = options;
  const streamsDirectory = join(directory, "streams");
  let unlock: () => void;
  try {
    await mkdir(streamsDirectory, { recursive: true });
    if (readdirSync(streamsDirectory).length > 0)
      throw new RunError(`${directory} holds a recording already; give another directory`);
    unlock = lock(directory);
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(`cannot record into ${directory}: ${inWords(error)}`, { cause: error });
  }
  const writerOptions: WriterOptions = {
    directory,
    flushEvery_ms: options.flushEvery_ms ?? 100,
    segmentBytes: options.segmentBytes ?? 256e6,
    segmentSpan_s: options.segmentSpan_s ?? 600,
    segmentBytesLeast: options.segmentBytesLeast ?? 1 << 20,
    pane_s: options.pane_s ?? 1,
  };

  const channels = new Map<string, Channel>();
  const positions = new Map<string, RecorderPosition>();
  const listeners = new Set<(stream: string, epoch: number, row: number) => void>();
  const failureListeners: ((error: Error) => void)[] = [];
  const waiting = new Map<number, () => void>();
  const live = new Map<string, StreamFiles>();
  let failure: Error | undefined;
  let pending = 0;
  let posts: (Opening | Rows)[] = [];
  let postedBytes = 0;
  let nextChannel = 0;
  let nextId = 0;
  let closing: Promise<void> | undefined;

  const fail = (message: string): void => {
    if (failure) return;
    failure = new RunError(message);
    pending = 0;
    for (const listener of failureListeners) listener(failure);
  };

  function receive(message: FromWriter): void {
    switch (message.kind) {
      case "written":
        pending -= message.bytes;
        for (const position of message.positions) {
          positions.set(position.stream, { ...position, durableRow: durableOf(position) });
          for (const listener of listeners) listener(position.stream, position.epoch, position.row);
        }
        return;
      case "durable":
        for (const { stream, epoch, row } of message.positions) {
          const known = positions.get(stream);
          if (known?.epoch === epoch) positions.set(stream, { ...known, durableRow: row });
        }
        return;
      case "failed":
        return fail(message.message);
      case "done":
        waiting.get(message.id)?.();
        waiting.delete(message.id);
    }
  }
  const durableOf = ({ stream, epoch }: Position): number => {
    const known = positions.get(stream);
    return known?.epoch === epoch ? known.durableRow : 0;
  };

  let gone = false;
  let send: (message: ToWriter, blocks?: ArrayBuffer[]) => void;
  let end = async (): Promise<void> => undefined;
  if (options.inThread ?? true) {
    const worker = new Worker(threadUrl(import.meta.url, "runtime/journal/writer-thread.js"), {
      workerData: writerOptions,
      execArgv: [],
    });
    worker.on("message", receive);
    worker.on("error", (error) =>
      fail(`recording into ${directory} stopped: its thread failed: ${error.message}`),
    );
    worker.on("exit", () => {
      gone = true;
      fail(`recording into ${directory} stopped: its thread ended`);
      for (const done of waiting.values()) done();
    });
    send = (message, blocks) => worker.postMessage(message, blocks);
    end = async () => {
      worker.removeAllListeners("exit");
      await worker.terminate();
    };
  } else {
    send = startWriter(writerOptions, receive);
  }

  function post(): void {
    if (posts.length === 0) return;
    const blocks = posts.flatMap((post) => (post.kind === "rows" ? [post.block] : []));
    const message: ToWriter = { kind: "append", posts };
    posts = [];
    postedBytes = 0;
    send(message, blocks);
  }

  function enqueue(message: Opening | Rows): void {
    if (posts.length === 0) queueMicrotask(post);
    posts.push(message);
    if (message.kind === "rows" && (postedBytes += message.bytes) >= POST_BYTES) post();
  }

  function channelFor(batch: Batch, derived: boolean, reference: FrameReference | undefined): Channel {
    const { stream, epoch, row } = batch;
    const byReference = reference !== undefined;
    const open = channels.get(stream);
    // A heartbeat has no frames, and fits whatever the segment holds.
    if (open?.epoch === epoch && (open.byReference === byReference || batch.columns.time.length === 0))
      return open;
    const schema: Schema = reference ? referenceSchema(batch.schema, reference.column, stream) : batch.schema;
    const references: Record<string, Field> | undefined = reference && {
      [reference.column]: batch.schema.fields[reference.column]!,
    };
    const channel = { number: nextChannel++, epoch, byReference, layout: layoutOf(schema) };
    channels.set(stream, channel);
    enqueue({
      kind: "open",
      channel: channel.number,
      stream,
      epoch,
      row,
      derived,
      schema: plain(schema),
      ...(references && { references }),
    });
    return channel;
  }

  const ask = (kind: "drain" | "close"): Promise<void> =>
    new Promise((resolve) => {
      if (gone) return resolve();
      post();
      const id = nextId++;
      waiting.set(id, resolve);
      send({ kind, id });
    });

  /** Undefined while nothing of the stream is written. */
  const filesOf = (stream: string): StreamFiles | undefined => {
    let files = live.get(stream);
    if (!files) {
      const folder = folderOf(stream);
      if (!existsSync(join(streamsDirectory, folder))) return undefined;
      live.set(stream, (files = StreamFiles.live(join(streamsDirectory, folder), `streams/${folder}`)));
    }
    files.refresh();
    return files;
  };

  return {
    append(batch, { derived, byReference = false }) {
      if (failure) return;
      const { row, watermark, state, stream } = batch;
      const reference = byReference && batch.columns.time.length > 0 ? batch.reference : undefined;
      const channel = channelFor(batch, derived, reference);
      const columns = reference ? withReferences(batch.columns, batch.schema, reference) : batch.columns;
      const { rows, buffers } = flatten(columns, channel.layout, stream);
      const packed = pack(buffers);
      pending += packed.bytes;
      enqueue({ kind: "rows", channel: channel.number, row, rows, watermark, state, ...packed });
    },
    get pendingBytes() {
      return pending;
    },
    acknowledged: (stream) => positions.get(stream),
    onAcknowledged(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onFailure(listener) {
      failureListeners.push(listener);
      if (failure) listener(failure);
    },
    async *read(stream, range = {}) {
      const files = filesOf(stream);
      if (files) yield* readRows(files, range, { heartbeats: range.heartbeats ?? false, resolve });
    },
    async minMax(stream, column, span) {
      const levels = new Map<number, StreamFiles>();
      for (const k of LEVELS) {
        const name = `levels/${folderOf(stream)}/${String(k).padStart(2, "0")}`;
        let files = live.get(name);
        if (!files) live.set(name, (files = StreamFiles.live(join(directory, name), name)));
        files.refresh();
        levels.set(k, files);
      }
      const files = filesOf(stream);
      return files ? minMax(files, levels, column, span) : emptyMinMax(span);
    },
    positions: () => [...positions.values()],
    async drain() {
      if (!failure) await ask("drain");
      if (failure) throw failure;
    },
    close() {
      closing ??= (async () => {
        await ask("close");
        failure ??= new RunError("the recorder is closed");
        await end();
        unlock();
      })();
      return closing;
    },
  };
}

/** A schema without what a thread cannot be sent. */
const plain = (schema: Schema): Schema => ({ fields: schema.fields, metadata: schema.metadata });

/** Copies buffers into one block, each at a multiple of 8 bytes; those in shared memory are sent as they are. */
function pack(buffers: readonly Uint8Array[]): Pick<Rows, "block" | "lengths" | "shared" | "bytes"> {
  const isShared = (bytes: Uint8Array): boolean =>
    bytes.buffer instanceof SharedArrayBuffer && bytes.length >= SHARED_BYTES;
  const lengths = buffers.map(({ length }) => length);
  const bytes = lengths.reduce((sum, length) => sum + length, 0);
  const shared = buffers.some(isShared)
    ? buffers.map((bytes) => (isShared(bytes) ? bytes : undefined))
    : undefined;
  const block = Buffer.allocUnsafeSlow(
    buffers.reduce((sum, buffer) => sum + (isShared(buffer) ? 0 : padded(buffer.length)), 0),
  );
  let at = 0;
  for (const buffer of buffers) {
    if (isShared(buffer)) continue;
    block.set(buffer, at);
    at += padded(buffer.length);
  }
  return { block: block.buffer as ArrayBuffer, lengths, bytes, ...(shared && { shared }) };
}

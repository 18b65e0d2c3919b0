/**
 * One recorded stream of a source, played back: the same rows, watermarks and epochs that were recorded, at any
 * speed. What was decided live (late, idle) is read, not decided again.
 */
import { BEGIN_OF_TIME } from "./batch.ts";
import type { Batch } from "./batch.ts";
import type { Pacer } from "./pacer.ts";
import type { Stream } from "./stream.ts";
import type { Schema } from "./wire/schema.ts";

export interface RecordedStream {
  readonly stream: string;
  readonly epochs: readonly { readonly epoch: number; readonly schema: Schema }[];
}

export interface ReplayPumpOptions {
  readonly recorded: RecordedStream;
  readonly stream: Stream;
  readonly read: (range: { epoch: number; heartbeats: true }) => AsyncIterable<Batch>;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
  readonly turn: (pump: ReplayPump) => Promise<void>;
  /** Its watermark has moved. */
  readonly promised: (watermark: bigint) => void;
}

export class ReplayPump {
  readonly #options: ReplayPumpOptions;
  state: "open" | "ended" | "failed" = "open";
  error: Error | undefined;

  constructor(options: ReplayPumpOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.stream.name;
  }
  get watermark(): bigint {
    return this.#options.stream.watermark;
  }
  get streams(): Iterable<Stream> {
    return [this.#options.stream];
  }

  async run(): Promise<void> {
    const { recorded, stream, read, pacer, signal, turn, promised } = this.#options;
    try {
      outer: for (const { epoch, schema } of recorded.epochs) {
        stream.open(schema);
        for await (const batch of read({ epoch, heartbeats: true })) {
          await turn(this);
          const { time } = batch.columns;
          const at = time.length > 0 ? time[0]! : batch.watermark;
          const wait = at > BEGIN_OF_TIME && batch.state !== "ended" ? pacer.byTime(at) : undefined;
          if (wait) await wait;
          if (signal.aborted) break outer;
          if (time.length > 0) stream.append(batch.columns, batch.watermark, batch.reference);
          else if (batch.state !== "ended") stream.beat(batch.watermark, batch.state);
          promised(stream.watermark);
        }
      }
      this.state = "ended";
    } catch (error) {
      this.state = "failed";
      this.error = error as Error;
    }
    stream.end();
    promised(stream.watermark);
  }
}

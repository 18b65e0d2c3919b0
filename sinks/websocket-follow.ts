/**
 * One reader of one stream: what is already there, then what comes, in the same row numbers without gap or
 * overlap, however batches are cut. It is pulled: who is slow falls back on the run's memory and journal.
 */
import { cut, type Batch, type RunView } from "../runtime/index.ts";

/** Batches that are waited for here, beside those that the run keeps; over it the oldest are read again instead. */
const RECENT_BYTES = 8 << 20;
const RECENT_BATCHES = 4096;

export interface Start {
  readonly epoch: number;
  readonly row: number;
  /** Rows before the first at or after this time are left out. */
  readonly fromTime?: bigint;
}

export type Followed =
  | { readonly is: "batch"; readonly batch: Batch; readonly history: boolean }
  /** Rows from … to - 1 are neither in memory nor in the journal any more. */
  | { readonly is: "missing"; readonly epoch: number; readonly from: number; readonly to: number }
  /** All that there is has been given out; what comes now is new. */
  | { readonly is: "newest" };

/** Ends when the run has no more to say, or at `signal`. */
export async function* follow(
  run: RunView,
  stream: string,
  start: Start,
  signal: AbortSignal,
): AsyncGenerator<Followed> {
  const recent = new Recent(run, stream, signal);
  let { epoch, row } = start;
  let fromTime = start.fromTime;
  const pass = (batch: Batch): Batch => {
    const from = Math.max(0, row - batch.row);
    row = batch.row + batch.columns.time.length;
    return cut(batch, from, batch.columns.time.length);
  };
  try {
    while (!signal.aborted) {
      const next = recent.from(epoch, row);
      if (next && next.epoch === epoch && next.row <= row && fromTime === undefined) {
        recent.drop();
        yield { is: "batch", batch: pass(next), history: false };
        continue;
      }
      const seen = recent.seen;
      let advanced = false;
      for await (const batch of run.read(stream, {
        epoch,
        fromRow: row,
        ...(fromTime !== undefined && { fromTime }),
      })) {
        if (signal.aborted) return;
        if (batch.row > row && fromTime === undefined)
          yield { is: "missing", epoch, from: row, to: batch.row };
        fromTime = undefined;
        advanced = true;
        yield { is: "batch", batch: pass(batch), history: true };
      }
      if (advanced || recent.seen !== seen) continue;
      if (epoch < recent.epoch) [epoch, row] = [epoch + 1, 0];
      else if (next && fromTime === undefined) {
        // All that came is in memory or in the journal, so what lies between is in neither.
        yield { is: "missing", epoch, from: row, to: next.row };
        row = next.row;
      } else if (recent.ended) return;
      else {
        yield { is: "newest" };
        await recent.more(seen);
      }
    }
  } finally {
    recent.close();
  }
}

/** The newest batches of a stream as they come, in a bounded queue. */
class Recent {
  seen = 0;
  epoch: number;
  ended = false;
  #queue: Batch[] = [];
  #bytes = 0;
  #wake: (() => void) | undefined;
  readonly #close: () => void;

  constructor(run: RunView, stream: string, signal: AbortSignal) {
    const tail = run.tail(stream).subscribe({
      next: (batch) => this.#offer(batch),
      complete: () => this.#end(),
      error: () => this.#end(),
    });
    // Asked after the tail has begun, so that nothing can begin in between.
    this.epoch = Math.max(
      0,
      ...run
        .streams()
        .filter((info) => info.stream === stream)
        .map((info) => info.epoch),
    );
    const wake = (): void => this.#wake?.();
    signal.addEventListener("abort", wake);
    this.#close = () => {
      tail.unsubscribe();
      signal.removeEventListener("abort", wake);
    };
  }

  #offer(batch: Batch): void {
    this.seen++;
    this.epoch = Math.max(this.epoch, batch.epoch);
    this.#queue.push(batch);
    this.#bytes += batch.bytes;
    while (this.#queue.length > 1 && (this.#bytes > RECENT_BYTES || this.#queue.length > RECENT_BATCHES))
      this.drop();
    this.#wake?.();
  }

  #end(): void {
    this.seen++;
    this.ended = true;
    this.#wake?.();
  }

  /** The first batch with something at or after a position; heartbeats there count. */
  from(epoch: number, row: number): Batch | undefined {
    for (;;) {
      const head = this.#queue[0];
      if (!head) return undefined;
      const end = head.row + head.columns.time.length;
      const past =
        head.epoch < epoch || (head.epoch === epoch && (end < row || (end === row && head.row < row)));
      if (!past) return head;
      this.drop();
    }
  }

  drop(): void {
    this.#bytes -= this.#queue.shift()?.bytes ?? 0;
  }

  /** Resolves when something has come since `seen`, or at the signal. */
  async more(seen: number): Promise<void> {
    if (this.seen !== seen) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
  }

  close(): void {
    this.#close();
  }
}

/**
 * The last row before a time (of all, where there is none), found by halving over single rows; looked for in
 * `epoch`, then in those before it.
 */
export async function lastRow(
  run: RunView,
  stream: string,
  epoch: number,
  before?: bigint,
): Promise<Batch | undefined> {
  for (let e = epoch; e >= 0; e--) {
    const rows = run.streams().find((info) => info.stream === stream && info.epoch === e)?.rows;
    let best: Batch | undefined;
    const isBefore = async (row: number): Promise<boolean> => {
      for await (const batch of run.read(stream, { epoch: e, fromRow: row, toRow: row + 1 })) {
        if (before !== undefined && batch.columns.time[0]! >= before) return false;
        best = batch;
        return true;
      }
      // A row that has left memory lies before those that have not; of an earlier epoch, it is beyond the end.
      return rows !== undefined;
    };
    let low = -1;
    let high = rows ?? 1;
    if (rows === undefined) for (; await isBefore(high - 1); high *= 2) low = high - 1;
    else if (rows > 0 && (await isBefore(rows - 1))) return best;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (await isBefore(middle)) low = middle;
      else high = middle;
    }
    if (best) return best;
  }
  return undefined;
}

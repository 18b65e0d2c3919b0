/**
 * One stream's buckets for what the time axis shows. The live subscription always goes on filling its ring.
 * While the view stands still, a copy is shown; a zoom asks for its span in full resolution beside it, so that
 * going back to live needs no new data.
 */
import type { Client, Frame, Ms, Request, Subscription } from "./client/types.ts";
import { TraceBuffer } from "./trace-buffer.ts";
import type { TimeAxis } from "./time-axis.ts";

/** Buckets over the width on show: about one a pixel. */
export const POINTS = 1000;
/** What the whole run is taken for until its first row is known. */
const DAY: Ms = 86_400_000;

export interface TraceFeedOptions {
  readonly client: Client;
  readonly axis: TimeAxis;
  readonly stream: string;
  readonly columns: readonly string[];
  /** Called after new buckets have come, with a time that the newest row has reached. */
  readonly onData: (newest: Ms) => void;
}

export class TraceFeed {
  readonly #options: TraceFeedOptions;
  readonly #live = new TraceBuffer(3 * POINTS);
  readonly #liveSubscription: Subscription;
  readonly #unlisten: () => void;
  #held: TraceBuffer | undefined;
  #heldSubscription: Subscription | undefined;
  #width: Ms | "all" | undefined;
  /** Why the server could not go on where it stopped, where that happened. */
  gap: string | undefined;

  constructor(options: TraceFeedOptions) {
    this.#options = options;
    this.#width = this.#wantedWidth();
    this.#liveSubscription = options.client.subscribe(this.#liveRequest(), (frame) => this.#receive(frame));
    this.#unlisten = options.axis.onChange((change) => {
      // As time goes by, a young run becomes longer than the width that is followed.
      if (change === "view" || (change === "time" && options.axis.live)) this.#follow();
    });
    if (!options.axis.live) this.#follow();
  }

  /** What is drawn now. */
  get shown(): TraceBuffer {
    return this.#held ?? this.#live;
  }

  /** What has arrived, whether it is drawn or not. */
  get arrived(): TraceBuffer {
    return this.#live;
  }

  close(): void {
    this.#unlisten();
    this.#liveSubscription.close();
    this.#heldSubscription?.close();
  }

  #wantedWidth(): Ms | "all" {
    const { view, width } = this.#options.axis;
    if (view.kind === "follow") return width;
    return this.#width ?? view.to - view.from;
  }

  #liveRequest(): Request {
    const { stream, columns, axis } = this.#options;
    // A little more than is on show: streams end at different times.
    const width = typeof this.#width === "number" ? 1.1 * this.#width : DAY;
    const from = this.#width === "all" && Number.isFinite(axis.first) ? axis.first : -width;
    return { stream, columns, from, to: "live", maxPoints: POINTS };
  }

  #receive(frame: Frame): void {
    if (frame.kind === "gap") this.gap = frame.reason;
    if (frame.kind !== "trace") return;
    this.#live.push(frame);
    // The whole run grows: asked for again, it comes in buckets twice as wide.
    if (this.#width === "all" && this.#live.length > 2 * POINTS)
      this.#liveSubscription.change(this.#liveRequest());
    this.#options.onData(frame.lastTime ?? beginOfLast(this.#live));
  }

  #follow(): void {
    const { view, width } = this.#options.axis;
    if (view.kind === "follow") {
      this.#held = undefined;
      this.#heldSubscription?.close();
      this.#heldSubscription = undefined;
      if (width !== this.#width) {
        this.#width = width;
        this.#liveSubscription.change(this.#liveRequest());
      }
      return;
    }
    this.#held ??= this.#live.copy();
    if (view.why === "zoomed") this.#ask(view.from, view.to);
  }

  #ask(from: Ms, to: Ms): void {
    const { client, stream, columns, onData } = this.#options;
    const request: Request = { stream, columns, from, to, maxPoints: POINTS };
    if (this.#heldSubscription) {
      this.#heldSubscription.change(request);
      return;
    }
    this.#heldSubscription = client.subscribe(request, (frame) => {
      if (frame.kind === "gap") this.gap = frame.reason;
      if (frame.kind !== "trace" || !this.#held) return;
      this.#held.push(frame);
      onData(beginOfLast(this.#held));
    });
  }
}

/** Of history: when the last bucket begins, since its centre may lie ahead of its newest row. NaN where that cannot be told. */
function beginOfLast({ length, time }: TraceBuffer): Ms {
  return length > 1 ? (time[length - 1]! + time[length - 2]!) / 2 : NaN;
}

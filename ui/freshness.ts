/**
 * Is a stream as young as it usually is? Three states: fresh, late (over 1.5 of its own interval), stale (over 3).
 * Ages are by event time, so a run at 60 times the clock ages 60 times as fast.
 */
import type { Client, Ms } from "./client/types.ts";
import type { EventClock } from "./event-clock.ts";

export type Freshness = "fresh" | "late" | "stale" | "waiting" | "ended";

/** Learns how far apart the arrivals of a stream lie in event time. */
export class Cadence {
  readonly #gaps: Ms[] = [];
  #last: Ms = NaN;
  #next = 0;

  /** The newest row's time whenever it is looked at; looks without a new row say nothing. */
  see(lastTime: Ms): void {
    if (!Number.isFinite(lastTime) || lastTime === this.#last) return;
    if (lastTime > this.#last) {
      this.#gaps[this.#next++ % 32] = lastTime - this.#last;
    }
    this.#last = lastTime;
  }

  /** The interval that nine in ten of the last 32 arrivals kept; NaN until there were three. */
  get interval(): Ms {
    if (this.#gaps.length < 3) return NaN;
    const sorted = [...this.#gaps].sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) * 0.9)]!;
  }
}

export interface AgeOf {
  readonly lastTime: Ms;
  readonly interval: Ms;
  /** Event time now: the newest of the run, moved on by the clock since it came. */
  readonly now: Ms;
  readonly ended: boolean;
  /** Jitter of the way to the page, ms of event time, that is nobody's lateness. */
  readonly slack: Ms;
}

export function freshness({ lastTime, interval, now, ended, slack }: AgeOf): Freshness {
  if (ended) return "ended";
  if (!Number.isFinite(lastTime)) return "waiting";
  if (Number.isNaN(interval)) return "fresh";
  const age = now - lastTime;
  if (age > 3 * interval + slack) return "stale";
  return age > 1.5 * interval + slack ? "late" : "fresh";
}

/** The way to the page and its ticks, ms by the clock: nobody's lateness. */
const SLACK: Ms = 1500;

export interface StreamAge {
  readonly state: Freshness;
  readonly age: Ms;
  /** What it usually keeps; NaN until that is learnt. */
  readonly interval: Ms;
}

/** The ages of all streams against the intervals that each was seen to keep. */
export class StreamAges {
  readonly #client: Pick<Client, "connection" | "catalogue">;
  readonly #clock: Pick<EventClock, "now" | "speed">;
  readonly #cadences = new Map<string, Cadence>();

  constructor(client: Pick<Client, "connection" | "catalogue">, clock: Pick<EventClock, "now" | "speed">) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Learns from the catalogue as it stands. */
  look(): void {
    for (const { stream, lastTime } of this.#client.catalogue.values()) {
      let cadence = this.#cadences.get(stream);
      if (!cadence) this.#cadences.set(stream, (cadence = new Cadence()));
      cadence.see(lastTime);
    }
  }

  of(stream: string): StreamAge {
    const entry = this.#client.catalogue.get(stream);
    const interval = this.#cadences.get(stream)?.interval ?? NaN;
    // While the server is out of reach nobody knows how old anything is.
    const lastTime = entry && this.#client.connection.state === "open" ? entry.lastTime : NaN;
    const { now, speed } = this.#clock;
    const state = freshness({
      lastTime,
      interval,
      now,
      ended: entry?.state === "ended",
      slack: SLACK * Math.max(1, speed),
    });
    return { state, age: Math.max(0, now - lastTime), interval };
  }
}

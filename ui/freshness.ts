/**
 * Is a stream as young as it usually is? Three states: fresh, late (over 1.5 of its own interval), stale (over 3).
 * Ages are by event time, so a run at 60 times the clock ages 60 times as fast.
 *
 * Where the source says when its next rows are due, that is what counts: a file that is written every half minute holds
 * rows a second apart. Fresh until due, late after that, stale once overdue by 3 times what it had been ahead. What is
 * made of such a source's rows is not late before the source is.
 */
import type { Client, Ms } from "./client/types.ts";
import type { EventClock } from "./event-clock.ts";
import { nodeOf, upstreamOf } from "./wiring.ts";

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

/** The same by what the source says: seconds until rows are due, now and when that was said. */
export function freshnessByDue(due_s: number, ahead_s: number, slack_s: number): Freshness {
  if (due_s >= -slack_s) return "fresh";
  // Overdue since before the page was opened: nobody knows the interval.
  return ahead_s > 0 && -due_s > 3 * ahead_s + slack_s ? "stale" : "late";
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
  readonly #client: Pick<Client, "connection" | "catalogue" | "health" | "manifest">;
  readonly #clock: Pick<EventClock, "now" | "speed">;
  readonly #cadences = new Map<string, Cadence>();
  /** By stream: seconds until its rows are due, and how many it were when that was said. */
  readonly #due = new Map<string, { now_s: number; ahead_s: number }>();

  constructor(
    client: Pick<Client, "connection" | "catalogue" | "health" | "manifest">,
    clock: Pick<EventClock, "now" | "speed">,
  ) {
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
    for (const { stream, due_s } of this.#client.health) {
      if (due_s === undefined || Number.isNaN(due_s)) this.#due.delete(stream);
      else {
        const before = this.#due.get(stream);
        const again = before === undefined || due_s > before.now_s;
        this.#due.set(stream, { now_s: due_s, ahead_s: again ? Math.max(0, due_s) : before.ahead_s });
      }
    }
  }

  of(stream: string): StreamAge {
    const entry = this.#client.catalogue.get(stream);
    const interval = this.#cadences.get(stream)?.interval ?? NaN;
    // While the server is out of reach nobody knows how old anything is.
    const lastTime = entry && this.#client.connection.state === "open" ? entry.lastTime : NaN;
    const { now, speed } = this.#clock;
    const due = this.#due.get(stream);
    const ended = entry?.state === "ended";
    const byDue = due !== undefined && !ended && Number.isFinite(lastTime);
    let state = byDue
      ? freshnessByDue(due.now_s, due.ahead_s, SLACK / 1000)
      : freshness({ lastTime, interval, now, ended, slack: SLACK * Math.max(1, speed) });
    if ((state === "late" || state === "stale") && this.#waitsForItsSource(stream)) state = "fresh";
    const usual = byDue && due.ahead_s > 0 ? 1000 * due.ahead_s : interval;
    // Since rows came last; of what was overdue before the page was opened, at the least.
    const age = byDue ? 1000 * (due.ahead_s - due.now_s) : now - lastTime;
    return { state, age: Math.max(0, age), interval: usual };
  }

  /** It is made of a source whose rows are not due yet. */
  #waitsForItsSource(stream: string): boolean {
    const sources = upstreamOf(this.#client.manifest, nodeOf(stream)).flatMap((one) => this.#due.get(one) ?? []);
    return sources.length > 0 && sources.every(({ now_s, ahead_s }) => freshnessByDue(now_s, ahead_s, SLACK / 1000) === "fresh");
  } // prettier-ignore
}

/** What is counted of each stream and edge, for the page and for the `health` stream of a recording. */
import type { OperatorNode } from "./operator-node.ts";
import type { Stream } from "./stream.ts";
import type { RunHealth } from "./run-view.ts";
import { BEGIN_OF_TIME, END_OF_TIME } from "./batch.ts";

interface Counted {
  rows: number;
  at_ms: number;
  rate: number;
}

export class HealthMeter {
  readonly #counted = new Map<string, Counted>();

  measure(
    streams: Iterable<Stream>,
    nodes: readonly OperatorNode[],
    late: (stream: string) => number,
    due_s: (stream: string) => number | undefined,
  ): RunHealth[] {
    const now = performance.now();
    // `health` goes by the clock, all others by event time.
    const all = [...streams].filter((stream) => stream.schema && stream.name !== "health");
    let newest = BEGIN_OF_TIME;
    for (const { lastTime } of all.map((stream) => stream.info()!))
      if (lastTime !== undefined && lastTime > newest) newest = lastTime;
    const parked = new Set(nodes.filter((node) => node.state === "parked").map((node) => node.name));
    return all.map((stream) => {
      const counted = this.#counted.get(stream.name) ?? { rows: 0, at_ms: now, rate: 0 };
      const elapsed_s = (now - counted.at_ms) / 1000;
      if (elapsed_s >= 0.4) {
        const rate = (stream.totalRows - counted.rows) / elapsed_s;
        this.#counted.set(stream.name, { rows: stream.totalRows, at_ms: now, rate });
        counted.rate = rate;
      } else if (!this.#counted.has(stream.name))
        this.#counted.set(stream.name, { ...counted, rows: stream.totalRows });
      const { watermark } = stream;
      const behind =
        watermark === BEGIN_OF_TIME || watermark >= newest || watermark === END_OF_TIME
          ? 0
          : Number(newest - watermark) / 1e9;
      const due = stream.state === "ended" ? undefined : due_s(stream.name);
      return {
        stream: stream.name,
        rate_per_s: counted.rate,
        lag_s: behind,
        gaps: stream.gaps,
        spills: [...stream.readers].reduce((n, reader) => n + reader.spills, 0),
        late: late(stream.name),
        ...(due !== undefined && { due_s: due }),
        state: parked.has(stream.name.split(".")[0]!) ? "parked" : stream.state,
      };
    });
  }
}

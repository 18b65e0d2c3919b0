/** The newest value of single columns, for the numbers that one says on the telephone. */
import type { Client, Ms, Subscription } from "./client/types.ts";

export interface Latest {
  readonly value: number;
  readonly time: Ms;
}

export class LatestValues {
  readonly #client: Client;
  readonly #values = new Map<string, Latest>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #onTime: (time: Ms) => void;

  constructor(client: Client, onTime: (time: Ms) => void) {
    this.#client = client;
    this.#onTime = onTime;
  }

  of(wanted: { readonly stream: string; readonly column: string } | undefined): Latest | undefined {
    return wanted && this.#values.get(`${wanted.stream}/${wanted.column}`);
  }

  /** Follows these columns and no others. */
  follow(wanted: readonly ({ readonly stream: string; readonly column: string } | undefined)[]): void {
    const byStream = new Map<string, Set<string>>();
    for (const one of wanted) {
      if (one) byStream.set(one.stream, (byStream.get(one.stream) ?? new Set()).add(one.column));
    }
    const keys = new Map(
      [...byStream].map(([stream, columns]) => [
        `${stream}:${[...columns].sort().join()}`,
        { stream, columns },
      ]),
    );
    for (const [key, subscription] of this.#subscriptions) {
      if (!keys.has(key)) {
        subscription.close();
        this.#subscriptions.delete(key);
      }
    }
    for (const [key, { stream, columns }] of keys) {
      if (this.#subscriptions.has(key)) continue;
      const request = { stream, columns: [...columns], from: 0, to: "live" } as const;
      this.#subscriptions.set(key, this.#client.subscribe(request, (frame) => {
        if (frame.kind !== "rows" || frame.time.length === 0) return;
        const last = frame.time.length - 1;
        const time = frame.time[last]!;
        for (const column of columns) {
          const values = frame.columns[column] as ArrayLike<number | bigint> | undefined;
          if (values) this.#values.set(`${stream}/${column}`, { value: Number(values[last]), time });
        }
        this.#onTime(time);
      })); // prettier-ignore
    }
  }

  close(): void {
    this.follow([]);
  }
}

/**
 * Event time now: that of the newest row, moved on by the clock since it came, at the speed of the run.
 * It serves ages alone; nothing that is measured depends on it.
 */
import type { Client, Ms } from "./client/types.ts";

export class EventClock {
  readonly #client: Pick<Client, "connection" | "catalogue">;
  readonly #clock: () => number;
  #newest: Ms = NaN;
  #seenAt = 0;

  constructor(
    client: Pick<Client, "connection" | "catalogue">,
    clock: () => number = () => performance.now(),
  ) {
    this.#client = client;
    this.#clock = clock;
  }

  see(time: Ms): void {
    if (!(time > this.#newest) && !Number.isNaN(this.#newest)) return;
    this.#newest = time;
    this.#seenAt = this.#clock();
  }

  /** Event time that passes in a second of the clock, s; 0 while nothing is known to pass. */
  get speed(): number {
    const { connection, catalogue } = this.#client;
    if (connection.state !== "open" || !Number.isFinite(connection.speed)) return 0;
    const running = [...catalogue.values()].some(({ state, derived }) => !derived && state !== "ended");
    return running ? connection.speed : 0;
  }

  get now(): Ms {
    return this.#newest + (this.#clock() - this.#seenAt) * this.speed;
  }
}

/**
 * What a column read at a time: its last value before it, asked of the server. One question at a time, and not more
 * than ten a second; until there is an answer for a new time, the last one stands, with the time that it is for.
 */
import type { Client, Ms, Subscription } from "./client/types.ts";

export interface Answer {
  /** The time that was asked for. */
  readonly at: Ms;
  readonly value: number;
}

const PAUSE_ms = 100;
/** Where there is no row before the time, no answer comes. */
const PATIENCE_ms = 5000;

export class AsOf {
  readonly #client: Pick<Client, "subscribe">;
  readonly #of: { readonly stream: string; readonly column: string };
  #answer: Answer | undefined;
  #asked: Ms | undefined;
  #wanted: Ms | undefined;
  #question: Subscription | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Pick<Client, "subscribe">, of: { readonly stream: string; readonly column: string }) {
    this.#client = client;
    this.#of = of;
  }

  /** The newest answer; it is for this time, or will be. */
  at(time: Ms): Answer | undefined {
    if (Number.isFinite(time) && time !== this.#asked) {
      this.#wanted = time;
      this.#ask();
    }
    return this.#answer;
  }

  close(): void {
    clearTimeout(this.#pause);
    this.#question?.close();
    this.#wanted = this.#question = this.#pause = undefined;
  }

  #ask(): void {
    if (this.#question || this.#wanted === undefined) return;
    const at = (this.#asked = this.#wanted);
    this.#wanted = undefined;
    let answered = false;
    let waited_ms = 0;
    const goOn = (): void => {
      waited_ms += PAUSE_ms;
      if (!answered && waited_ms < PATIENCE_ms) {
        this.#pause = setTimeout(goOn, PAUSE_ms);
        return;
      }
      this.#question?.close();
      this.#question = this.#pause = undefined;
      this.#ask();
    };
    this.#pause = setTimeout(goOn, PAUSE_ms);
    const { stream, column } = this.#of;
    // Of all rows up to the time the last; `to` itself is left out.
    this.#question = this.#client.subscribe(
      { stream, columns: [column], from: 0, to: at + 1e-3 },
      (frame) => {
        if (frame.kind !== "rows" || frame.time.length === 0) return;
        answered = true;
        const values = frame.columns[column] as ArrayLike<number>;
        this.#answer = { at, value: Number(values[frame.time.length - 1]) };
      },
    );
  }
}

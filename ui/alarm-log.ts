/**
 * What the streams with a `level` have said: when each watch and each alarm began and ended, by event time.
 * Only changes are kept, at most `KEPT` of them, the oldest leaving first.
 */
import type { Ms, RowsFrame } from "./client/types.ts";

export type Level = "watch" | "alarm";

export interface Onset {
  readonly stream: string;
  readonly level: Level;
  readonly time: Ms;
  readonly value: number;
  readonly limit: number;
  readonly unit: string;
  /** When the level changed again; absent while it stands. */
  until?: Ms;
}

const KEPT = 1000;
const LEVELS: readonly (Level | undefined)[] = [undefined, "watch", "alarm"];

interface Position {
  epoch: number;
  row: number;
  level: Level | undefined;
  current: Onset | undefined;
}

export class AlarmLog {
  onsets: readonly Onset[] = [];
  readonly #positions = new Map<string, Position>();

  /** Takes rows in order; rows that were seen before (a connection that came back) change nothing. True on news. */
  take(stream: string, { epoch, row, time, columns, schema }: RowsFrame): boolean {
    const at = this.#positions.get(stream) ?? { epoch, row: -1, level: undefined, current: undefined };
    if (epoch < at.epoch) return false;
    if (epoch > at.epoch) Object.assign(at, { epoch, row: -1 });
    this.#positions.set(stream, at);
    const numbers = (name: string) => columns[name] as ArrayLike<number> | undefined;
    const [levels, values, limits] = [numbers("level"), numbers("value"), numbers("limit")];
    if (!levels) return false;
    let news = false;
    for (let i = 0; i < time.length; i++) {
      if (row + i <= at.row) continue;
      at.row = row + i;
      const level = LEVELS[Math.min(levels[i]!, 2)];
      if (level === at.level) continue;
      news = true;
      at.level = level;
      if (at.current) at.current.until = time[i]!;
      at.current = level && {
        stream,
        level,
        time: time[i]!,
        value: values?.[i] ?? NaN,
        limit: limits?.[i] ?? NaN,
        unit: schema.fields["value"]?.unit ?? "",
      };
      if (at.current) this.onsets = [...this.onsets.slice(1 - KEPT), at.current];
    }
    return news;
  }

  /** The rows that come next stand in no order with those before: a server that could not go on says so. */
  forget(stream: string): void {
    const at = this.#positions.get(stream);
    if (at) Object.assign(at, { epoch: 0, row: -1 });
  }

  /** Alarms that stand now, newest first. */
  get standing(): readonly Onset[] {
    return this.onsets.filter(({ level, until }) => level === "alarm" && until === undefined).reverse();
  }
}

/**
 * What the streams with a `level` have said: when each watch and each alarm began and ended, by event time.
 * Only changes are kept, at most `KEPT` of them, the oldest leaving first.
 */
import type { Fields } from "../runtime/wire/schema.ts";
import type { Ms, RowsFrame } from "./client/types.ts";
import { statisticsOf } from "./panels.ts";
import { titleOf } from "./quantities.ts";

export type Level = "watch" | "alarm";

export interface Onset {
  readonly stream: string;
  readonly level: Level;
  /** When it was raised. */
  readonly time: Ms;
  /** When what raised it began, as far as the operator could estimate; else when it was raised. */
  readonly began: Ms;
  /** What the pipeline file calls the alarm, or else its stream. */
  readonly name: string;
  /** What was watched, and its value when it was raised. */
  readonly title: string;
  readonly value: number;
  readonly unit: string;
  /** What was held against the limit: a statistic, or the value itself. */
  readonly statistic: number;
  readonly limit: number;
  readonly limitUnit: string;
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

  /** Columns that are read of such a stream. */
  static columnsOf(fields: Fields): string[] {
    const wanted = ["level", "value", "limit", "onset_seconds", ...statisticsOf(fields)];
    return [...new Set(wanted)].filter((name) => name in fields);
  }

  /**
   * Takes rows in order; rows that were seen before (a connection that came back) change nothing. True on news.
   * `origin` is the run's, from which `onset_seconds` counts; NaN while it is not known. `name` is the alarm's.
   */
  take(
    stream: string,
    { epoch, row, time, columns, schema }: RowsFrame,
    { origin, name }: { readonly origin: Ms; readonly name: string },
  ): boolean {
    const at = this.#positions.get(stream) ?? { epoch, row: -1, level: undefined, current: undefined };
    if (epoch < at.epoch) return false;
    if (epoch > at.epoch) Object.assign(at, { epoch, row: -1 });
    this.#positions.set(stream, at);
    const numbers = (name: string) => columns[name] as ArrayLike<number> | undefined;
    const [levels, values, limits, onsets] = ["level", "value", "limit", "onset_seconds"].map(numbers);
    const { fields } = schema;
    const statistics = statisticsOf(fields).map(numbers);
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
        began: beganAt(onsets?.[i], origin) ?? time[i]!,
        name,
        title: fields["value"] ? titleOf("value", fields["value"]) : stream,
        value: values?.[i] ?? NaN,
        unit: fields["value"]?.unit ?? "",
        statistic: Math.max(...statistics.map((of) => of?.[i] ?? NaN)),
        limit: limits?.[i] ?? NaN,
        limitUnit: fields["limit"]?.unit ?? "",
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

function beganAt(seconds: number | undefined, origin: Ms): Ms | undefined {
  const began = origin + (seconds ?? NaN) * 1000;
  return Number.isFinite(began) ? began : undefined;
}

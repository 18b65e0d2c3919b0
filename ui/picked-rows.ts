/**
 * Rows of one slice of a stream that carries several. The server gives the newest row of all; so this asks for the
 * number of the slice alone to hear that there are new ones, and then for the rows of that time, of which it hands on
 * the one wanted. One question at a time: what comes meanwhile waits as one wish, the newest.
 */
import type { Client, Ms, Request, RowsFrame, Subscription } from "./client/types.ts";

export interface Pick {
  readonly column: string;
  readonly value: number;
}

/** A row may bear a time that a double in ms cannot hold; a µs to either side finds it. */
const NEAR: Ms = 1e-3;
/** Newer times that may come before a question without an answer is given up. */
const PATIENCE = 8;

export function picking(client: Client, { column, value }: Pick): globalThis.Pick<Client, "subscribe"> {
  return {
    subscribe(request, receive) {
      let wish = request;
      let wanted: Ms | undefined;
      let asked: Ms | undefined;
      let passed = 0;
      let dropped = 0;
      let answer: Subscription | undefined;
      const pulseOf = (of: Request): Request => ({ ...of, columns: [column] });
      const end = (): void => {
        answer?.close();
        [answer, asked, passed] = [undefined, undefined, 0];
      };
      const ask = (): void => {
        if (wanted === undefined || asked !== undefined) return;
        const time = (asked = wanted);
        wanted = undefined;
        const { stream, columns = [] } = wish;
        const rows: Request = { stream, columns: [...new Set([...columns, column])], from: time - NEAR, to: time + 2 * NEAR, lossless: true }; // prettier-ignore
        answer = client.subscribe(rows, (frame) => {
          if (frame.kind !== "rows" || asked !== time) return;
          const at = Array.from(frame.columns[column] as ArrayLike<number>).lastIndexOf(value);
          if (at < 0) return;
          end();
          const row = rowOf(frame, at);
          receive({ ...row, dropped });
          dropped = 0;
          ask();
        });
      };
      const pulse = client.subscribe(pulseOf(request), (frame) => {
        if (frame.kind !== "rows") return receive(frame);
        if (frame.time.length === 0) return;
        if (wanted !== undefined) dropped++;
        wanted = frame.time[frame.time.length - 1]!;
        if (asked !== undefined && ++passed > PATIENCE) end();
        ask();
      });
      return {
        change(next) {
          end();
          wanted = undefined;
          wish = next;
          pulse.change(pulseOf(next));
        },
        close() {
          end();
          wanted = undefined;
          pulse.close();
        },
      };
    },
  };
}

/** One row of a frame, without the others. */
export function rowOf(frame: RowsFrame, at: number): RowsFrame {
  if (frame.time.length === 1) return frame;
  const n = frame.time.length;
  const columns = Object.fromEntries(
    Object.entries(frame.columns).map(([name, column]) => {
      if (Array.isArray(column)) return [name, [column[at]]];
      if (ArrayBuffer.isView(column)) {
        const values = column as Float32Array;
        const width = values.length / n;
        return [name, values.slice(at * width, (at + 1) * width)];
      }
      const { values, offsets } = column as { values: Float64Array; offsets: Int32Array };
      const [from, to] = [offsets[at]!, offsets[at + 1]!];
      return [name, { values: values.slice(from, to), offsets: Int32Array.of(0, to - from) }];
    }),
  );
  const { time_ns } = frame;
  return {
    ...frame, row: frame.row + at, time: frame.time.slice(at, at + 1), columns,
    ...(time_ns && { time_ns: time_ns.slice(at, at + 1) }),
  }; // prettier-ignore
}

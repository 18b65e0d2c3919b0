/** Sources and operators small enough to know every answer by heart. */
import { defineOperator, defineSource, integer, list, scalar, type SourceItem } from "../../runtime/index.ts";

export const S = 1_000_000_000n;
/** What `played` yields, by name. */
export const script: Record<string, SourceItem[]> = {};

/** Plays the items of `script[name]`. */
export const played = defineSource({
  name: "test/played",
  output: { values: { value: scalar("V") } },
  config: { script: list<string>(["a"]) },
  async *open({ script: [name] }) {
    for (const item of script[name as string] ?? []) yield item;
  },
});

export const item = (times: number[], values = times): SourceItem => ({
  rows: {
    values: { time: BigInt64Array.from(times, (t) => BigInt(t) * S), value: Float64Array.from(values) },
  },
});

/** Hands rows on, and reports each whose value is a multiple of three. */
export const picky = defineOperator({
  name: "test/picky",
  input: { values: { value: scalar("V") } },
  output: { values: { value: scalar("V") } },
  config: {},
  start: () => ({
    step({ values }, out) {
      out.values.put({ time: values.time, value: values.value });
      for (let i = 0; i < values.length; i++) {
        if (values.value[i]! % 3 === 0)
          out.fault(values.time[i]!, `${values.value[i]} is a multiple of three`);
      }
    },
  }),
});

export const doubled = defineOperator({
  name: "test/doubled",
  input: { values: { value: scalar("V") } },
  output: { values: { value: scalar("V") } },
  config: {},
  start: () => ({
    step({ values }, out) {
      out.values.put({ time: values.time, value: values.value.map((v) => 2 * v) });
    },
  }),
});

/** Sum per pane of `width` seconds, given out at the pane's end. */
export const summed = defineOperator({
  name: "test/summed",
  input: { values: { value: scalar("V") } },
  output: { sums: { value: scalar("V"), n: scalar("1") } },
  config: { width: integer(10) },
  start({ width }, { timeAt }) {
    let open: { pane: number; sum: number; n: number } | undefined;
    return {
      step({ values }, out, upTo) {
        const close = () => {
          if (!open) return;
          out.sums.add({ time: timeAt(open.pane * width), value: open.sum, n: open.n });
          open = undefined;
        };
        for (let i = 0; i < values.length; i++) {
          const pane = Math.floor(values.seconds[i]! / width);
          if (open && open.pane !== pane) close();
          open ??= { pane, sum: 0, n: 0 };
          open.sum += values.value[i]!;
          open.n++;
        }
        if (open && (open.pane + 1) * width <= upTo) close();
      },
      holds: () => (open ? open.pane * width : Infinity),
      save: () => open,
      load: (saved: typeof open) => void (open = saved),
    };
  },
});

/** Gives out the rows of two ports in the order that it gets them. */
export const interleaved = defineOperator({
  name: "test/interleaved",
  input: { left: { value: scalar("V") }, right: { value: scalar("V") } },
  output: { rows: { left: scalar("V"), right: scalar("V") } },
  config: {},
  start: () => ({
    step({ left, right }, out) {
      const rows = [
        ...Array.from({ length: left.length }, (_, i) => ({
          time: left.time[i]!,
          left: left.value[i]!,
          right: NaN,
        })),
        ...Array.from({ length: right.length }, (_, i) => ({
          time: right.time[i]!,
          left: NaN,
          right: right.value[i]!,
        })),
      ];
      for (const row of rows.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)))
        out.rows.add(row);
    },
  }),
});

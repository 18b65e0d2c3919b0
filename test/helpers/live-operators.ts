/** Operators whose work is dealt out by a list, and whose options change while they run; threads load them too. */
import {
  defineOperator,
  image,
  integer,
  label,
  list,
  quantity,
  scalar,
  WiringError,
} from "../../runtime/index.ts";

/**
 * For each entry a running sum of gain × value, given out after every so many rows, at the time of the row that came
 * first since; a person may change the gain, and how often. Tells of changes, so that a test sees where they fell.
 */
export const tallied = defineOperator({
  name: "test/tallied",
  input: { values: { value: scalar("V") } },
  output: (_, { gain }) => {
    if (gain === 13) throw new WiringError("gain: 13 brings bad luck");
    return {
      tallies: {
        entry: label(),
        sum: scalar(gain > 1000 ? "kV" : "V"),
        gain: scalar("1"),
        rows: scalar("1"),
      },
    };
  },
  config: {
    entries: list<string>([], { doc: "what is tallied" }),
    gain: quantity("1", 1, { doc: "of each value" }),
    every: integer(1, { min: 1, doc: "gives out after so many rows" }),
  },
  key: { list: "entries" },
  live: ["gain", "every"],
  start(config) {
    const { entries } = config;
    let gain = config.gain;
    let every = config.every;
    let state: { sums: number[]; rows: number; since?: { time: bigint; seconds: number } } = {
      sums: entries.map(() => 0),
      rows: 0,
    };
    return {
      step({ values }, out, upTo) {
        const give = (): void => {
          const { sums, rows, since } = state;
          if (!since) return;
          entries.forEach((entry, i) =>
            out.tallies.add({ time: since.time, entry, sum: sums[i]!, gain, rows }),
          );
          delete state.since;
        };
        for (let i = 0; i < values.length; i++) {
          const [time, seconds, value] = [values.time[i]!, values.seconds[i]!, values.value[i]!];
          if (value % 5 === 0) out.fault(time, `${value} is a multiple of five`);
          entries.forEach((entry, k) => {
            if ((value + entry.length) % 7 === 0) out.fault(time, `${entry}: ${value} does not suit it`);
            state.sums[k]! += gain * value * entry.length;
          });
          if (value % 3 === 0) out.fault(time, `${value} is a multiple of three`);
          state.rows++;
          state.since ??= { time, seconds };
          if (state.rows % every === 0) give();
        }
        if (upTo === Infinity) give();
      },
      holds: () => state.since?.seconds ?? Infinity,
      act({ time, seconds, changes }, out) {
        out.fault(time, `at ${seconds} s: ${Object.entries(changes).sort().join(" ")}`);
        gain = changes.gain ?? gain;
        every = changes.every ?? every;
      },
      save: () => structuredClone(state),
      load: (saved: typeof state) => void (state = saved),
    };
  },
});

/** Hands whole images on, once for each entry: what comes out lies in what came in. */
export const repeated = defineOperator({
  name: "test/repeated",
  input: { frames: { data: image("{count}") } },
  output: ({ frames }) => ({ images: { data: frames.data } }),
  config: { entries: list<string>([]) },
  key: { list: "entries" },
  start: ({ entries }) => ({
    step({ frames }, out) {
      for (let i = 0; i < frames.length; i++) {
        const { time, data } = frames.at(i);
        for (const _ of entries)
          out.images.put({ time: BigInt64Array.of(time), data: data as Float32Array<ArrayBuffer> });
      }
    },
  }),
});

/** What comes out has a column for each entry: it cannot be dealt out. */
export const lopsided = defineOperator({
  name: "test/lopsided",
  input: { values: { value: scalar("V") } },
  output: (_, { entries }) => ({ sums: Object.fromEntries(entries.map((entry) => [entry, scalar("V")])) }),
  config: { entries: list<string>([]) },
  key: { list: "entries" },
  start: () => ({ step: () => {} }),
});

/** Where the value lies beyond a limit that a person may move; keeps nothing between rows. */
export const clipped = defineOperator({
  name: "test/clipped",
  input: { values: { value: scalar("V") } },
  output: { values: { value: scalar("V"), limit: scalar("V") } },
  config: { limit: quantity("V", 100, { min: 0, doc: "values beyond it are cut" }) },
  key: "row",
  live: ["limit"],
  start(config) {
    let { limit } = config;
    return {
      step({ values }, out) {
        if (values.length === 0) return;
        const value = values.value.map((v) => Math.min(v, limit));
        out.values.put({ time: values.time, value, limit: new Float64Array(values.length).fill(limit) });
      },
      act({ time, changes }, out) {
        limit = changes.limit ?? limit;
        out.fault(time, `limit is ${limit} V`);
      },
    };
  },
});

import { Subject } from "rxjs";
import { expect, test } from "vitest";
import { charge } from "../../../operators/echem/charge.ts";
import { cycles } from "../../../operators/echem/cycles.ts";
import { steps } from "../../../operators/echem/steps.ts";
import { code, defineSource, scalar, type Columns, type SourceItem } from "../../../runtime/index.ts";
import { Run } from "../../../runtime/run.ts";
import { plan } from "../../helpers/graph.ts";
import { cell, constant, rest, without } from "./made-cells.ts";

/** One row at a time; how many rows of charge there are after each. */
async function rowByRow(echem: Columns): Promise<number[]> {
  const items$ = new Subject<SourceItem>();
  const counted = "step_count" in echem && { step_count: code() };
  const source = defineSource({
    name: "test/cycler",
    output: { echem: { voltage_volt: scalar("V"), current_ampere: scalar("A"), ...counted } },
    config: {},
    open: () => items$,
  });
  const run = new Run({
    plan: plan({
      sources: { cycler: { use: source } },
      operators: {
        steps: { use: steps, from: "cycler.echem" },
        cycles: { use: cycles, from: { echem: "cycler.echem", state: "steps.state" } },
        charge: { use: charge, from: { echem: "cycler.echem", state: "cycles.state" } },
      },
    }),
    mode: { kind: "live", speed: Infinity },
    origin: 0n,
  });
  const done = run.start();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  const handedOn = (): Promise<void> =>
    new Promise((resolve) => {
      const heard = run.stream("cycler.echem").appended$.subscribe(({ columns }) => {
        if (columns.time.length > 0) resolve(heard.unsubscribe());
      });
    });
  let rows = 0;
  run.stream("charge.charge").appended$.subscribe(({ columns }) => (rows += columns.time.length));
  const after: number[] = [];
  for (let i = 0; i < echem.time.length; i++) {
    const row = Object.entries(echem).map(([name, column]) => [name, (column as Float64Array).slice(i, i + 1)]); // prettier-ignore
    const heard = handedOn();
    items$.next({ rows: { echem: Object.fromEntries(row) as Columns } });
    await heard;
    await turn();
    after.push(rows);
  }
  items$.complete();
  expect((await done).failures).toEqual([]);
  return after;
}

const whole = cell([rest(12), constant(12, 1e-3), constant(12, -1e-3, [4, 3]), rest(6)], { dt_s: 60 });
const records = whole.time.length;

test("each record of a running test has its charge at once, where the cycler counts its steps", async () => {
  const after = await rowByRow(without(whole, "cycle_count") as unknown as Columns);
  expect(after).toEqual(Array.from({ length: records }, (_, i) => i + 1));
});

test("and where they are told by the current, but for the records of a new state that has yet to last", async () => {
  const after = await rowByRow(without(whole, "step_count", "cycle_count") as unknown as Columns);
  const lag = after.map((rows, i) => i + 1 - rows);
  expect(lag.slice(12).every((n) => n <= 1)).toBe(true);
  expect(lag.filter((n) => n === 1).length).toBeLessThan(15);
  expect(after.at(-1)).toBe(records);
});

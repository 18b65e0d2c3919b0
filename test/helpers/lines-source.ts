import { readFile } from "node:fs/promises";
import {
  code,
  curve,
  defineSource,
  image,
  REQUIRED,
  scalar,
  SourceError,
  text,
} from "../../runtime/index.ts";

/** A format of our own: "lines", its version, then one voltage a line, one nanosecond apart; some words do mischief. */
export const lines = defineSource({
  name: "test/lines",
  output: { echem: { voltage_volt: scalar("V") } },
  config: { path: text(REQUIRED) },
  claims: (head) => Buffer.from(head).toString().startsWith("lines"),
  async *open({ path }, { timezone }) {
    const [head = "", ...rows] = (await readFile(path, "utf8")).trimEnd().split("\n");
    if (head === "lines 9") throw new SourceError(`${path}: byte 6: version 9 is not known; expected 1`);
    const metadata = { format: "lines, version 1", time_basis: "zone assumed", timezone };
    yield { schema: { echem: { fields: { voltage_volt: scalar("V") }, metadata } } };
    for (const [i, row] of rows.entries()) {
      if (row === "tear") throw new SourceError(`${path}: byte 99: the file ends within a row`);
      if (row === "doubt") yield { faults: [{ time: 3n, what: `${path}: the clock was set by hand` }] };
      else if (row === "broken")
        yield {
          faults: [
            { time: 4n, what: `${path}: byte 12: no number; the row is left out`, count: 2, unread: true },
          ],
        };
      else if (row === "image")
        yield {
          schema: {
            echem: {
              fields: { data: image("m", { shape: [2, 3] }), force: curve("N"), index: code() },
              metadata,
            },
          },
        };
      else
        yield {
          rows: { echem: { time: BigInt64Array.of(BigInt(i)), voltage_volt: Float64Array.of(Number(row)) } },
        };
    }
  },
});

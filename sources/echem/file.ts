import { resolve } from "node:path";
import {
  defineSource,
  flag,
  quantity,
  record,
  REQUIRED,
  scalar,
  SourceError,
  text,
} from "../../runtime/index.ts";
import { filesOf, isPattern } from "../file-list.ts";
import { claimsEchem } from "./formats.ts";
import { follow } from "./follow.ts";
import { RowStream } from "./row-stream.ts";
import { readWhole } from "./whole.ts";
import { IMPEDANCE } from "./spectra.ts";

/**
 * A cycler's file, of any format that formats.ts lists, told by its content: whole as it stands at the start of the run,
 * or followed while the cycler writes it.
 *
 * `echem` has BDF's columns (test_time_second [s], voltage_volt [V], current_ampere [A], positive on charge) and
 * beside them all that the file holds, under names of its own with their units. Where a file has no current but
 * the charge passed since the row before, current is that over the time since then, as EC-Lab itself exports it.
 * `impedance` has one row a spectrum, where the file has any.
 *
 * Time: most files say when acquisition began, as local time without its zone; `timezone` says which. For a file without it (an
 * `.mpr` before its run has ended) the modification time stands in if it agrees with the day of its settings, else that day's
 * midnight does. `time_basis` says which it was, and a fault what may be wrong with it.
 *
 * Rows stand in the file's order. One whose test time lies before that of an earlier row comes too late for its
 * stream (`echem.late`), with a fault that counts them; nothing is sorted, since that would move measured rows
 * past each other without a sign. A row whose test time is no number is left out, with a fault.
 *
 * `follow: true` goes on while the file grows: each row once, as soon as it surely is whole. A file written anew is read anew, and
 * what was given out of it is not given out again. When its run has ended, the file of the next linked technique is taken
 * up (`cell_01_OCV_C01.mpr`, `cell_02_GCPL_C01.mpr`).
 */
export const echemFile = defineSource({
  name: "echem/file",
  doc: "Reads a cycler's file, and follows it while it is being written",
  output: {
    echem: { test_time_second: scalar("s"), voltage_volt: scalar("V"), current_ampere: scalar("A") },
    impedance: IMPEDANCE,
  },
  config: {
    path: text(REQUIRED, {
      doc: "the file, relative to the pipeline file; several by * and ? in its name follow one another in the order of their names",
    }),
    follow: flag(false, { doc: "goes on while the file grows, and takes up those that follow it" }),
    poll_every: quantity("s", 1, {
      min: 0.001,
      doc: "how often `follow` looks at the latest; on a local disk it is told of changes at once",
    }),
    ends_after: quantity("s", 0, {
      min: 0,
      doc: "a followed file that has not changed for so long has ended; 0: only where the file itself says so",
    }),
    columns: record({}, {
      doc: "of any CSV: what the file calls our columns, such as { test_time_second: \"Time (h)\", voltage_volt: \"U [V]\" }",
    }),
  },
  claims: claimsEchem,
  async *open({ path, follow: following, poll_every, ends_after, columns }, context) {
    const paths = await filesOf(path, context.directory);
    if (paths.length === 0 && !following) throw new SourceError(`${path}: no such file in ${context.directory}`);
    const rows = new RowStream(context);
    const name = (full: string): string => (isPattern(path) || full !== resolve(context.directory, path) ? full : path);
    if (!following) {
      for (const full of paths) yield* readWhole(full, name(full), rows, columns, context);
      return;
    }
    yield* follow({ path, first: paths, name, columns, poll_s: poll_every, endsAfter_s: ends_after }, rows, context);
  },
}); // prettier-ignore

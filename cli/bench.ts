import { cpus } from "node:os";
import type { Command } from "commander";
import { benchmarks } from "../bench/index.ts";
import { nearest } from "../runtime/index.ts";
import { CommandError, MISTAKE } from "./command-error.ts";
import { print, printJson, table, tell } from "./print.ts";

/** `operando bench`: measures on this machine; medians with their spread, each beside its baseline. */
export function addBench(program: Command): void {
  program
    .command("bench")
    .description("measures how fast this machine does what Operando does")
    .argument("[name]", `one of ${Object.keys(benchmarks).join(", ")}; all if not given`)
    .option("--json", "prints one JSON document", false)
    .action(async (name: string | undefined, { json }: { json: boolean }) => {
      if (name !== undefined && !(name in benchmarks)) {
        const near = nearest(name, Object.keys(benchmarks));
        throw new CommandError(
          `there is no benchmark ${name}${near ? `; did you mean ${near}?` : ""} There are: ${Object.keys(benchmarks).join(", ")}`,
          MISTAKE,
        );
      }
      const machine = {
        processor: cpus()[0]?.model ?? "unknown",
        cores: cpus().length,
        node: process.version,
      };
      const results: Record<string, unknown> = {};
      for (const [one, { about, run }] of Object.entries(benchmarks)) {
        if (name !== undefined && name !== one) continue;
        if (!json) await tell(`${one}: ${about}`);
        const measured = await run();
        results[one] = measured;
        if (json) continue;
        const rows = measured.map((m) => [
          m.name,
          number(m.value),
          m.unit,
          m.ratio === undefined ? "" : `${m.ratio.toFixed(2)} × baseline`,
          m.aim === undefined ? "" : `aim ${number(m.aim)}`,
          Object.entries(m.beside ?? {})
            .map(([what, value]) => `${what} ${number(value)}`)
            .join(", "),
          `${number(m.spread[0])} to ${number(m.spread[1])}, n ${m.n}`,
        ]);
        await print(`${table(rows, "  ")}\n`);
      }
      if (json) await printJson({ machine, results });
      else await tell(`${machine.processor}, ${machine.cores} cores, Node ${machine.node}`);
    });
}

const number = (x: number): string =>
  Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : x.toPrecision(3);

import { join, resolve } from "node:path";
import { InvalidArgumentError, type Command } from "commander";
import { collect } from "./check.ts";
import { loadPipeline } from "./pipeline.ts";
import { registry } from "./registry.ts";
import { carryOut } from "./start-run.ts";

/** `operando run`: runs a pipeline; ends by itself when all sources have ended; prints the run's directory last. */
export function addRun(program: Command): void {
  program
    .command("run")
    .description("runs a pipeline, records it, and prints the run's directory last")
    .argument("<pipeline>", "pipeline file, as examples/first-light.yaml")
    .option("--set <node.option=value>", "changes one value of the file; may be given several times", collect)
    .option(
      "--out <dir>",
      "records into this directory, in place of a new one in the pipeline's run.directory",
    )
    .option("--headless", "opens no view and ends with the last source", false)
    .option("--speed <n>", "event time per time of the clock, or max (default: max)", readSpeed)
    .action(
      async (
        file: string,
        {
          set = [],
          out,
          headless,
          speed = Infinity,
        }: { set?: string[]; out?: string; headless: boolean; speed?: number },
      ) => {
        const { plan, spec, directory } = await loadPipeline(file, set, registry);
        const simulated = plan.sources.every(({ definition }) => definition.name.startsWith("simulated/"));
        await carryOut({
        plan, spec, directory, headless,
        mode: { kind: simulated ? "simulated" : "live", speed },
        out: out ?? newRunDirectory(plan.run.directory, plan.run.name),
      }); // prettier-ignore
      },
    );
}

/** "60", "60x" or "max". */
export function readSpeed(text: string): number {
  if (text === "max") return Infinity;
  const speed = Number(text.replace(/x$/, ""));
  if (!(speed > 0)) throw new InvalidArgumentError("wanted a number above 0, such as 60, or max");
  return speed;
}

/** runs/2026-11-22T10-15-00_li-symmetric */
export function newRunDirectory(parent: string, name: string): string {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  return join(resolve(parent), `${stamp}_${name.replaceAll(/[^\w.-]+/g, "-")}`);
}

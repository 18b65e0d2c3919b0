import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { collect } from "./check.ts";
import { loadPipeline } from "./pipeline.ts";
import { registry } from "./registry.ts";
import { newRunDirectory, readSpeed } from "./run.ts";
import { carryOut } from "./start-run.ts";
import { packageFile } from "./version.ts";

interface Given {
  port: string;
  speed: number;
  scenario?: string;
  seed?: string;
  set?: string[];
  out?: string;
}

/** `operando demo`: a simulated cell with all instruments, live, in the browser; no configuration. */
export function addDemo(program: Command): void {
  program
    .command("demo")
    .description("shows a simulated cell with all its instruments, live in the browser")
    .option("--port <n>", "port of the page", "8080")
    .option("--speed <n>", "event time per time of the clock, or max", readSpeed, 60)
    .option("--scenario <name>", "what happens to the cell; operando list simulated/cell says which")
    .option("--seed <n>", "another seed gives another cell")
    .option("--set <node.option=value>", "changes one value of examples/first-light.yaml", collect)
    .option("--out <dir>", "records into this directory, in place of a new one in runs/")
    .action(async ({ port, speed, scenario, seed, set = [], out }: Given) => {
      const changes = [
        `view.port=${port}`,
        ...(scenario === undefined ? [] : [`cell.scenario=${scenario}`]),
        ...(seed === undefined ? [] : [`cell.seed=${seed}`]),
        ...set,
      ];
      const file = fileURLToPath(packageFile("examples/first-light.yaml"));
      const { plan, spec, directory } = await loadPipeline(file, changes, registry);
      await carryOut({
        plan, spec, directory,
        headless: false,
        mode: { kind: "simulated", speed },
        history_s: HISTORY_s,
        out: out ?? newRunDirectory("runs", plan.run.name),
        welcome: (addresses, recorded) => [...addresses, `Recording into ${recorded}`, "Ctrl-C stops."],
      }); // prettier-ignore
    });
}

/** The page opens with this much event time behind it, so that nothing is empty. */
const HISTORY_s = 2 * 3600;

import type { Command } from "commander";
import { loadPipeline } from "./pipeline.ts";
import { counted, tell } from "./print.ts";
import { registry } from "./registry.ts";

/** `operando check`: all mistakes of a pipeline file, none of it started. */
export function addCheck(program: Command): void {
  program
    .command("check")
    .description("finds all mistakes of a pipeline file and starts nothing")
    .argument("<pipeline>", "pipeline file, as examples/first-light.yaml")
    .option(
      "--set <node.option=value>",
      "changes one value of the file; may be given several times",
      collect,
      [],
    )
    .action(async (file: string, { set = [] }: { set?: string[] }) => {
      const { plan } = await loadPipeline(file, set, registry);
      const counts = [
        counted(plan.sources.length, "source"), counted(plan.operators.length, "operator"),
        counted(plan.alarms.length, "alarm"), counted(plan.sinks.length, "sink"),
      ]; // prettier-ignore
      await tell(`${file}: no mistakes (${counts.join(", ")})`);
    });
}

/** For options that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

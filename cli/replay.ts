import type { Command } from "commander";
import { openRun, recordedPorts } from "../runtime/journal/index.ts";
import { wire, type PipelineSpec } from "../runtime/index.ts";
import { readFrame } from "../sources/index.ts";
import { collect } from "./check.ts";
import { CommandError, FAILED, MISTAKE } from "./command-error.ts";
import { loadPipeline } from "./pipeline.ts";
import { tell } from "./print.ts";
import { registry } from "./registry.ts";
import { readSpeed } from "./run.ts";
import { carryOut } from "./start-run.ts";

interface Given {
  speed: number;
  with?: string;
  set?: string[];
  out?: string;
  headless: boolean;
}

/** `operando replay`: a recorded run through its own or another graph; with --out, what is derived is recorded. */
export function addReplay(program: Command): void {
  program
    .command("replay")
    .description("replays a recorded run, through its own or another graph")
    .argument("<run>", "directory of a recorded run")
    .option("--speed <n>", "event time per time of the clock, or max", readSpeed, 1)
    .option(
      "--with <pipeline>",
      "takes operators, alarms and sinks from this file; sources keep their recorded names",
    )
    .option("--set <node.option=value>", "with --with: changes one value of that file", collect)
    .option("--out <dir>", "records what is derived into this directory")
    .option("--headless", "opens no view and ends with the recording", false)
    .action(async (directory: string, { speed, with: pipeline, set = [], out, headless }: Given) => {
      const recording = await openRun(directory, { repair: true, resolve: readFrame }).catch(
        (error: Error) => {
          throw new CommandError(error.message, FAILED, { cause: error });
        },
      );
      for (const sentence of recording.recovered) await tell(sentence);
      // What a source's options name may be gone; what it gave is recorded.
      const recorded = (source: string) => recordedPorts(directory, source);
      const loaded =
        pipeline === undefined ? undefined : await loadPipeline(pipeline, set, registry, { recorded });
      const spec = loaded?.spec ?? (recording.manifest.pipeline as PipelineSpec);
      const { plan, problems } = wire(spec, registry, { recorded });
      if (!plan) {
        const list = problems.map(({ path, message }) => `${directory}: ${path.join(".")}: ${message}`);
        throw new CommandError(
          [...list, "This run was recorded with another version; give a pipeline with --with."].join("\n"),
          MISTAKE,
        );
      }
      const missing = unrecorded(plan, recording.streams.map(({ stream }) => stream)); // prettier-ignore
      if (missing.length > 0) throw new CommandError(missing.join("\n"), MISTAKE);
      try {
        await carryOut({
          plan,
          spec,
          directory: loaded?.directory ?? directory,
          headless,
          out,
          recording,
          mode: { kind: "replay", speed },
        });
      } finally {
        await recording.close();
      }
    });
}

/** What the graph reads of the sources and the recording does not hold. */
function unrecorded(
  plan: NonNullable<ReturnType<typeof wire>["plan"]>,
  recorded: readonly string[],
): string[] {
  const made = new Set(plan.operators.map(({ name }) => name));
  const problems: string[] = [];
  for (const { name, inputs } of plan.operators) {
    for (const [port, stream] of Object.entries(inputs)) {
      if (made.has(stream.split(".")[0]!) || recorded.includes(stream)) continue;
      const node = stream.split(".")[0]!;
      // A port of a recorded source may have stayed empty.
      if (recorded.some((other) => other.startsWith(`${node}.`))) continue;
      problems.push(
        `operators.${name}.from.${port}: ${stream} is not in the recording, which holds ${recorded.filter((other) => other.includes(".")).join(", ")}`,
      );
    }
  }
  return problems;
}

/** A small graph of test sources and operators, run to its end in memory. */
import type { Batch } from "../../runtime/batch.ts";
import { concat, type Columns } from "../../runtime/columns.ts";
import type { AnyOperator, AnySource, Registry } from "../../runtime/define.ts";
import { Run, type RunOptions } from "../../runtime/run.ts";
import { wire, type PipelineSpec, type Plan } from "../../runtime/wiring.ts";

export interface TestPipeline {
  sources: Record<string, Record<string, unknown> & { use: AnySource }>;
  operators?: Record<
    string,
    {
      use: AnyOperator;
      from: string | Record<string, string>;
      with?: Record<string, unknown>;
      place?: string;
      record?: boolean;
    }
  >;
  alarms?: PipelineSpec["alarms"];
}

export function plan({ sources, operators = {}, alarms = {} }: TestPipeline): Plan {
  const registry: Registry = {
    sources: [...new Set(Object.values(sources).map(({ use }) => use))],
    operators: [...new Set(Object.values(operators).map(({ use }) => use))],
    sinks: [],
  };
  const spec: PipelineSpec = {
    run: { name: "test", directory: "runs" },
    experiment: {},
    sources: Object.fromEntries(
      Object.entries(sources).map(([name, { use, ...rest }]) => [name, { use: use.name, with: rest }]),
    ),
    operators: Object.fromEntries(
      Object.entries(operators).map(([name, node]) => [
        name,
        { ...node, use: node.use.name, with: node.with ?? {} },
      ]),
    ),
    alarms,
    sinks: {},
  };
  const { plan: made, problems } = wire(spec, registry);
  if (!made) throw new Error(problems.map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n"));
  return made;
}

/** Runs to the end and gives back all rows of all streams. */
export async function runToEnd(
  pipeline: TestPipeline,
  options: Partial<RunOptions> = {},
): Promise<{
  run: Run;
  rows: Record<string, Columns>;
  batches: Record<string, Batch[]>;
  failures: readonly { node: string; error: Error }[];
}> {
  const run = new Run({ plan: plan(pipeline), mode: { kind: "live", speed: Infinity }, ...options });
  const batches: Record<string, Batch[]> = {};
  const watched = new Set<string>();
  const watch = (name: string): void => {
    if (watched.has(name)) return;
    watched.add(name);
    run.stream(name).appended$.subscribe((batch) => {
      if (batch.columns.time.length > 0) (batches[name] ??= []).push(batch);
    });
  };
  for (const { stream } of run.streams()) watch(stream);
  for (const { name, ports } of run.plan.sources)
    for (const port in ports) {
      watch(`${name}.${port}`);
      watch(`${name}.${port}.late`);
    }
  run.streams$.subscribe(({ stream }) => watch(stream));
  const { failures } = await run.start();
  const rows = Object.fromEntries(
    Object.entries(batches).map(([name, list]) => [
      name,
      concat(
        list.map(({ columns }) => columns),
        list[0]!.schema.fields,
      ),
    ]),
  );
  return { run, rows, batches, failures };
}

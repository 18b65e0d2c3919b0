/**
 * Puts a run together and sees it through: recorder, graph, threads, sinks, the person's Ctrl-C, the manifest.
 * `run`, `replay` and `demo` differ only in what they hand in.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createRecorder, writeManifest, type Manifest, type RecordedRun } from "../runtime/journal/index.ts";
import {
  Run,
  startInThreads,
  threadUrl,
  formatTime,
  type Plan,
  type PipelineSpec,
  type RunView,
  type SinkHandle,
} from "../runtime/index.ts";
import { readFrame } from "../sources/index.ts";
import { CommandError, FAILED, MISTAKE } from "./command-error.ts";
import { makeDirectory } from "./make-directory.ts";
import { print, tell } from "./print.ts";
import { Progress } from "./progress.ts";
import { operandoVersion } from "./version.ts";

export interface RunRequest {
  readonly plan: Plan;
  readonly spec: PipelineSpec;
  /** What relative paths of the pipeline file are relative to. */
  readonly directory: string;
  readonly mode: RunView["mode"];
  readonly history_s?: number;
  readonly headless: boolean;
  /** Directory to record into; undefined records into one that is removed at the end. */
  readonly out: string | undefined;
  /** In place of the sources. */
  readonly recording?: RecordedRun;
  /** Said once everything is open. */
  readonly welcome?: (lines: readonly string[], directory: string | undefined) => readonly string[];
}

/** Runs to the end. Throws a CommandError with exit code 1 where the run failed. */
export async function carryOut(request: RunRequest): Promise<void> {
  const { plan, spec, recording, mode, headless } = request;
  const directory =
    request.out === undefined ? await mkdtemp(join(tmpdir(), "operando-")) : resolve(request.out);
  const made = await makeDirectory(directory).catch((error: NodeJS.ErrnoException) => {
    const why =
      error.code === "ENOTDIR" || error.code === "EEXIST"
        ? "part of its path is a file, not a directory"
        : error.message;
    throw new CommandError(`cannot record into ${directory}: ${why}`, FAILED, { cause: error });
  });
  const recorder = await createRecorder({ directory, resolve: readFrame }).catch((error: Error) => {
    throw new CommandError(error.message, FAILED, { cause: error });
  });
  let manifest: Manifest = {
    operando: operandoVersion(),
    node: process.version,
    name: plan.run.name,
    origin: String(recording?.manifest.origin ?? plan.run.origin ?? ""),
    started: new Date().toISOString(),
    mode: mode.kind,
    pipeline: spec,
    experiment: plan.experiment,
    ...(recording && { replayOf: recording.directory }),
  };
  const run = new Run({
    plan, mode, recorder, recording,
    ...(request.history_s !== undefined && { history_s: request.history_s }),
    manifest: () => ({ ...manifest, directory: request.out === undefined ? undefined : directory }),
    origin: recording ? BigInt(recording.manifest.origin) : undefined,
    onOrigin: async (origin) => {
      manifest = { ...manifest, origin: String(origin) };
      await writeManifest(directory, manifest);
    },
    startElsewhere: startInThreads(threadUrl(import.meta.url, "cli/registry.js")),
    directory: request.directory,
  }); // prettier-ignore

  const progress = new Progress(run);
  let broken: Error | undefined;
  recorder.onFailure((error) => {
    broken = error;
    run.recorderFailed();
  });
  tellFaults(run, progress);
  run.acted$.subscribe(({ time, node, changes, by }) =>
    progress.say(
      `${by || "somebody"} changed ${node}: ${Object.entries(changes).map(([option, value]) => `${option} ${Number.isNaN(value) ? "not set" : typeof value === "object" ? JSON.stringify(value) : String(value)}`).join(", ")}, from ${formatTime(time)} on`, // prettier-ignore
    ),
  );
  if (!recording) tellTimes(run, progress);

  const sinks: SinkHandle[] = [];
  const finish = async (ending: Manifest["ending"]): Promise<void> => {
    clearInterval(health);
    progress.close();
    await recorder.close().catch((error: Error) => (broken ??= error));
    manifest = { ...manifest, ended: new Date().toISOString(), ending: broken ? "failed" : ending! };
    if (request.out === undefined) await rm(directory, { recursive: true, force: true });
    else await writeManifest(directory, manifest).catch((error: Error) => (broken ??= error));
    await Promise.all(sinks.map((sink) => sink.close()));
  };
  const health = setInterval(() => run.recordHealth(recorder.positions()), HEALTH_ms);
  health.unref();

  try {
    for (const { definition, config } of plan.sinks) {
      if (!(headless && definition.name === "websocket"))
        sinks.push(await definition.open(config as never, run));
    }
  } catch (error) {
    await finish("failed");
    await rm(made ?? directory, { recursive: true, force: true });
    throw new CommandError((error as Error).message, MISTAKE, { cause: error });
  }
  const says = sinks.flatMap(({ says }) => (says === undefined ? [] : [says]));
  for (const line of request.welcome?.(says, request.out === undefined ? undefined : directory) ?? says)
    await tell(line);

  let stopped = false;
  const interrupt = (): void => {
    if (stopped) process.exit(130);
    stopped = true;
    progress.say("Stopping: the sources end, the graph drains. Once more to leave at once.");
    run.stop();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const { failures } = await run.start();
  // A view stays open on a finished run until the person has seen it.
  if (!headless && sinks.length > 0 && !stopped && !broken) {
    progress.say("All sources have ended; the page stays. Ctrl-C ends.");
    await new Promise<void>((done) => {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
      process.once("SIGINT", done).once("SIGTERM", done);
    });
  }
  process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  await finish(failures.length > 0 ? "failed" : stopped ? "stopped" : "finished");
  if (request.out !== undefined) await print(`${directory}\n`);
  if (broken)
    throw new CommandError(`${broken.message}\nWhat was recorded until then is kept.`, FAILED, {
      cause: broken,
    });
  if (failures.length > 0) {
    throw new CommandError(failures.map(({ node, error }) => `${node}: ${error.message}`).join("\n"), FAILED);
  }
}

/** Says of each stream of a source once where its times come from, unless the file says so itself. */
function tellTimes(run: Run, progress: Progress): void {
  const told = new Set<string>();
  run.streams$.subscribe(({ stream, derived, schema: { metadata } }) => {
    if (metadata["time_note"] !== undefined) return; // its source says more of it, as a fault
    const zone = metadata["timezone"];
    const how = {
      "zone assumed": `its times name no zone and are read as those of ${zone ?? "this machine"}; set timezone if that is wrong`,
      "first seen":
        "it has no times of measurement; they are those when it was first seen; set start to place it",
      "placed by hand": "placed in time by hand",
    }[metadata["time_basis"] ?? ""];
    const node = stream.split(".")[0]!;
    if (how === undefined || derived || metadata["simulated"] || told.has(node)) return;
    told.add(node);
    progress.say(`${node}: ${how}`);
  });
}

const HEALTH_ms = 10_000;
/** Faults of one node and kind that are told one by one; the rest is counted in the stream `faults`. */
const TOLD = 3;

function tellFaults(run: Run, progress: Progress): void {
  const told = new Map<string, number>();
  run.fault$.subscribe(({ node, time, what }) => {
    // The same fault with other numbers is the same kind.
    const kind = `${node} ${what.replaceAll(/[\d.]+/g, "#")}`;
    const n = (told.get(kind) ?? 0) + 1;
    told.set(kind, n);
    if (n <= TOLD)
      progress.say(`fault at ${formatTime(time)}: ${what.startsWith(`${node} `) ? "" : `${node}: `}${what}`);
    if (n === TOLD) progress.say(`${node}: further faults of this kind are counted in the stream faults`);
  });
  run.alarm$.subscribe(({ alarm, level, time, priority, deliver }) => {
    if (deliver.includes("log"))
      progress.say(
        `${["clear", "watch", "ALARM"][level] ?? level}: ${alarm} (${priority}) at ${formatTime(time)}`,
      );
  });
}

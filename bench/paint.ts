/**
 * From acquisition to paint: rows that are pushed at 30 Hz by eight instruments, each at its own moment, go through
 * a recorded run and the WebSocket to the built page in Chromium. Each row is stamped as it is acquired; each plot
 * notes the newest row that it draws, and the page says when the frame was painted. A row counts when its own plot
 * shows it first, so a row that another one overtook counts as late as that one.
 *
 * "Painted" is when the browser's main thread has handed the frame over; the screen follows with its next refresh.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright";
import { Observable } from "rxjs";
import { createRecorder, writeManifest } from "../runtime/journal/index.ts";
import { defineSource, integer, Run, scalar, wire, type SourceItem } from "../runtime/index.ts";
import { websocket } from "../sinks/index.ts";
import type { Measured } from "./measure.ts";

const PLOTS = 8;
const RATE_Hz = 30;
/** Rows of each plot that are left out, while the page and its compiler warm up, and that are counted. */
const WARM_UP = 5 * RATE_Hz;
const ROWS = 20 * RATE_Hz;
const AIM_ms = 50;
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

const now_ms = (): number => performance.timeOrigin + performance.now();

/** Instrument `number`: one row a period without drift, stamped with the clock; what was stamped is noted, ms. */
const channel = (stamped: number[][]) =>
  defineSource({
    name: "bench/channel",
    output: { values: { value: scalar("V") } },
    closed: true,
    config: { number: integer(0) },
    open: ({ number }) =>
      new Observable<SourceItem>((subscriber) => {
        const began_ms = now_ms() + ((number / PLOTS) * 1000) / RATE_Hz;
        let timer: NodeJS.Timeout;
        const wait = (n: number): void => {
          timer = setTimeout(
            () => {
              const row_ms = now_ms();
              stamped[number]!.push(row_ms);
              const time = BigInt64Array.of(BigInt(Math.round(row_ms * 1000)) * 1000n);
              subscriber.next({ rows: { values: { time, value: Float64Array.of(Math.sin(n / 10)) } } });
              wait(n + 1);
            },
            began_ms + (n * 1000) / RATE_Hz - now_ms(),
          );
        };
        wait(0);
        return () => clearTimeout(timer);
      }),
  });

/** Runs in the page: a new element on the same client, whose plots tell what they draw. Resolves to [row, painted] by plot, ms. */
const WATCH = `async ({ plots, rows }) => {
  const old = document.querySelector("op-app");
  const arrived = new Map();
  const client = {
    get connection() { return old.client.connection; },
    get catalogue() { return old.client.catalogue; },
    get health() { return old.client.health; },
    get manifest() { return old.client.manifest; },
    onChange: (listener) => old.client.onChange(listener),
    close: () => old.client.close(),
    subscribe: (request, receive) => old.client.subscribe(request, (frame) => {
      if (frame.kind === "trace" && frame.lastTime !== undefined) arrived.set(request.stream, frame.lastTime);
      receive(frame);
    }),
  };
  const app = document.createElement("op-app");
  app.client = client;
  old.replaceWith(app);
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const shown = () => [...app.renderRoot.querySelectorAll("op-trace")];
  while (shown().length < plots) {
    app.chosen = new Set(app.choice.more.map(({ id }) => id));
    await wait(100);
  }
  const drawn = new Map();
  for (const trace of shown()) {
    const { stream } = trace.panel.traces[0];
    const draw = trace.draw.bind(trace);
    trace.draw = () => { draw(); drawn.set(stream, arrived.get(stream)); };
  }
  const painted = new Map(shown().map((trace) => [trace.panel.traces[0].stream, []]));
  return new Promise((resolve) => {
    let waiting;
    app.loop.onDrawn(() => { waiting ??= new Map(drawn); });
    app.addEventListener("painted", ({ detail: { at } }) => {
      for (const [stream, row] of waiting ?? []) {
        const list = painted.get(stream);
        if (row !== undefined && row !== list.at(-1)?.[0]) list.push([row, at]);
      }
      waiting = undefined;
      if ([...painted.values()].every((list) => list.length >= rows)) resolve(Object.fromEntries(painted));
    });
  });
}`;

type Painted = Readonly<Record<string, readonly (readonly [row_ms: number, at_ms: number])[]>>;

/** ms by which the page's clock is ahead of ours: of the quickest of many questions, seen from its middle. */
async function clockAhead(page: Page): Promise<number> {
  let [quickest, ahead] = [Infinity, 0];
  for (let n = 0; n < 50; n++) {
    const asked = now_ms();
    const theirs = await page.evaluate<number>("performance.timeOrigin + performance.now()");
    const answered = now_ms();
    if (answered - asked < quickest) [quickest, ahead] = [answered - asked, theirs - (asked + answered) / 2];
  }
  return ahead;
}

const names = Array.from({ length: PLOTS }, (_, i) => `channel_${i}`);

/** ms from each row's acquisition until its plot has been painted with it or with a newer one. */
async function delays(playwright: typeof import("playwright")): Promise<number[]> {
  const browser = await playwright.chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  const stamped: number[][] = names.map(() => []);
  const source = channel(stamped);
  const directory = mkdtempSync(join(tmpdir(), "operando-bench-"));
  const { plan } = wire(
    {
      run: { name: "bench", directory: "runs" },
      experiment: {},
      sources: Object.fromEntries(
        names.map((name, number) => [name, { use: source.name, with: { number } }]),
      ),
      operators: {},
      alarms: {},
      sinks: {},
    },
    { sources: [source], operators: [], sinks: [] },
  );
  const origin = BigInt(Date.now()) * 1_000_000n;
  await writeManifest(directory, {
    operando: "bench",
    name: "bench",
    origin: String(origin),
    started: new Date().toISOString(),
  });
  const recorder = await createRecorder({ directory });
  const run = new Run({
    plan: plan!,
    mode: { kind: "live", speed: 1 },
    origin,
    recorder,
    manifest: () => ({ name: "bench", directory }),
  });
  const view = await websocket.open({ port: 0, host: "127.0.0.1", token: "", origins: [] }, run);
  const ended = run.start();
  try {
    const page = await browser.newPage({ viewport: { width: 1440, height: 1200 }, bypassCSP: true });
    await page.goto(view.says!);
    await page.waitForFunction(`document.querySelector("op-app")?.client.catalogue.size >= ${PLOTS}`);
    const painted = await page.evaluate<Painted>(
      `(${WATCH})(${JSON.stringify({ plots: PLOTS, rows: WARM_UP + ROWS })})`,
    );
    const ahead_ms = await clockAhead(page);
    return names.flatMap((name, i) => {
      const list = painted[`${name}.values`]!;
      const [first, last] = [list[WARM_UP]![0], list.at(-1)![0]];
      let seen = WARM_UP;
      return stamped[i]!.filter((row) => row >= first && row <= last).map((row) => {
        // A time on the wire is a whole µs.
        while (list[seen]![0] < row - 0.001) seen++;
        return list[seen]![1] - row - ahead_ms;
      });
    });
  } finally {
    run.stop();
    await ended;
    await view.close();
    await recorder.close();
    await browser.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Nothing, and a sentence on stderr, where there is no browser to paint in. */
export async function benchPaint(): Promise<Measured[]> {
  const playwright = await import("playwright").catch(() => undefined);
  if (!playwright || !existsSync(CHROMIUM)) {
    const missing = playwright
      ? `there is no Chromium at ${CHROMIUM}; install it, or say in CHROMIUM where it is`
      : "playwright is not installed; npm install playwright";
    process.stderr.write(`Acquisition to paint is not measured: ${missing}.\n`);
    return [];
  }
  const sorted = (await delays(playwright)).sort((a, b) => a - b);
  const share = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1]!;
  const rest = { unit: "ms", n: sorted.length, spread: [sorted[0]!, sorted.at(-1)!] as const };
  const name = `acquisition to paint, ${PLOTS} plots at ${RATE_Hz} Hz`;
  return [
    { name: `${name}, p50`, value: share(0.5), ...rest },
    { name: `${name}, p99`, value: share(0.99), aim: AIM_ms, ...rest },
  ];
}

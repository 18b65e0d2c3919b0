// The whole of it: a simulated cell through sources, graph, journal and wire to what a person sees in a browser.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newFolder, operando, setting, start } from "../helpers/installed-command.ts";
import { columnsOf, rowsOf } from "../helpers/recorded-files.ts";
import { launch } from "../ui/chromium.ts";

const PIPELINE = fileURLToPath(new URL("../../examples/first-light.yaml", import.meta.url));

let browser: Browser;
beforeAll(async () => void (browser = await launch()));
afterAll(() => browser?.close());

async function open(address: string): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(20_000);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => void (message.type() === "error" && errors.push(message.text())));
  await page.goto(address);
  return { page, errors };
}

const number = (page: Page, name: string) => page.locator(`op-header [data-number="${name}"]`);
const badge = (page: Page) => page.locator("op-header .badge");

const PREFIXES: Record<string, number> = { G: 1e9, M: 1e6, k: 1e3, m: 1e-3, µ: 1e-6, n: 1e-9 };

/** What "3.912 V" says, in the unit without its prefix, and half of what its last digit is worth. */
function shown(text: string): { value: number; half: number } {
  const [, sign, digits, prefix] = /^([+−]?)([\d.]+) ([GMkmµn]?)(?:V|A|Pa)$/.exec(text) ?? expect.fail(text);
  const factor = PREFIXES[prefix!] ?? 1;
  const decimals = digits!.split(".")[1]?.length ?? 0;
  return {
    value: (sign === "−" ? -1 : 1) * Number(digits) * factor,
    half: 0.5 * 10 ** -decimals * factor * (1 + 1e-9),
  };
}

function expectShown(text: string, recorded: number): void {
  const { value, half } = shown(text);
  expect(Math.abs(value - recorded), `${text} for ${recorded}`).toBeLessThanOrEqual(half);
}

/** What an element shows, its shadow included. */
const textOf = (page: Page, selector: string): Promise<string> =>
  page.locator(selector).first().evaluate(({ shadowRoot }) =>
    [...shadowRoot!.children].map((child) => (child as unknown as { innerText: string }).innerText).join("\n"),
  ); // prettier-ignore

/** As much of a canvas as is needed here; the types of a page are not those of a test. */
interface Canvas {
  readonly width: number;
  readonly height: number;
  getContext(kind: "2d"): {
    getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
  };
}

/** Colours of an element's canvas, every 13th pixel looked at. */
const colours = (page: Page, selector: string): Promise<number> =>
  page.locator(selector).first().locator("canvas").first().evaluate((element) => {
    const canvas = element as unknown as Canvas;
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, Math.max(1, width), Math.max(1, height));
    return new Set(new Uint32Array(data.buffer).filter((_, i) => i % 13 === 0)).size;
  }); // prettier-ignore

test("the page shows what was recorded, says that it is simulated, and raises the alarm", async () => {
  const directory = join(newFolder(), "run");
  await using running = start(
    "run", PIPELINE, "--out", directory,
    // Gas comes after two hours and a half; the instruments are slow ones, to be there soon.
    ...setting({
      "view.port": 0, "cell.duration": "2.6 h", "cell.curve_rate": "0.1 Hz", "cell.projection_rate": "0.1 Hz",
      "cell.angle_step": "20 deg", "cell.radiograph_interval": "600 s", "cell.topography_interval": "1000 s",
    }),
  ); // prettier-ignore
  const [address] = await running.says(/http:\/\/127\.0\.0\.1:\d+/);
  // The page is there from the start, and sees it all come.
  const { page, errors } = await open(address);
  await expect.poll(() => badge(page).innerText(), { timeout: 30_000 }).toBe("SIMULATED at full speed");
  await page.locator("op-alarm-strip .strip").waitFor({ timeout: 50_000 });
  await running.says(/All sources have ended; the page stays/);

  const last = async (stream: string, column: string): Promise<number> =>
    Number(((await columnsOf(directory, stream))![column] as Float64Array).at(-1));
  const { out } = await operando("export", directory, "--stream", "cell.echem", "--format", "csv");
  const [head, ...rows] = out
    .trimEnd()
    .split("\r\n")
    .map((line) => line.split(","));
  const exported = (name: string): number =>
    Number(rows.at(-1)![head!.findIndex((column) => column.startsWith(`${name} [`))]);
  await expect.poll(() => page.locator("op-header .sources li.ended").count()).toBeGreaterThan(5);
  await expect
    .poll(async () =>
      Math.abs(shown(await number(page, "voltage").innerText()).value - exported("voltage_volt")),
    )
    .toBeLessThan(1e-3);
  expectShown(await number(page, "voltage").innerText(), exported("voltage_volt"));
  expectShown(await number(page, "current").innerText(), exported("current_ampere"));
  expectShown(await number(page, "modulus").innerText(), await last("rolling.rolling", "median"));

  await expect.poll(() => colours(page, "op-tomography")).toBeGreaterThan(8);
  expect(await textOf(page, "op-tomography")).toMatch(/covered/);
  await expect.poll(() => colours(page, "op-trace")).toBeGreaterThan(8);

  const strip = await page.locator("op-alarm-strip .strip").innerText();
  expect(strip).toMatch(/ALARM\s+gas[^]*pressure.* over the limit of /);
  const alarms = await rowsOf(directory, "alarms");
  expect(alarms.at(-1)).toMatchObject({ alarm: "gas", level: 2 });
  expect(await page.title()).toMatch(/^\(1\) ▲ /);
  expect(errors).toEqual([]);

  running.kill("SIGINT");
  expect(await running.ended).toMatchObject({ code: 0, out: `${directory}\n` });
  expect(JSON.parse(readFileSync(join(directory, "run.json"), "utf8"))).toMatchObject({ ending: "finished" });
});

test("the demo lives in the page; after kill -9 the page says so, and what it showed is in the run", async () => {
  const directory = join(newFolder(), "run");
  await using running = start("demo", "--port", "0", "--out", directory);
  const [address] = await running.says(/http:\/\/127\.0\.0\.1:\d+/);
  const { page, errors } = await open(address);
  await expect.poll(() => badge(page).innerText(), { timeout: 30_000 }).toBe("SIMULATED 60×");
  // It opens with two hours behind it, and goes on.
  const voltage = () =>
    page.locator("op-header").evaluate((header) => ({ ...header.page.latest.of(header.choice.voltage)!, ...header.choice.voltage! }));
  await expect.poll(async () => (await voltage()).time, { timeout: 40_000 }).toBeGreaterThan(0);
  const opened = (await voltage()).time;
  await expect.poll(async () => (await voltage()).time, { timeout: 40_000 }).toBeGreaterThan(opened + 2000);
  await expect.poll(() => colours(page, "op-image"), { timeout: 20_000 }).toBeGreaterThan(8);
  await expect.poll(() => number(page, "modulus").innerText(), { timeout: 20_000 }).toMatch(/Pa$/);
  expect(errors).toEqual([]);

  const seen = await voltage();
  expect([seen.stream, seen.column]).toEqual(["cell.echem", "voltage_volt"]);
  const recordedUntil = async () => Number((await columnsOf(directory, seen.stream))?.time.at(-1) ?? 0) / 1e6;
  await expect.poll(recordedUntil, { timeout: 20_000 }).toBeGreaterThanOrEqual(seen.time);

  running.kill("SIGKILL");
  await running.ended;
  await expect.poll(() => textOf(page, "op-veil")).toMatch(/Connection lost[^]*The connection is lost/);
  await expect.poll(() => badge(page).innerText()).toBe("CONNECTION LOST");

  const recorded = (await columnsOf(directory, seen.stream))!;
  const values = recorded[seen.column] as Float64Array;
  const recordedAt = ({ time }: { time: number }): number | undefined =>
    values[recorded.time.findIndex((at) => Math.abs(Number(at) / 1e6 - time) < 1e-3)];
  expect(recordedAt(seen)).toBe(seen.value);
  // What came in the last moment may be on the screen and not yet on the disk; nothing else.
  const left = await voltage();
  if (left.time <= (await recordedUntil())) expect(recordedAt(left)).toBe(left.value);
  expectShown(await number(page, "voltage").innerText(), left.value);
}); // prettier-ignore

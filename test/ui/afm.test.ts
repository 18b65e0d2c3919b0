// A force microscope beside the cell, in a real browser: maps, the curves behind their pixels, drift, and lines.
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { COLUMNS, FRAME_ms, MAP_ms, modulusOf, ROWS } from "./fake-afm.ts";
import { fakePage, nameless, type Opened } from "./fake-page.ts";
import type {} from "./page/main.ts";

const openPage = fakePage();

async function open(viewport = { width: 1440, height: 1000 }): Promise<Opened> {
  const opened = await openPage("?afm&history_min=60", viewport);
  const { page } = opened;
  await image(page, "topography").scrollIntoViewIfNeeded();
  await expect.poll(() => labelOf(page, "Young's modulus")).toMatch(/from .* to .*GPa/);
  return opened;
}

const image = (page: Page, title: string) =>
  page.locator("op-image").filter({ has: page.getByRole("heading", { name: title, exact: true }) });
const labelOf = (page: Page, title: string) =>
  image(page, title).locator(".picture").getAttribute("aria-label");
const bar = (page: Page, title: string) => image(page, title).locator("op-histogram");
const curveHeader = async (page: Page) =>
  (await page.locator("op-curve header").innerText()).replaceAll(/\s+/g, " ");
const advance = (page: Page, ms: number) => page.evaluate((by) => window.fake.advance(by), ms);

/** Colour in the middle of a pixel of an image, seen from its upper left corner on the screen. */
async function colourAt(page: Page, title: string, x: number, y: number): Promise<number[]> {
  return image(page, title).evaluate(
    (element, [fx, fy]) => {
      const canvas = element.shadowRoot!.querySelector("canvas")!;
      const c = canvas.getContext("2d")!;
      // The picture is as wide or as high as its canvas: found by its aspect.
      const { row } = element as HTMLElementTagNameMap["op-image"];
      const [rows, columns] = row!.frame.schema.fields["data"]!.shape as [number, number];
      const strip = row!.frame.columns["duration"] ? 46 * devicePixelRatio : 0; // the potential of its lines
      const [width, height] = [canvas.width - strip, canvas.height];
      const wide = Math.min(width, (height * columns) / rows);
      const high = (wide * rows) / columns;
      const at = [(width - wide) / 2 + fx! * wide, (height - high) / 2 + fy! * high];
      return [...c.getImageData(Math.round(at[0]!), Math.round(at[1]!), 1, 1).data.slice(0, 3)];
    },
    [x, y] as const,
  );
}

/** Where a pixel of the map lies on the page; row 0 is at the bottom. */
async function mapPixel(page: Page, column: number, row: number): Promise<[number, number]> {
  const box = (await image(page, "Young's modulus").locator(".picture").boundingBox())!;
  const wide = Math.min(box.width, (box.height * COLUMNS) / ROWS);
  const high = (wide * ROWS) / COLUMNS;
  return [
    box.x + (box.width - wide) / 2 + ((column + 0.5) / COLUMNS) * wide,
    box.y + (box.height - high) / 2 + (1 - (row + 0.5) / ROWS) * high,
  ];
}

/** Maps that are complete after an hour. */
const MAPS = Math.floor(3_600_000 / MAP_ms);
const GPa = (column: number, row: number, map = MAPS - 1) => modulusOf(row * COLUMNS + column, map) / 1e9;

test("row 0 lies at the bottom where its y is the smallest", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  // Low in the first half of its rows, high in the second: yellow is above.
  const above = await colourAt(page, "topography", 0.5, 0.25);
  const below = await colourAt(page, "topography", 0.5, 0.65);
  expect(above[0]! + above[1]!).toBeGreaterThan(below[0]! + below[1]! + 200);
  expect(errors).toEqual([]);
});

test("how the values are spread, with the window of colours on it: by key, by pointer, and back", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  const map = bar(page, "Young's modulus");
  const [low, high] = [map.getByRole("slider").nth(0), map.getByRole("slider").nth(1)];
  const at = async () => ({ low: Number(await low.getAttribute("aria-valuenow")), high: Number(await high.getAttribute("aria-valuenow")) });
  const before = await at();
  // Two decades, from column to column.
  expect(before.low / 1e8).toBeCloseTo(1 + 0.01 * (MAPS - 1), 1);
  expect(before.high / 1e10).toBeCloseTo(1 + 0.01 * (MAPS - 1), 1);
  expect(await map.getByRole("button").allInnerTexts()).toEqual(["log"]);

  await low.focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowRight");
  await expect.poll(async () => (await at()).low).toBeGreaterThan(2 * before.low);
  await expect.poll(() => low.getAttribute("aria-valuetext")).toMatch(/^0\.\d+ GPa$/);
  expect((await at()).high).toBeCloseTo(before.high, -6);
  // The page's own arrows have not moved it.
  expect(await page.evaluate(() => window.app.axis.live)).toBe(true);
  const set = (await at()).low;
  // What is below the window has the lowest colour.
  expect(await colourAt(page, "Young's modulus", 0.5 / COLUMNS, 0.5)).toEqual([0x44, 0x01, 0x54]);
  // A newer map leaves it as it was set.
  await advance(page, MAP_ms);
  expect((await at()).low).toBe(set);

  // The window as a whole, by pointer.
  const plot = (await map.locator(".plot").boundingBox())!;
  await high.focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowLeft");
  await expect.poll(async () => (await at()).high).toBeLessThan(0.55 * before.high);
  const ratio = async () => ((at_) => at_.high / at_.low)(await at());
  const wide = await ratio();
  await page.mouse.move(plot.x + plot.width * 0.5, plot.y + 8);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * 0.6, plot.y + 8, { steps: 3 });
  await page.mouse.up();
  await expect.poll(async () => (await at()).low).toBeGreaterThan(set * 1.3);
  expect(await ratio()).toBeCloseTo(wide, 1);

  await map.getByRole("button", { name: "Automatic colours of Young's modulus" }).click();
  await expect.poll(async () => (await at()).low / before.low).toBeCloseTo(1.01, 1);

  await map.getByRole("button", { name: "Logarithmic colours" }).click();
  await expect.poll(() => map.getByRole("button", { name: "Logarithmic colours" }).getAttribute("aria-pressed")).toBe("false");
  // On a linear scale the lower decade is all but one colour.
  const inRow7 = (column: number) => colourAt(page, "Young's modulus", (column + 0.5) / COLUMNS, 4.5 / ROWS);
  const apart = async () => {
    const [a, b] = [await inRow7(0), await inRow7(5)];
    return Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));
  };
  await expect.poll(apart).toBeLessThan(20);
  // Of a relief there is no logarithm to choose.
  expect(await bar(page, "topography").getByRole("button").count()).toBe(0);
  expect(errors).toEqual([]);
}); // prettier-ignore

test("a click on a pixel shows the curve behind it with its fit, until it is let go; it follows the maps", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  expect(await curveHeader(page)).toMatch(/^force curve and fit/);
  await page.mouse.click(...(await mapPixel(page, 9, 7)));
  await expect.poll(() => curveHeader(page)).toMatch(new RegExp(`^pixel 9, 7 · ${GPa(9, 7).toFixed(3)} ± 0\\.0\\d\\d GPa .* ago live$`)); // prettier-ignore
  await advance(page, MAP_ms);
  await expect.poll(() => curveHeader(page)).toMatch(new RegExp(`^pixel 9, 7 · ${GPa(9, 7, MAPS).toFixed(3)} `)); // prettier-ignore
  // Not fitted: as measured, and why.
  await page.mouse.click(...(await mapPixel(page, 3, 0)));
  await expect.poll(() => curveHeader(page)).toMatch(/^pixel 3, 0 no contact, as measured .* ago live$/);
  const drawn = () => page.locator("op-curve .picture").getAttribute("aria-label");
  await expect.poll(drawn).toBe("pixel 3, 0, no contact, as measured");
  await page.keyboard.press("Escape");
  await expect.poll(() => curveHeader(page)).toMatch(/^force curve and fit/);
  await page.mouse.click(...(await mapPixel(page, 9, 7)));
  await page.getByRole("button", { name: "live", exact: true }).click();
  await expect.poll(() => curveHeader(page)).toMatch(/^force curve and fit/);
  expect(errors).toEqual([]);
});

test("by key: arrows go from pixel to pixel, up is up, Enter shows the curve", async () => {
  await using opened = await open();
  const { page } = opened;
  await image(page, "Young's modulus").locator(".picture").focus();
  await page.keyboard.press("ArrowRight"); // begins in the middle
  await expect.poll(() => labelOf(page, "Young's modulus")).toMatch(/; pixel 8, 6: /);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowRight");
  await expect.poll(() => labelOf(page, "Young's modulus")).toMatch(new RegExp(`; pixel 9, 7: ${GPa(9, 7).toFixed(2)} GPa$`)); // prettier-ignore
  for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowDown"); // not beyond the edge
  await expect.poll(() => labelOf(page, "Young's modulus")).toMatch(/; pixel 9, 0: /);
  await page.keyboard.press("Enter");
  await expect.poll(() => curveHeader(page)).toMatch(/^pixel 9, 0 · /);
  expect(await page.evaluate(() => window.app.axis.live)).toBe(true);
  await page.keyboard.press("Escape");
  await expect.poll(() => curveHeader(page)).toMatch(/^force curve and fit/);
});

test("with the cursor in the past the pixel's curve is that of the map of then", async () => {
  await using opened = await open();
  const { page } = opened;
  await page.mouse.click(...(await mapPixel(page, 9, 7)));
  await expect.poll(() => curveHeader(page)).toMatch(/^pixel 9, 7 · /);
  await page.evaluate((ms) => window.app.axis.point(window.START + ms), 10 * MAP_ms);
  await expect.poll(() => curveHeader(page)).toMatch(new RegExp(`^pixel 9, 7 · ${GPa(9, 7, 9).toFixed(3)} `));
});

test("the drift path and the modulus against the potential are small, and can be opened", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  const drift = page.locator("op-drift");
  const label = (name: string) => page.locator(`${name} .picture`).getAttribute("aria-label");
  await expect.poll(() => label("op-drift")).toMatch(/^drift path, .*: shift x, shift y −?\d+\.\d ± 1\.0, −?\d\.\d\d ± 0\.50 nm$/); // prettier-ignore
  expect((await drift.boundingBox())!.height).toBeLessThan(150);
  await drift.getByRole("button", { name: "drift path, large" }).click();
  await expect.poll(async () => (await drift.boundingBox())!.height).toBeGreaterThan(200);
  await page.keyboard.press("Escape");
  await expect.poll(async () => (await drift.boundingBox())!.height).toBeLessThan(150);

  await expect.poll(() => label("op-against")).toMatch(/^modulus, median against echem voltage, .*: 1\.7\d\d ± 0\.020 GPa at \d\.\d+ V$/); // prettier-ignore
  await page.getByRole("button", { name: "One column against another, large" }).click();
  const y = page.getByLabel("Drawn upwards");
  expect(await y.locator("option:checked").innerText()).toMatch(/modulus, median/);
  await y.selectOption("gauge.stack/thickness");
  await expect
    .poll(() => label("op-against"))
    .toMatch(/^thickness against echem voltage, .*: 6\d\.\d+ µm at /);
  expect(errors).toEqual([]);
});

test("the nearest point under the pointer is the moment of the whole page", async () => {
  await using opened = await open();
  const { page } = opened;
  await page.getByRole("button", { name: "One column against another, large" }).click();
  await expect
    .poll(async () => (await page.locator("op-against").boundingBox())!.height)
    .toBeGreaterThan(200);
  const box = (await page.locator("op-against .picture").boundingBox())!;
  const cursor = () => page.evaluate(() => window.app.axis.cursor);
  // Along a line across the plot something is near.
  for (let i = 0; i < 40 && (await cursor()) === undefined; i++)
    await page.mouse.move(box.x + 60 + (i / 40) * (box.width - 80), box.y + box.height / 2);
  expect(await cursor()).toBeGreaterThan(0);
  await page.mouse.move(box.x + 100, box.y - 200);
  await expect.poll(cursor).toBeUndefined();
});

test("the potential of each line stands beside an image that says when its lines were taken", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await expect.poll(() => labelOf(page, "topography")).toMatch(/; voltage while it was scanned \d\.\d{3} V to \d\.\d{3} V$/); // prettier-ignore
  const before = await labelOf(page, "topography");
  await advance(page, FRAME_ms);
  await expect.poll(() => labelOf(page, "topography")).not.toBe(before);
  expect(await labelOf(page, "Young's modulus")).not.toContain("voltage");
  // Subscriptions go with the page.
  await page.evaluate(() => window.app.remove());
  expect(await page.evaluate(() => window.fake.subscriptions)).toBe(0);
  expect(errors).toEqual([]);
});

test("everything that can be reached by key has a name", async () => {
  await using opened = await open();
  const { page } = opened;
  await page.getByRole("button", { name: "One column against another, large" }).click();
  await page.mouse.click(...(await mapPixel(page, 9, 7)));
  expect(await nameless(page)).toEqual([]);
});

test.each([
  { width: 1440, height: 900 },
  { width: 1024, height: 768 },
  { width: 390, height: 844 },
])("nothing runs out of the page at $width × $height", async (viewport) => {
  await using opened = await open(viewport);
  const { page } = opened;
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(viewport.width);
  for (const title of ["topography", "Young's modulus"]) {
    const box = (await image(page, title).locator(".picture").boundingBox())!;
    expect(Math.min(box.width, box.height)).toBeGreaterThan(90);
  }
});

// A scan that turns beside the cell, in a real browser: planes that fill, regions that become traces, options.
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { fakePage, nameless, type Opened } from "./fake-page.ts";
import type {} from "./page/main.ts";

const openPage = fakePage();

async function open(query = "", viewport?: { width: number; height: number }): Promise<Opened> {
  const opened = await openPage(`?tomography${query}`, viewport);
  const { page } = opened;
  // On a telephone it stands below the traces, and is drawn once it is in sight.
  await page.locator("op-tomography").scrollIntoViewIfNeeded();
  await expect.poll(() => page.locator("op-tomography .about").innerText()).toMatch(/covered/);
  return opened;
}

const advance = (page: Page, ms: number) => page.evaluate((by) => window.fake.advance(by), ms);
const picture = (page: Page, i: number) => page.locator("op-tomography op-image .picture").nth(i);
const labelOf = (page: Page, i: number) => picture(page, i).getAttribute("aria-label");

/** Number of colours in an image's canvas. */
const colours = (page: Page, selector: string) =>
  page.locator(`${selector} canvas`).evaluateAll((all) =>
    all.map((element) => {
      const canvas = element as HTMLCanvasElement;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, Math.max(1, canvas.width), Math.max(1, canvas.height));
      return new Set(new Uint32Array(data.buffer).filter((_, i) => i % 7 === 0)).size;
    }),
  ); // prettier-ignore

async function drag(page: Page, i: number, from: [number, number], to: [number, number]): Promise<void> {
  const box = (await picture(page, i).boundingBox())!;
  // The picture lies at the top, as wide as it fits.
  const side = Math.min(box.width, box.height);
  const at = ([x, y]: [number, number]): [number, number] => [box.x + (box.width - side) / 2 + x * side, box.y + y * side];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at([(from[0] + to[0]) / 2, (from[1] + to[1]) / 2]));
  await page.mouse.move(...at(to));
  await page.mouse.up();
} // prettier-ignore

test("three planes fill as the sample turns, and say what they hold and how the cell stood", async () => {
  await using opened = await open("&history_min=0.9");
  const { page, errors } = opened;
  const about = () => page.locator("op-tomography .about").innerText();
  await expect.poll(about).toMatch(/108° covered\s+largest gap 72\.0°\s+at 108\.0°\s+216 views/);
  expect(await page.locator("op-tomography svg .covered").count()).toBe(1);
  await expect.poll(() => colours(page, "op-tomography op-image")).toSatisfy((n: number[]) => n.length === 3 && n.every((one) => one > 30)); // prettier-ignore
  const [start, end] = await page.evaluate(() => [window.START, window.fake.now].map((t) => new Date(t).toTimeString().slice(0, 8))); // prettier-ignore
  await expect.poll(() => labelOf(page, 0)).toMatch(new RegExp(`^slice, z = 48, .*; first view ${start}  3\\.4\\d+ V; last view ${end}  3\\.4\\d+ V$`)); // prettier-ignore
  expect(await labelOf(page, 1)).toMatch(/^front, y = 12, /);
  expect(await labelOf(page, 2)).toMatch(/^side, x = −18, /);
  expect(await page.locator("op-tomography .state").innerText()).toMatch(
    /window 180 deg\s+axis 63.25 px\s+filter shepp-logan\s+oldest view 54 s before the newest\s+1,204 samples filled in/,
  );
  await advance(page, 60_000);
  await expect.poll(about).toMatch(/180° covered/);
  expect(errors).toEqual([]);
});

test("one slice of several, by the slider and by key", async () => {
  await using opened = await open();
  const { page } = opened;
  const slider = page.getByRole("slider", { name: "Slice shown" });
  await expect.poll(() => slider.getAttribute("aria-valuetext")).toBe("z = 48");
  await slider.focus();
  await page.keyboard.press("ArrowLeft");
  await expect.poll(() => slider.getAttribute("aria-valuetext")).toBe("z = 16");
  await expect.poll(() => labelOf(page, 0)).toMatch(/^slice, z = 16, /);
  // The page's own keys stay away from a slider: the span on show has not moved.
  expect(await page.evaluate(() => window.app.axis.live)).toBe(true);
  await advance(page, 2000);
  await expect.poll(() => labelOf(page, 0)).toMatch(/^slice, z = 16, /);
});

test("greys are one for all planes, and can be set", async () => {
  await using opened = await open();
  const { page } = opened;
  const low = () => page.locator("op-tomography .greys .low").innerText();
  await expect.poll(low).toMatch(/^−?0\.00\d+$/);
  const before = await low();
  await page.getByRole("slider", { name: "Value that is black" }).focus();
  for (let i = 0; i < 5; i++) await page.keyboard.press("PageUp");
  await expect.poll(low).not.toBe(before);
  const auto = page.getByRole("button", { name: "auto", exact: true });
  await expect.poll(() => auto.getAttribute("aria-pressed")).toBe("false");
  await auto.click();
  await expect.poll(low).toBe(before);
});

test("a region that is picked becomes a trace with its error, from history on", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await expect.poll(() => labelOf(page, 0)).toMatch(/^slice, z = 48/);
  await drag(page, 0, [0.3, 0.3], [0.4, 0.45]);
  const region = page.locator("op-region");
  const text = () => region.evaluate((element) => (element.shadowRoot!.querySelector("header") as HTMLElement).innerText);
  await expect.poll(text).toMatch(/region of slice, z = 48\s*0\.0\d+ ± \d\S* 1\/px\s*mean of 2\d\d px, /);
  for (let i = 0; i < 6; i++) await advance(page, 60_000);
  await expect.poll(text).toMatch(/error from the error image/);
  await expect.poll(() => colours(page, "op-region")).toSatisfy(([n]: number[]) => n! > 4);
  const kept = () => region.evaluate((element) => (element as HTMLElementTagNameMap["op-region"]).trace.buffer.length);
  expect(await kept()).toBeGreaterThan(4);

  // By key: another place by its numbers, another shape, and away.
  const column = page.getByLabel("first column of the region, px");
  const first = Number(await column.inputValue());
  const pixels = async () => Number(/mean of (\d+) px/.exec(await text())?.[1]);
  const before = await pixels();
  await column.fill(String(first + 3));
  await column.press("Enter");
  await expect.poll(pixels).toBeLessThan(before);
  // What would leave nothing of it is taken back.
  await column.fill("120");
  await column.press("Enter");
  await expect.poll(() => column.inputValue()).toBe(String(first + 3));
  await page.getByRole("button", { name: "Make it a circle" }).click();
  await expect.poll(() => page.getByLabel("radius of the region, px").count()).toBe(1);
  await page.getByRole("button", { name: "Remove the region of slice, z = 48" }).click();
  expect(await region.count()).toBe(0);
  expect(errors).toEqual([]);
}); // prettier-ignore

test("with Shift it is a circle; without an error image the scatter of its pixels is said to be the error", async () => {
  await using opened = await open();
  const { page } = opened;
  await page.locator("op-tomography op-image").nth(1).getByRole("button", { name: /^Region of front/ }).click(); // prettier-ignore
  const header = page.locator("op-region header");
  await expect
    .poll(() => header.innerText())
    .toMatch(/region of front, y = 12[^]*error: sd\/√n of its pixels/);
  await page.keyboard.down("Shift");
  await drag(page, 0, [0.5, 0.5], [0.6, 0.5]);
  await page.keyboard.up("Shift");
  await expect.poll(() => page.getByLabel("radius of the region, px").inputValue()).toMatch(/^1\d/);
  // Leaving the page takes regions and subscriptions along; coming back begins without.
  const subscriptions = () => page.evaluate(() => window.fake.subscriptions);
  await page.evaluate(() => window.app.remove());
  expect(await subscriptions()).toBe(0);
  await page.evaluate(() => document.body.append(window.app));
  await expect.poll(subscriptions).toBeGreaterThan(10);
  expect(await page.locator("op-region").count()).toBe(0);
});

test("options are changed by a form, and what is refused is said", async () => {
  await using opened = await open();
  const { page } = opened;
  expect(await page.getByRole("button", { name: "Options" }).count()).toBe(0);
  await page.evaluate(() => {
    window.fake.nodes = [
      {
        node: "tomo", use: "tomography/incremental",
        options: [
          { option: "axis", kind: "quantity", unit: "{px}", doc: "", value: NaN },
          { option: "filter", kind: "choice", choices: ["ram-lak", "hann"], doc: "", value: "hann" },
          { option: "window", kind: "text", doc: "", value: "180 deg" },
        ],
      },
    ]; // prettier-ignore
    window.fake.answer = (changes) =>
      "axis" in changes
        ? { refused: "axis: 9999 px is not on the detector, 0 to 127 px" }
        : { time: window.START };
    window.fake.advance(2000);
  });
  await page.getByRole("button", { name: "Options" }).click();
  const form = page.getByRole("form", { name: "Options of tomo" });
  const apply = form.getByRole("button", { name: "Apply" });
  await expect.poll(() => apply.isDisabled()).toBe(true);
  await form.getByLabel("filter").selectOption("ram-lak");
  await form.getByLabel("window").fill("300 views");
  await apply.click();
  await expect.poll(() => form.getByRole("status").innerText()).toMatch(/^from \d\d:\d\d:\d\d on$/);
  await form.getByLabel("axis").fill("9999");
  await page.keyboard.press("Enter");
  await expect.poll(() => form.getByRole("status").innerText()).toMatch(/not on the detector/);
  expect(await form.getByLabel("axis").inputValue()).toBe("9999");
  await form.getByRole("button", { name: "Reset" }).click();
  expect(await page.evaluate(() => window.fake.acts)).toEqual([
    { node: "tomo", changes: { filter: "ram-lak", window: "300 views" } },
    { node: "tomo", changes: { axis: "9999 {px}" } },
    { node: "tomo", changes: { axis: null, filter: null, window: null } },
  ]);
});

test("where a node takes regions of the stream while the run goes on, the region is recorded there", async () => {
  await using opened = await open();
  const { page } = opened;
  await page.evaluate(() => {
    Object.assign(window.fake.manifest.pipeline, { operators: { means: { use: "image/region", from: "tomo.slices" } } });
    window.fake.nodes = [
      { node: "means", use: "image/region", options: [{ option: "regions", kind: "list", doc: "", value: ["0,0,9,9"] }] },
    ];
  }); // prettier-ignore
  await drag(page, 0, [0.3, 0.3], [0.4, 0.4]);
  await page.getByRole("button", { name: "Record" }).click();
  await expect.poll(() => page.locator("op-region .said").innerText()).toBe("means records it");
  const [act] = await page.evaluate(() => window.fake.acts);
  expect(act).toEqual({
    node: "means",
    changes: { regions: ["0,0,9,9", expect.stringMatching(/^\d+,\d+,\d+,\d+$/)] },
  });
});

test("changes, their time, errors and sinogram are drawn with what their colours mean", async () => {
  await using opened = await open("", { width: 1440, height: 2000 });
  const { page, errors } = opened;
  await page.keyboard.press("+");
  const list = page.locator("op-panel-list");
  for (const name of [/time of first change/, /standard error/, /sinogram/])
    await list.getByLabel(name).check();
  await page.keyboard.press("Escape");
  const footers = () =>
    page.evaluate(() =>
      Object.fromEntries(
        [...window.app.shadowRoot!.querySelectorAll("op-image")].map((image) => [
          image.panel.sort,
          image.shadowRoot!.querySelector<HTMLElement>("footer")?.innerText.replaceAll(/\s+/g, " "),
        ]),
      ),
    );
  await expect.poll(footers).toMatchObject({
    change: expect.stringMatching(/^−\d.* \+\d.* σ$/),
    "first change": expect.stringMatching(/(s|h) into the run$/),
    error: expect.stringMatching(/1\/px$/),
    sinogram: expect.stringMatching(/^0/),
  });
  await expect.poll(() => colours(page, "op-image")).toSatisfy((n: number[]) => n.length >= 9 && n.every((one) => one > 8)); // prettier-ignore
  expect(errors).toEqual([]);
});

test("everything that can be reached by key has a name", async () => {
  await using opened = await open();
  const { page } = opened;
  await page.locator("op-tomography op-image").first().getByRole("button").click();
  await expect.poll(() => page.locator("op-region").count()).toBe(1);
  expect(await nameless(page)).toEqual([]);
});

test.each([
  { width: 1440, height: 900 },
  { width: 1024, height: 768 },
  { width: 390, height: 844 },
])("nothing runs out of the page at $width × $height", async (viewport) => {
  await using opened = await open("", viewport);
  const { page } = opened;
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(viewport.width);
  for (let i = 0; i < 3; i++) {
    const box = (await picture(page, i).boundingBox())!;
    expect(Math.min(box.width, box.height)).toBeGreaterThan(60);
  }
});

// A cell that is cycled, in a real browser: half cycles, dQ/dV, spectra and efficiencies, small and opened.
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { arcOf, capacityOf, efficiencyOf, HALF_ms, seriesOf } from "./fake-echem.ts";
import { fakePage, nameless, type Opened } from "./fake-page.ts";
import type {} from "./page/main.ts";

const openPage = fakePage();

/** An hour and five minutes: cycle 3 charges, three are complete. */
const open = (
  query = "?echem&history_min=65",
  viewport?: { width: number; height: number },
): Promise<Opened> => openPage(query, viewport);

const VIEWS = ["op-voltage-capacity", "op-incremental", "op-impedance", "op-efficiency"] as const;
type View = (typeof VIEWS)[number];
const label = (page: Page, view: View) => page.locator(`${view} .picture`).getAttribute("aria-label");
const said = (page: Page, view: View) => page.locator(`${view} .said`).innerText();
const openLarge = (page: Page, view: View) => page.locator(`${view} header button[aria-expanded]`).click();
const advance = (page: Page, ms: number) => page.evaluate((by) => window.fake.advance(by), ms);
/** What was asked for of the records, besides the numbers in the header. */
const requests = (page: Page) =>
  page.evaluate(() =>
    window.fake.asked.filter(
      ({ stream, columns }) => stream === "charge.charge" && columns!.includes("half_cycle_index"),
    ),
  );

/** How many pixels of the picture are nearly of a colour. */
const count = (page: Page, view: View, [r, g, b]: readonly [number, number, number]) =>
  page.locator(view).evaluate(
    (element, rgb) => {
      const canvas = element.shadowRoot!.querySelector("canvas")!;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      let n = 0;
      for (let i = 0; i < data.length; i += 4)
        if (rgb.every((value, k) => Math.abs(data[i + k]! - value) < 6)) n++;
      return n;
    },
    [r, g, b] as const,
  );

test("all four stand on the page where their streams are, small, each with its newest", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 3, charge: 53\d\.\d µAh$/);
  await expect.poll(() => said(page, "op-incremental")).toBe("cycle 3, charge, running: 4.20 mAh/V at 3.400 V");
  await expect.poll(() => said(page, "op-impedance")).toBe("spectrum 3: R0 103.0 ± 1.0 mΩ, Rct 50.0 ± 1.0 mΩ");
  await expect.poll(() => said(page, "op-efficiency")).toMatch(/^cycle 2: 99\.200 ± 0\.040 %, charge 0\.9800 mAh, discharge 0\.9722 mAh$/);
  expect(await nameless(page)).toEqual([]);
  // Without pictures they have the right half to themselves.
  expect(await page.locator(".pictures").isVisible()).toBe(false);
  const box = (await page.locator("op-voltage-capacity").boundingBox())!;
  expect(box.height).toBeGreaterThan(250);
  expect(errors).toEqual([]);
}); // prettier-ignore

test("beside pictures V against Q stands alone; the others are in the list", async () => {
  await using opened = await open("?echem=beside&history_min=65");
  const { page } = opened;
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/cycle 3/);
  for (const view of VIEWS.slice(1)) expect(await page.locator(view).count()).toBe(0);
  await page.keyboard.press("+");
  await page.getByRole("checkbox", { name: /^impedance/ }).check();
  await expect.poll(() => label(page, "op-impedance")).toMatch(/spectrum 3/);
  expect(await page.getByRole("checkbox", { name: /^dQ\/dV/ }).count()).toBe(1);
  expect(await page.getByRole("checkbox", { name: /^efficiency/ }).count()).toBe(1);
});

test("V against Q: earlier half cycles as ghosts, picked by key and by pointer, the first kept on wish", async () => {
  await using opened = await open("?echem&history_min=205"); // half cycle 20 runs
  const { page, errors } = opened;
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 10, charge/);
  const asked = (await requests(page)).length;
  await openLarge(page, "op-voltage-capacity");
  // Opened it shows more of them, and asks for these.
  await expect.poll(async () => (await requests(page)).length).toBe(asked + 6);
  for (const { maxPoints, to } of await requests(page)) {
    expect(maxPoints).toBeDefined();
    if (to !== "live") expect(maxPoints).toBe(400);
  }
  const picture = page.locator("op-voltage-capacity .picture");
  await picture.focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await expect.poll(() => label(page, "op-voltage-capacity")).toBe(`V against Q, cycle 9, discharge: ${(capacityOf(19) * 1e6).toFixed(1)} µAh`); // prettier-ignore
  // The page's own arrows have not moved it.
  expect(await page.evaluate(() => window.app.axis.live)).toBe(true);
  await page.keyboard.press("Home");
  await expect.poll(() => label(page, "op-voltage-capacity")).toMatch(/cycle 4, discharge: 960\.0 µAh/);
  await page.getByRole("button", { name: "Keep the first in view" }).click();
  await picture.focus();
  // Until the answer is there the first of the list is another.
  await expect
    .poll(async () => {
      await page.keyboard.press("Home");
      return label(page, "op-voltage-capacity");
    })
    .toMatch(/cycle 0, charge: 1\.000 mAh/);
  await page.keyboard.press("Escape");
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 10, charge/);
  // Escape let go of the half cycle, and a second one closes the view.
  await page.keyboard.press("Escape");
  await expect.poll(() => page.locator("op-voltage-capacity").getAttribute("large")).toBeNull();

  await openLarge(page, "op-voltage-capacity");
  const box = (await picture.boundingBox())!;
  // At the very right lies the end of the greatest.
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.5);
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle \d+, (dis)?charge: .* [mµ]Ah; .* V at .* [mµ]Ah$/);
  expect(errors).toEqual([]);
}); // prettier-ignore

test("the running half cycle grows and becomes a ghost; at an earlier moment the page shows what ran then", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 3, charge: 53\d/);
  await advance(page, 3 * 60_000);
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 3, charge: 86\d/);
  await advance(page, 5 * 60_000);
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 3, discharge: 3\d\d/);
  await expect.poll(() => said(page, "op-incremental")).toMatch(/^cycle 3, discharge, running/);
  await expect.poll(() => said(page, "op-efficiency")).toMatch(/^cycle 3: at least /);

  await page.evaluate((ms) => window.app.axis.point(window.START + ms), 2.5 * HALF_ms);
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 1, charge: 5[45]\d/);
  await expect.poll(() => said(page, "op-incremental")).toMatch(/^cycle 0, discharge/);
  await expect.poll(() => said(page, "op-efficiency")).toMatch(new RegExp(`^cycle 0: ${(100 * efficiencyOf(0)).toFixed(3)}`)); // prettier-ignore
  await expect.poll(() => said(page, "op-impedance")).toMatch(/^spectrum 1: R0 101\.0/);
  await page.evaluate(() => window.app.axis.point(undefined));
  await expect.poll(() => said(page, "op-voltage-capacity")).toMatch(/^cycle 3, discharge/);
  expect(errors).toEqual([]);
});

test("dQ/dV: charge upwards, discharge downwards; dV/dQ against capacity on wish", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await openLarge(page, "op-incremental");
  const picture = page.locator("op-incremental .picture");
  await picture.focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await expect
    .poll(() => said(page, "op-incremental"))
    .toMatch(/^cycle 2, discharge: 4\.\d+ mAh\/V at 3\.40\d V$/);
  // Where white is: the half cycle that was picked, below the middle.
  const middle = () =>
    page.locator("op-incremental").evaluate((element) => {
      const canvas = element.shadowRoot!.querySelector("canvas")!;
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
      let [above, below] = [0, 0];
      for (let i = 0; i < data.length; i += 4) {
        if (data[i]! < 250 || data[i + 1]! < 250 || data[i + 2]! < 250) continue;
        if (i / 4 / width < height * 0.4) above++;
        else below++;
      }
      return { above, below };
    });
  expect((await middle()).above).toBeLessThan(20);
  expect((await middle()).below).toBeGreaterThan(100);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await expect.poll(() => said(page, "op-incremental")).toMatch(/^cycle 2, charge/);
  expect((await middle()).above).toBeGreaterThan(100);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "dV/dQ against capacity" }).click();
  await expect.poll(() => label(page, "op-incremental")).toMatch(/^dV\/dQ, cycle 3, charge, running: 5\d\d/);
  expect(errors).toEqual([]);
});

test("spectra: Nyquist with the fit of the newest, Bode, and the electrode that is chosen", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await openLarge(page, "op-impedance");
  const FIT = [0x8f, 0xd6, 0xc3] as const;
  await expect.poll(() => count(page, "op-impedance", FIT)).toBeGreaterThan(100);
  await page.getByLabel("Electrode").selectOption("1");
  await expect.poll(() => said(page, "op-impedance")).toBe(`spectrum 3: R0 ${(1e3 * seriesOf(3)).toFixed(1)} ± 1.0 mΩ, Rct ${(1e3 * arcOf(1)).toFixed(1)} ± 1.0 mΩ`); // prettier-ignore
  await page.locator("op-impedance .picture").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await expect.poll(() => said(page, "op-impedance")).toMatch(/^spectrum 2: R0 102\.0/);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Bode/ }).click();
  // Down the middle of the plots, past both curves.
  const box = (await page.locator("op-impedance .picture").boundingBox())!;
  const read = new Set<string>();
  for (let y = 0; y < box.height; y += 15) {
    await page.mouse.move(box.x + box.width / 2, box.y + y);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))); // prettier-ignore
    read.add((await said(page, "op-impedance")).replaceAll(/[\d.−]+/g, "n"));
  }
  expect([...read]).toContain("spectrum n; n mΩ at n Hz");
  expect([...read]).toContain("spectrum n; n ° at n Hz");
  expect(errors).toEqual([]);
});

test("efficiency: cycle by cycle by key, and the bound of the one that goes on", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await openLarge(page, "op-efficiency");
  await page.locator("op-efficiency .picture").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await expect.poll(() => label(page, "op-efficiency")).toMatch(/^efficiency, cycle 1: 99\.100 ± 0\.040 %, charge 0\.9900 mAh, discharge 0\.9811 mAh$/); // prettier-ignore
  await page.keyboard.press("Escape");
  await advance(page, 10 * 60_000);
  await expect.poll(() => said(page, "op-efficiency")).toMatch(/^cycle 3: at least 5\d\.\d+ %$/);
  await advance(page, 5 * 60_000);
  await expect.poll(() => said(page, "op-efficiency")).toMatch(/^cycle 3: 99\.300 ± 0\.040 %/);
  expect(errors).toEqual([]);
});

test("views that leave the page take their subscriptions along", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  for (const view of VIEWS) await expect.poll(() => said(page, view)).not.toBe("");
  await openLarge(page, "op-impedance");
  const before = await page.evaluate(() => window.fake.subscriptions);
  await page.evaluate(() => window.app.remove());
  expect(await page.evaluate(() => window.fake.subscriptions)).toBe(0);
  await page.evaluate(() => document.body.append(window.app));
  for (const view of VIEWS) await expect.poll(() => said(page, view)).not.toBe("");
  await expect.poll(() => page.evaluate(() => window.fake.subscriptions)).toBe(before);
  expect(errors).toEqual([]);
});

test.each([
  { width: 1440, height: 900 },
  { width: 1024, height: 768 },
  { width: 390, height: 844 },
])("nothing runs out of the page at $width × $height, small or opened", async (viewport) => {
  await using opened = await open("?echem&history_min=65", viewport);
  const { page } = opened;
  for (const view of [undefined, ...VIEWS]) {
    if (view) await openLarge(page, view);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(
      viewport.width,
    );
    for (const one of VIEWS) {
      const box = (await page.locator(`${one} .picture`).boundingBox())!;
      expect(Math.min(box.width, box.height)).toBeGreaterThan(60);
      if (one === view) expect(box.height).toBeGreaterThan(250);
    }
  }
});

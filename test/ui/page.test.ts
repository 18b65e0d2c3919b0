// The whole page in a real browser, on a made-up client whose time the test moves by hand.
import type { Page } from "playwright";
import { expect, test } from "vitest";
import { fakePage } from "./fake-page.ts";
import type {} from "./page/main.ts";

const open = fakePage();

/** What an element shows, its shadow included. */
const textOf = (page: Page, selector: string) =>
  page
    .locator(selector)
    .evaluate((element) =>
      [...element.shadowRoot!.children].map((child) => (child as HTMLElement).innerText).join("\n"),
    );

/** Names of the elements whose canvas shows more than one colour. */
const painted = (page: Page) =>
  page.evaluate(() => {
    const elements = [
      ...window.app.shadowRoot!.querySelectorAll("op-trace, op-image, op-curve, op-overview"),
    ];
    return elements.map((element) => {
      const canvas = element.shadowRoot!.querySelector("canvas")!;
      const { width, height } = canvas;
      const pixels = new Uint32Array(
        canvas.getContext("2d")!.getImageData(0, 0, Math.max(1, width), Math.max(1, height)).data.buffer,
      );
      return `${element.localName} ${new Set(pixels.filter((_, i) => i % 13 === 0)).size > 8 ? "painted" : "empty"}`;
    });
  });

const range = (page: Page) => page.evaluate(() => ({ ...window.app.axis.range }));

/** The first and last time that each trace's chart spans. */
const spans = (page: Page) =>
  page.evaluate(() =>
    [...window.app.shadowRoot!.querySelectorAll("op-trace")].map((trace) =>
      trace.span.map(Math.round).join(),
    ),
  );

async function allPainted(page: Page): Promise<void> {
  await expect
    .poll(() => painted(page))
    .toSatisfy((all: string[]) => all.length >= 10 && all.every((one) => one.endsWith("painted")));
}

test("every panel is painted, and new rows move the page on", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await allPainted(page);
  const before = await range(page);
  const wanted = await page.evaluate(() => {
    window.fake.advance(30_000);
    return window.fake.now;
  });
  await page.waitForFunction((now) => window.painted > now - 1000, wanted);
  expect((await range(page)).to).toBeGreaterThan(before.to + 25_000);
  await expect.poll(() => textOf(page, "op-header")).toMatch(/li-symmetric \/ cell 7\s+SIMULATED 60×/);
  expect(await textOf(page, "op-header")).toMatch(
    /Charging, step \d+, cycle 3[^]*3\.4\d\d V[^]*\+1\.25\d mA[^]*GPa/,
  );
  expect(errors).toEqual([]);
});

test("a drag on one trace zooms all of them, back undoes it, and L goes live as wide", async () => {
  await using opened = await open();
  const { page } = opened;
  await allPainted(page);
  const before = await range(page);
  const box = (await page.locator("op-trace .u-over").first().boundingBox())!;
  await page.mouse.move(box.x + 200, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + 300, box.y + 40, { steps: 4 });
  await page.mouse.up();
  const zoomed = await range(page);
  expect((zoomed.to - zoomed.from) / (before.to - before.from)).toBeCloseTo(100 / box.width, 2);
  const one = [zoomed.from, zoomed.to].map(Math.round).join();
  await expect.poll(async () => new Set(await spans(page))).toEqual(new Set([one]));

  await page.waitForFunction(() => (history.state as { view: { kind: string } }).view.kind === "held");
  await page.goBack();
  expect(await range(page)).toEqual(before);
  await page.goForward();
  await expect.poll(() => range(page)).toMatchObject({ from: zoomed.from });

  await page.keyboard.press("l");
  const live = await range(page);
  expect(live.to - before.to).toBeLessThan(1000);
  expect(live.to - live.from).toBeCloseTo(zoomed.to - zoomed.from, 3);
});

test("one cursor stands in all traces, and images show that moment", async () => {
  await using opened = await open();
  const { page } = opened;
  await allPainted(page);
  const box = (await page.locator("op-trace .u-over").first().boundingBox())!;
  await page.mouse.move(box.x + 250, box.y + 30);
  await page.mouse.move(box.x + 260, box.y + 30);
  const cursors = () =>
    page.evaluate(() =>
      [...window.app.shadowRoot!.querySelectorAll("op-trace")].map((trace) =>
        Math.round(trace.cursorTime / 2000),
      ),
    );
  await expect.poll(async () => new Set(await cursors()).size).toBe(1);
  await expect
    .poll(() => page.locator("op-image .age").first().innerText())
    .toMatch(/^\d\d:\d\d:\d\d, .* before$/);
  await page.mouse.move(box.x + 250, 5);
  await expect.poll(() => page.locator("op-image .age").first().innerText()).toMatch(/ago/);
});

test("a pause stands still while the data go on arriving, and nothing is lost", async () => {
  await using opened = await open();
  const { page } = opened;
  await allPainted(page);
  await page.keyboard.press(" ");
  const paused = await range(page);
  const asked = await page.evaluate(() => window.fake.asked.length);
  for (let i = 0; i < 5; i++) await page.evaluate(() => window.fake.advance(20_000));
  expect(await range(page)).toEqual(paused);
  await expect
    .poll(() => page.locator("op-overview .span").innerText())
    .toMatch(/^paused: .* 1 min 40 s behind$/);
  await page.keyboard.press(" ");
  const after = await range(page);
  expect(after.to).toBeGreaterThan(paused.to + 99_000);
  const holes = await page.evaluate(() => window.app.shadowRoot!.querySelector("op-trace")!.longestStep());
  expect(holes).toBeLessThan(5000);
  expect(await page.evaluate(() => window.fake.asked.length)).toBe(asked);
});

test("a lost connection cannot be missed, and clears when it is back", async () => {
  await using opened = await open();
  const { page } = opened;
  expect(await page.locator("op-veil .veil").count()).toBe(0);
  await page.evaluate(() =>
    window.fake.connect({ state: "lost", since: Date.now() - 12_000, reason: "", recording: true }),
  );
  await expect
    .poll(() => textOf(page, "op-veil"))
    .toMatch(/Connection lost 1\d s ago[^]*the recording goes on/);
  const veil = await page.locator("op-veil .veil").boundingBox();
  expect(veil).toMatchObject({ x: 0, y: 0, width: 1440, height: 900 });
  await page.evaluate(() => window.fake.connect({ state: "open", mode: "replay", speed: 10, latency_ms: 3 }));
  await expect.poll(() => page.locator("op-veil .veil").count()).toBe(0);
  await expect.poll(() => page.locator("op-header .badge").innerText()).toBe("REPLAY 10×");
});

test("an alarm pushes the page down, is named in the tab, and leads to its evidence", async () => {
  await using opened = await open("?onset_min=199");
  const { page } = opened;
  await allPainted(page);
  const top = async () => (await page.locator("main").boundingBox())!.y;
  const quiet = await top();
  expect(await page.locator("op-alarm-strip .strip").count()).toBe(0);
  await page.evaluate(() => window.fake.advance(10 * 60_000));
  await expect
    .poll(() => textOf(page, "op-alarm-strip"))
    .toMatch(/▲ ALARM\s+gas\s+[^]*score 5\.\d+ over the limit of 5\.000/);
  expect(await top()).toBeGreaterThan(quiet + 30);
  expect(await page.title()).toBe("(1) ▲ cell 7");
  expect(await page.locator("op-event-lane .alarm").count()).toBeGreaterThan(0);
  await page.keyboard.press("a");
  const onset = await page.evaluate(() => window.app.standing[0]!.began);
  const { from, to } = await range(page);
  expect((onset - from) / (to - from)).toBeCloseTo(0.7, 3);
});

test("health, panels and keys open by their keys and by their buttons", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await page.keyboard.press("h");
  await expect.poll(() => page.locator("op-streams tbody tr").count()).toBe(12);
  expect(await textOf(page, "op-streams")).toMatch(/cycler\.echem\s+12,0\d\d\s+60\.0/);
  await page.keyboard.press("h");
  expect(await page.locator("op-streams").count()).toBe(0);

  await page.getByRole("button", { name: "Panels" }).click();
  const before = await page.locator("op-trace").count();
  await page.getByLabel("pressure").check();
  expect(await page.locator("op-trace").count()).toBe(before + 1);
  await page.getByRole("button", { name: "Remove pressure" }).click();
  expect(await page.locator("op-trace").count()).toBe(before);

  await page.keyboard.press("?");
  expect(await textOf(page, "op-help")).toContain("pause");
  await page.keyboard.press("Escape");
  expect(await page.locator("op-help").count()).toBe(0);
  expect(errors).toEqual([]);
});

test("elements that leave the page take their charts and subscriptions along", async () => {
  await using opened = await open();
  const { page, errors } = opened;
  await allPainted(page);
  const open1 = await page.evaluate(() => window.fake.subscriptions);
  await page.evaluate(() => window.app.remove());
  expect(await page.evaluate(() => window.fake.subscriptions)).toBe(0);
  await page.evaluate(() => document.body.append(window.app));
  await allPainted(page);
  expect(await page.evaluate(() => window.fake.subscriptions)).toBe(open1);
  expect(errors).toEqual([]);
});

test.each([
  { width: 1440, height: 900 },
  { width: 1024, height: 768 },
  { width: 390, height: 844 },
])("nothing runs out of the page at $width × $height", async (viewport) => {
  await using opened = await open("?onset_min=190", viewport);
  const { page } = opened;
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide).toBeLessThanOrEqual(viewport.width);
  const painted = await page.locator("op-trace .u-over").first().boundingBox();
  expect(painted!.height).toBeGreaterThan(40);
});

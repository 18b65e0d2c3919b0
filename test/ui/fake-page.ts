/** The whole page on the made-up client, in a real browser: built and served once a test file. */
import type { Browser, Page } from "playwright";
import { afterAll, beforeAll } from "vitest";
import { launch, servePage } from "./chromium.ts";
import type {} from "./page/main.ts";

export interface Opened extends AsyncDisposable {
  readonly page: Page;
  /** What the page has thrown or logged as an error. */
  readonly errors: string[];
}

/** To be called once, at the top of a test file; what it gives opens the page, painted, and closes it at the end of the scope. */
export function fakePage(): (
  query?: string,
  viewport?: { width: number; height: number },
) => Promise<Opened> {
  let browser: Browser;
  let site: { url: string; close: () => void };

  beforeAll(async () => {
    browser = await launch();
    site = await servePage(new URL("page/", import.meta.url));
  });

  afterAll(async () => {
    await browser?.close();
    site?.close();
  });

  return async (query = "", viewport = { width: 1440, height: 900 }) => {
    const page = await browser.newPage({ viewport });
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => void (message.type() === "error" && errors.push(message.text())));
    await page.goto(site.url + query);
    await page.waitForFunction(() => window.painted > 0);
    return { page, errors, [Symbol.asyncDispose]: () => page.close() };
  };
}

/** What can be reached by key and has no name to be read out, as it is written. */
export const nameless = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = [];
    const look = (root: ParentNode): void => {
      for (const element of root.querySelectorAll("*")) {
        if (element.matches("button, input, select, [tabindex]")) {
          const name = element.getAttribute("aria-label") ?? element.closest("label")?.textContent ?? element.textContent;
          if (!name?.trim()) found.push(element.outerHTML);
        }
        if (element.shadowRoot) look(element.shadowRoot);
      }
    };
    look(document);
    return found;
  }); // prettier-ignore

// Starts the demo, waits until an alarm has come and every panel has been drawn, and writes docs/demo.png.
// Usage: node scripts/screenshot.mjs [FILE]      CHROMIUM says where the browser is, if not at /usr/bin/chromium.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";

const root = fileURLToPath(new URL("..", import.meta.url));
const program = join(root, "dist/cli/main.js");
const file = process.argv[2] ?? join(root, "docs/demo.png");
const browserAt = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** The demo raises its first alarm within a minute; a slow machine gets three. */
const PATIENCE_ms = 180_000;

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

if (!existsSync(program)) fail(`There is no ${program}: run npm run build first.`);
if (!existsSync(browserAt)) fail(`No Chromium at ${browserAt}: install it, or set CHROMIUM to where it is.`);

const runs = mkdtempSync(join(tmpdir(), "operando-screenshot-"));
const demo = spawn(process.execPath, [program, "demo", "--port", "0"], {
  cwd: runs,
  stdio: ["ignore", "ignore", "pipe"],
});

/** The address that the demo prints on stderr. */
const address = new Promise((resolve, reject) => {
  let said = "";
  demo.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
    const match = /http:\/\/[\w.[\]:-]+:\d+\S*/.exec(said);
    if (match) resolve(match[0]);
  });
  demo.on("error", reject);
  demo.on("exit", (code) =>
    reject(new Error(`the demo ended with ${code} before it named its address:\n${said}`)),
  );
});

let browser;
try {
  const url = await address;
  browser = await chromium.launch({ executablePath: browserAt, args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(PATIENCE_ms);
  await page.goto(url);
  await page.locator("op-alarm-strip .strip").waitFor();
  await page.getByRole("button", { name: "1 h", exact: true }).click();
  // Drawn: no image or curve still says that it has none, and each trace reads a number.
  await page.waitForFunction(() => {
    const parts = [
      ...document
        .querySelector("op-app")
        .shadowRoot.querySelectorAll("op-trace, op-image, op-tomography, op-curve"),
    ];
    return (
      parts.length > 4 &&
      parts.every(({ shadowRoot }) => {
        const empty = shadowRoot.querySelector(".empty");
        return (
          (!empty || empty.hidden) &&
          [...shadowRoot.querySelectorAll(".value")].every((value) => /\d/.test(value.textContent))
        );
      })
    );
  });
  await page.screenshot({ path: file });
  console.error(`Wrote ${file}.`);
} catch (error) {
  process.exitCode = 1;
  console.error(`No screenshot: ${error.message}`);
} finally {
  await browser?.close();
  if (demo.exitCode === null) {
    demo.kill("SIGINT");
    await new Promise((resolve) => demo.once("exit", resolve));
  }
  rmSync(runs, { recursive: true, force: true });
}

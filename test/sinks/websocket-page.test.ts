import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, request, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { builtPage, servePage } from "../../sinks/websocket-page.ts";

const root = mkdtempSync(join(tmpdir(), "operando page ü-"));
const page = join(root, "ui");
let server: Server;

beforeAll(async () => {
  mkdirSync(join(page, "assets"), { recursive: true });
  writeFileSync(join(page, "index.html"), "<!doctype html><title>page</title>");
  writeFileSync(join(page, "assets", "main-1a2b.js"), "export {}");
  writeFileSync(join(root, "secret.txt"), "secret");
  symlinkSync(join(root, "secret.txt"), join(page, "link.txt"));
  const answer = servePage(page);
  server = createServer((asked, response) => void answer(asked, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(root, { recursive: true });
});

/** The path goes out as it is, as from somebody who means ill. */
function ask(path: string, method = "GET", to = server): Promise<IncomingMessage & { body: string }> {
  return new Promise((resolve, reject) => {
    const { port } = to.address() as AddressInfo;
    const sent = request({ host: "127.0.0.1", port, path, method }, (response) => {
      let body = "";
      response.on("data", (data) => (body += String(data)));
      response.on("end", () => resolve(Object.assign(response, { body })));
    });
    sent.on("error", reject);
    sent.end();
  });
}

test("the page comes with its type and its rules", async () => {
  const { statusCode, headers, body } = await ask("/");
  expect([statusCode, body]).toEqual([200, "<!doctype html><title>page</title>"]);
  expect(headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
  });
  expect(headers["content-security-policy"]).toContain(
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval';",
  );
  expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
});

test("what the build names after its content may be kept for ever", async () => {
  const { statusCode, headers } = await ask("/assets/main-1a2b.js?x=1");
  expect(statusCode).toBe(200);
  expect(headers).toMatchObject({
    "content-type": "text/javascript; charset=utf-8",
    "cache-control": "public, max-age=31536000, immutable",
  });
});

test.each([
  "/../secret.txt",
  "/..%2fsecret.txt",
  "/assets/..%2f..%2fsecret.txt",
  "/%2e%2e/secret.txt",
  "/..%5csecret.txt",
  "/link.txt",
  "/assets",
  "/none.js",
  "//secret.txt",
  "/%00",
])("nothing comes for %s", async (path) => {
  const { statusCode, body } = await ask(path);
  expect(statusCode).toBe(404);
  expect(body).not.toContain("secret\n");
});

test("an address that cannot be read, and what is not asking, are answered so", async () => {
  expect((await ask("/%zz")).statusCode).toBe(400);
  expect((await ask("/", "POST")).statusCode).toBe(405);
  expect(await ask("/", "HEAD")).toMatchObject({ statusCode: 200, body: "" });
  expect(await ask("/healthz")).toMatchObject({ statusCode: 200, body: "ok\n" });
});

test("where there is no page yet, it says how to build it", async () => {
  const answer = servePage(join(root, "none"));
  const bare = createServer((asked, response) => void answer(asked, response));
  await new Promise<void>((resolve) => bare.listen(0, "127.0.0.1", resolve));
  expect(await ask("/", "GET", bare)).toMatchObject({
    statusCode: 404,
    body: expect.stringContaining("Run `npm run build`"),
  });
  await new Promise((resolve) => bare.close(resolve));
});

test("the page is found from the source and from the build", () => {
  const module = (path: string): string => pathToFileURL(join(root, path)).href;
  expect(builtPage(module("sinks/websocket-page.ts"))).toBe(join(root, "dist", "ui"));
  expect(builtPage(module("dist/sinks/websocket-page.js"))).toBe(join(root, "dist", "ui"));
});

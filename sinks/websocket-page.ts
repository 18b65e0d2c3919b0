/**
 * The built page, served from one directory: nothing outside it, and nothing that the page did not bring itself.
 */
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
};

// The page brings its own scripts and talks to its own server. Styles stand in its elements.
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "Content-Security-Policy": POLICY,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
};

/** Where `npm run build` puts the page, seen from the source and from the build. */
export function builtPage(module = import.meta.url): string {
  return fileURLToPath(
    new URL(/[/\\]dist[/\\]sinks[/\\][^/\\]*$/.test(module) ? "../ui" : "../dist/ui", module),
  );
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    ...HEADERS,
    "Content-Type": TYPES[".txt"]!,
    "Cache-Control": "no-cache",
    ...headers,
  });
  response.end(body);
}

/** Answers requests for files of `directory`; `/` is its index.html. */
export function servePage(
  directory: string,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return answer(response, 405, `${request.method} is not served here, only GET and HEAD\n`, {
        Allow: "GET, HEAD",
      });
    }
    let path: string;
    try {
      path = decodeURIComponent((request.url ?? "/").split(/[?#]/, 1)[0]!);
    } catch {
      return answer(response, 400, "the address cannot be read\n");
    }
    if (path === "/healthz") return answer(response, 200, "ok\n");
    const found = await findFile(directory, path);
    if (!found) {
      const built = path !== "/" || (await findFile(directory, "/index.html"));
      return answer(
        response,
        404,
        built
          ? `there is no ${path} here\n`
          : "The page is not built yet. Run `npm run build`, then load this address again.\n",
      );
    }
    response.writeHead(200, {
      ...HEADERS,
      "Content-Type": TYPES[extname(found.path).toLowerCase()] ?? "application/octet-stream",
      "Content-Length": found.size,
      // The build names each of these after its content.
      "Cache-Control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    });
    if (request.method === "HEAD") return void response.end();
    createReadStream(found.path)
      .on("error", () => response.destroy())
      .pipe(response);
  };
}

/** A file inside the directory, links followed; undefined where there is none or it lies elsewhere. */
async function findFile(
  directory: string,
  path: string,
): Promise<{ path: string; size: number } | undefined> {
  if (path.includes("\0") || path.includes("\\") || path.split("/").includes("..")) return undefined;
  try {
    const root = await realpath(directory);
    const file = await realpath(join(root, path.endsWith("/") ? `${path}index.html` : path));
    if (!file.startsWith(root + sep)) return undefined;
    const about = await stat(file);
    return about.isFile() ? { path: file, size: about.size } : undefined;
  } catch {
    return undefined;
  }
}

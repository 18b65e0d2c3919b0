import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

// The command as it is installed: what the build made.
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

test("exit codes reach the shell, data stdout, words stderr", () => {
  const version = spawnSync(process.execPath, [main, "--version"], { encoding: "utf8" });
  expect([version.status, version.stderr]).toEqual([0, ""]);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const wrong = spawnSync(process.execPath, [main, "check", "none.yaml"], { encoding: "utf8" });
  expect([wrong.status, wrong.stdout, wrong.stderr]).toEqual([2, "", "none.yaml: there is no such file\n"]);
});

test("an old Node is told in one line, before anything else is loaded", () => {
  const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"18.19.1"}})`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", old, main, "list"], {
    encoding: "utf8",
  });
  expect([status, stdout, stderr]).toEqual([
    2,
    "",
    "operando needs Node.js 20.19 or later; this is 18.19.1\n",
  ]);
});

test("a reader that has seen enough is no error", async () => {
  const child = spawn(process.execPath, [main, "list", "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [status] = (await once(child, "close")) as [number];
  expect([status, said]).toEqual([0, ""]);
});

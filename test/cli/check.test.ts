import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command } from "../helpers/command.ts";

const examples = fileURLToPath(new URL("../../examples/", import.meta.url));

/** What an example takes from the command line. */
const SET: Record<string, string[]> = {
  "real-cell.yaml": ["cycler.path=cell7.mpr", "afm.path=map.jpk-force-map", "xrm.path=scan.nxs"],
  "tomography-file.yaml": ["xrm.path=scan.nxs"],
};

test.each(readdirSync(examples).filter((name) => name.endsWith(".yaml")))(
  "examples/%s has no mistakes",
  async (name) => {
    const set = (SET[name] ?? []).flatMap((one) => ["--set", one]);
    const { code, out, err } = await command("check", join(examples, name), ...set);
    expect(err).toMatch(/no mistakes \(\d+ sources?, \d+ operators?, \d+ alarms?, \d+ sinks?\)/);
    expect([code, out]).toEqual([0, ""]);
  },
);

test("mistakes go to stderr, each with its line, and the exit code is 2", async () => {
  const { code, out, err } = await command(
    "check",
    join(examples, "real-cell.yaml"),
    "--set",
    "xrm.path=scan.nxs",
    "--set",
    "slices.every=0",
  );
  expect([code, out]).toEqual([2, ""]);
  expect(err).toMatch(/^real-cell.yaml:18: sources.cycler.path: must be given/m);
  expect(err).toMatch(/^real-cell.yaml:21: sources.afm.path: must be given/m);
  expect(err).toMatch(/^--set slices.every=0: 0 is below 1$/m);
  expect(err).toMatch(/3 mistakes; nothing was started\.\n$/);
});

test("a file that is not there", async () => {
  expect(await command("check", "none.yaml")).toMatchObject({
    code: 2,
    err: "none.yaml: there is no such file\n",
  });
});

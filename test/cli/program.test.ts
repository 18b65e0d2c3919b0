import { expect, test } from "vitest";
import { command } from "../helpers/command.ts";

test("the version is that of the package", async () => {
  expect(await command("--version")).toMatchObject({ code: 0, out: "0.1.0\n", err: "" });
});

test("help is data, asked for or not done", async () => {
  const { code, out } = await command("--help");
  expect(code).toBe(0);
  for (const name of ["check", "export", "inspect", "list"]) expect(out).toContain(name);
});

test.each([
  [[], /Usage: operando/],
  [["inspct"], /unknown command 'inspct'/],
  [["inspect"], /missing required argument/],
  [["list", "--jsno"], /unknown option '--jsno'/],
])("%j is a mistake of the command", async (args, message) => {
  const { code, out, err } = await command(...args);
  expect([code, out]).toEqual([2, ""]);
  expect(err).toMatch(message);
});

/**
 * The house of STYLE section 1: who may import whom, and what each folder's door hands out.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const FOLDERS = ["runtime", "sources", "operators", "sinks", "ui", "cli"] as const;
type Folder = (typeof FOLDERS)[number];

const filesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith(".d.ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"));

interface Import {
  /** From the root, "operators/index.ts"; of a package, its specifier. */
  readonly of: string;
  readonly local: boolean;
}

/** Static, dynamic and type imports, and what is exported from elsewhere. */
function importsOf(file: string): Import[] {
  return ts
    .preProcessFile(readFileSync(join(root, file), "utf8"))
    .importedFiles.map(({ fileName }) =>
      fileName.startsWith(".")
        ? { of: posix.join(posix.dirname(file), fileName), local: true }
        : { of: fileName, local: false },
    );
}

const DOOR = "runtime/index.ts";

/** Whether a file of a folder may import this file of the house. */
const ARROWS: Record<Folder, (of: string, from: string) => boolean> = {
  // The wire runs in a browser too, so it knows nothing of the rest.
  runtime: (of, from) => of.startsWith(from.startsWith("runtime/wire/") ? "runtime/wire/" : "runtime/"),
  sources: (of) => of === DOOR || of.startsWith("sources/"),
  operators: (of) => of === DOOR || of.startsWith("operators/"),
  sinks: (of) => of === DOOR || of.startsWith("sinks/"),
  ui: (of) => of.startsWith("runtime/wire/") || of.startsWith("ui/"),
  cli: (of) =>
    of.startsWith("cli/") ||
    /^(sources|operators|sinks|bench)\/index\.ts$/.test(of) ||
    of.startsWith("runtime/"),
};

/** Whether a file of a folder may import this package or module of Node. */
const PACKAGES: Record<Folder, (name: string, from: string) => boolean> = {
  runtime: (name, from) => !from.startsWith("runtime/wire/") || !name.startsWith("node:"),
  sources: (name, from) => name !== "rxjs" || from.startsWith("sources/network/"),
  // No clock, no file, no socket, no thread, no graph: replay must give the same bytes.
  operators: () => false,
  sinks: (name) => name !== "rxjs",
  ui: (name, from) => from === "ui/vite.config.ts" || (!name.startsWith("node:") && name !== "rxjs"),
  cli: (name) => name !== "rxjs",
};

test.each(FOLDERS)("%s imports along the arrows only", (folder) => {
  const files = filesIn(folder);
  expect(files.length).toBeGreaterThan(0);
  const wrong = files.flatMap((from) =>
    importsOf(from)
      .filter(({ of, local }) => !(local ? ARROWS : PACKAGES)[folder](of, from))
      .map(({ of }) => `${from} → ${of}`),
  );
  expect(wrong).toEqual([]);
});

test("the arrows are seen in every kind of import", () => {
  const kinds = `import a from "./a.ts"; import type { B } from "./b.ts"; export { c } from "./c.ts"; export type * from "./d.ts";
    const e = await import("./e.ts"); type F = import("./f.ts").F; import "./g.ts";`;
  const found = ts.preProcessFile(kinds).importedFiles.map(({ fileName }) => fileName);
  expect(found.toSorted()).toEqual(["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts", "./f.ts", "./g.ts"]);
});

test("operators read no clock and no random source", () => {
  const found = filesIn("operators").flatMap((file) => {
    const source = ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.ESNext);
    const names: string[] = [];
    const visit = (node: ts.Node): void => {
      const text = ts.isPropertyAccessExpression(node) ? node.getText(source) : "";
      if (/^(Math\.random|Date\.now|performance\.\w+|process\.\w+|crypto\.\w+)$/.test(text))
        names.push(`${file}: ${text}`);
      if (ts.isNewExpression(node) && node.expression.getText(source) === "Date")
        names.push(`${file}: new Date`);
      ts.forEachChild(node, visit);
    };
    visit(source);
    return names;
  });
  expect(found).toEqual([]);
});

/** Names that a door hands out, types too. Throws where it does anything else. */
function doorOf(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.ESNext);
  return source.statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause)) {
      throw new Error(`${file} does more than export names: ${statement.getText(source)}`);
    }
    const { isTypeOnly, exportClause } = statement;
    return exportClause.elements.map((one) => `${isTypeOnly || one.isTypeOnly ? "type " : ""}${one.name.text}`);
  }).sort(); // prettier-ignore
}

test.each([
  "runtime/index.ts",
  "runtime/journal/index.ts",
  "sources/index.ts",
  "operators/index.ts",
  "sinks/index.ts",
])("%s hands out these names", (door) => {
  const names = doorOf(door);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toMatchSnapshot();
});

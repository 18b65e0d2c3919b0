// Compiles the kernels of operators/tomography/wasm/*.as.ts to one WebAssembly module, and writes its bytes into a
// module of TypeScript: operators read no files, and bundlers, threads and tests from source need no path to it.
import asc from "assemblyscript/asc";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = "operators/tomography/wasm";
const target = `${root}${folder}/kernels.wasm.ts`;

let bytes;
const { error, stderr } = await asc.main(
  [
    ...["back-projection", "forward-projection", "minus-log", "ramp-filter"].map(
      (name) => `${folder}/${name}.as.ts`,
    ),
    ...["--outFile", "kernels.wasm", "--baseDir", root],
    ...["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd"],
  ],
  { writeFile: (name, contents) => void (name.endsWith(".wasm") && (bytes = contents)) },
);
if (error || !bytes) {
  console.error(`${stderr}${error?.message ?? "asc gave out no module"}`);
  process.exit(1);
}
const text = `// Made by scripts/build-kernels.mjs from ${folder}/*.as.ts: ${bytes.length} bytes of WebAssembly.
export const KERNELS_BASE64: string =
  "${Buffer.from(bytes).toString("base64")}";
`;
if (!existsSync(target) || readFileSync(target, "utf8") !== text) writeFileSync(target, text);

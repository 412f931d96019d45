import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { allowedText, configJsonSchema, settings } from "../src/config/config-reference.ts";
import type { Setting } from "../src/config/config-reference.ts";
import { errorsPage } from "./errors-page.ts";

/** The generated files: path in the repository, and content. */
export function generatedDocs(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/configuration.md", configurationPage()],
    ["docs/errors.md", errorsPage()],
    ["docs/headrace.schema.json", `${JSON.stringify(configJsonSchema, null, 2)}\n`],
  ]);
}

function configurationPage(): string {
  const sections = [...settings()].filter(({ path }) => path.length === 1).map(section);
  return `${INTRODUCTION}\n${sections.join("\n")}`;
}

const INTRODUCTION = `# Configuration

<!-- Made by \`node dev/generate-docs.ts\` from src/config/; change it there. -->

Headrace reads one YAML file: \`headrace.yaml\`, or the file given with \`--config FILE\`. It checks the whole file before it does
anything else, and reports every mistake with its line and path. \`headrace.example.yaml\` is a commented example. With
\`headrace.schema.json\`, beside this page, an editor can complete and check the file.

\`\${NAME}\` in a value is replaced by the environment variable NAME, which must be set. Use it to keep passwords out of the file. For
the text \`\${\` write \`$\${\`. Times are in ms, sizes in bytes.
`;

function section(top: Setting): string {
  const [name = ""] = top.path;
  const inside = [...settings()].filter(({ path }) => path.length > 1 && path[0] === name);
  const lines = inside.length > 0 ? table(inside) : [allowed(top)];
  const required = top.required ? "Required." : "";
  return [`## ${name}`, "", `${top.node.description ?? ""} ${required}`.trim(), "", ...lines, ""].join("\n");
}

function table(rows: readonly Setting[]): string[] {
  const lines = rows.map((setting) => {
    const cells = [
      `\`${setting.path.join(".")}\``,
      allowed(setting),
      defaultText(setting),
      setting.node.description ?? "",
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return ["| key | allowed | default | meaning |", "| --- | --- | --- | --- |", ...lines];
}

function allowed({ node }: Setting): string {
  return allowedText(node);
}

function defaultText({ node, required }: Setting): string {
  if (required) return "required";
  const { default: value } = node;
  const isScalar = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return isScalar ? `\`${value}\`` : "";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of generatedDocs()) await writeFile(new URL(`../${file}`, import.meta.url), text);
}

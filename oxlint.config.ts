import { defineConfig } from "oxlint";
import { importOverrides, sourceFiles } from "./dev/import-rules.ts";

export default defineConfig({
  plugins: ["typescript", "import", "unicorn", "oxc", "node", "promise"],
  categories: { correctness: "error", suspicious: "error" },
  options: { typeAware: true },
  rules: {
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/await-thenable": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-explicit-any": "error",
    "typescript/switch-exhaustiveness-check": "error",
    "typescript/only-throw-error": "error",
    "typescript/no-non-null-assertion": "error",
    "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
    eqeqeq: "error",
    "no-unmodified-loop-condition": "off",
    "no-console": "error",
    "no-await-in-loop": "off",
    "no-underscore-dangle": "off",
    "unicorn/no-array-sort": "off",
    "import/no-unassigned-import": "off",
    "typescript/no-unsafe-type-assertion": "off",
    "no-shadow": "off",
    "promise/always-return": "off",
    "unicorn/consistent-function-scoping": "off",
  },
  ignorePatterns: ["dist"],
  overrides: [
    ...importOverrides(sourceFiles(new URL("src/", import.meta.url))),
    { files: ["src/cli/**", "dev/**", "bench/**"], rules: { "no-console": "off" } },
    { files: ["test/**"], rules: { "typescript/no-non-null-assertion": "off" } },
  ],
});

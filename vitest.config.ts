import { defineConfig } from "vitest/config";

const reportFile = process.env["HEADRACE_TEST_REPORT"];

export default defineConfig({
  test: {
    reporters: reportFile ? ["default", ["json", { outputFile: reportFile }]] : ["default"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.servers.test.ts", "test/**/*.long.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "servers",
          include: ["test/**/*.servers.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        // What takes minutes: not part of `npm test`.
        test: {
          name: "long",
          include: ["test/**/*.long.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
          testTimeout: 1_800_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});

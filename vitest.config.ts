import { defineConfig } from "vitest/config";

const { HEADRACE_TEST_REPORT: reportFile, HEADRACE_STACK } = process.env;
/** Tests of the Docker stack itself run only if it is chosen explicitly. */
const dockerTests = HEADRACE_STACK === "docker" ? ["test/**/*.docker.test.ts"] : [];

export default defineConfig({
  test: {
    // Most of a test with servers is waiting: two at a time keep two cores busy.
    maxWorkers: 2,
    reporters: reportFile ? ["default", ["json", { outputFile: reportFile }]] : ["default"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.servers.test.ts", "test/**/*.docker.test.ts", "test/**/*.long.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "servers",
          include: ["test/**/*.servers.test.ts", ...dockerTests],
          globalSetup: ["test/support/global-setup.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        // Tests that take minutes. `npm test` leaves them out.
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

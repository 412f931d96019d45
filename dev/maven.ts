import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "./tools.ts";

// One at a time: Maven does not promise that two processes may fill one local repository.
let queue: Promise<unknown> = Promise.resolve();

/** Has Maven fill a folder: goal and options of its dependency plugin, for the dependencies (XML) given. */
export async function fillByMaven({
  maven,
  folder,
  dependencies,
  goal,
  signal,
}: {
  readonly maven: string;
  readonly folder: string;
  readonly dependencies: string;
  readonly goal: readonly [string, ...string[]];
  readonly signal: AbortSignal;
}): Promise<void> {
  const pom = join(folder, "pom.xml");
  await writeFile(
    pom,
    `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId><artifactId>download</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>${dependencies}</dependencies>
</project>
`,
  );
  const [name, ...options] = goal;
  const plugin = `org.apache.maven.plugins:maven-dependency-plugin:3.8.1:${name}`;
  const run = queue.then(() =>
    runTool(
      "Maven",
      [maven, "--batch-mode", "--quiet", "--file", pom, plugin, `-DoutputDirectory=${folder}`, ...options],
      signal,
    ),
  );
  queue = run.catch(() => {});
  await run;
}

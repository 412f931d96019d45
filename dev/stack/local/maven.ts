import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { reported } from "../../reported.ts";
import { cached } from "./cache.ts";
import { runTool } from "./tools.ts";
import type { LocalContext } from "./types.ts";

export interface MavenDownload {
  /** For people to read. */
  readonly name: string;
  /** Name of its cache entry. */
  readonly entry: string;
  readonly sizeMegabytes: number;
  /** `<dependency>` elements. */
  readonly dependencies: string;
  /** `<dependency>` elements that set the versions of dependencies' dependencies. */
  readonly managed?: string;
  /** More arguments for the goal. */
  readonly options?: readonly string[];
  /** Goal of Maven's dependency plugin, which fills the folder. */
  readonly goal: "copy-dependencies" | "unpack-dependencies";
}

/** What a download needs. */
export type MavenContext = Pick<LocalContext, "cache" | "report" | "signal">;

// One download at a time: Maven does not allow two processes to write to one local repository.
let queue: Promise<unknown> = Promise.resolve();

/** The folder of a Java program. Downloads it if it is not in the cache. */
export async function downloadByMaven(
  { name, entry, sizeMegabytes, dependencies, managed = "", goal, options = [] }: MavenDownload,
  { cache, report, signal }: MavenContext,
): Promise<string> {
  return await cached(cache, entry, async (folder) => {
    const pom = join(folder, "pom.xml");
    await writeFile(pom, project(dependencies, managed));
    const plugin = `org.apache.maven.plugins:maven-dependency-plugin:3.8.1:${goal}`;
    const command = [
      "mvn",
      "--batch-mode",
      "--quiet",
      "--file",
      pom,
      plugin,
      `-DoutputDirectory=${folder}`,
      ...options,
    ] as const;
    const download = queue.then(() =>
      reported(report, [`${name}: downloading (${sizeMegabytes} MB, once)`, `${name}: downloaded`], () =>
        runTool("Maven", command, signal),
      ),
    );
    queue = download.catch(() => {});
    await download;
  });
}

function project(dependencies: string, managed: string): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId><artifactId>download</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies>${managed}</dependencies></dependencyManagement>
  <dependencies>${dependencies}</dependencies>
</project>
`;
}

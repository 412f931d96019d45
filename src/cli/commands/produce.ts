import { Command } from "commander";
import { onConfig } from "../command-context.ts";
import { produceFrom } from "./producing.ts";
import { runService } from "../service.ts";

export function produceCommand(): Command {
  const command = new Command("produce").description(
    "Copy the collections and follow their changes, from MongoDB into Kafka. One process of this per pipeline.",
  );
  return onConfig(command, "service", (context) =>
    runService(context, ["mongodb", "kafka", "schemaRegistry"], (activity) =>
      produceFrom({ ...context, observer: activity.producer, once: false }),
    ),
  );
}

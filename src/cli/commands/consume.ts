import { Command } from "commander";
import { runConsumer } from "../../consumers/run-consumer.ts";
import { onConfig } from "../command-context.ts";
import { runService } from "../service.ts";

export function consumeCommand(): Command {
  const command = new Command("consume").description(
    "Bring what is in Kafka into PostgreSQL. Any number of processes share the work, up to kafka.partitions.",
  );
  return onConfig(command, "service", (context) =>
    runService(context, ["kafka", "schemaRegistry", "postgres"], (activity) =>
      runConsumer({ ...context, observer: activity.consumer }),
    ),
  );
}

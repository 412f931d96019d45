// Rights in Kafka, given as the commands of Kafka's own tool tell.
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from "kafkajs";
import type { AclEntry } from "kafkajs";

const RESOURCES = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  "transactional-id": AclResourceTypes.TRANSACTIONAL_ID,
} as const;

const OPERATIONS: Readonly<Record<string, AclOperationTypes>> = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Create: AclOperationTypes.CREATE,
  Delete: AclOperationTypes.DELETE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
  AlterConfigs: AclOperationTypes.ALTER_CONFIGS,
};

/** The rights that the `kafka-acls.sh --add` commands in a text give. */
export function aclsOf(text: string): AclEntry[] {
  const commands = text.match(/kafka-acls\.sh [^;\n]*/g) ?? [];
  return commands.flatMap((command) => {
    const resource = /--(topic|group|transactional-id) (\S+)/.exec(command);
    const principal = /--allow-principal (\S+)/.exec(command)?.[1];
    const operations = [...command.matchAll(/--operation (\S+)/g)].map(([, operation = ""]) => OPERATIONS[operation]);
    if (resource === null || principal === undefined || operations.length === 0)
      throw new Error(`not understood: ${command}`);
    return operations.map((operation) => {
      if (operation === undefined) throw new Error(`not understood: ${command}`);
      return {
        resourceType: RESOURCES[resource[1] as keyof typeof RESOURCES],
        resourceName: String(resource[2]),
        resourcePatternType: command.includes("--resource-pattern-type prefixed")
          ? ResourcePatternTypes.PREFIXED
          : ResourcePatternTypes.LITERAL,
        principal,
        host: "*",
        operation,
        permissionType: AclPermissionTypes.ALLOW,
      };
    });
  });
}

import type { ErrorTable } from "./error-table.ts";

const NOT_FOLLOWED =
  "Choose one: set `mongodb.onDrop: apply`, and Headrace empties the table and copies the collection again. Or list the other collections in `collections` without this one, and look after its table yourself. Or, to copy everything again, delete the pipeline's positions topic and empty the tables.";

/** MongoDB: see `codes.ts` for how to add a code. */
export const MONGODB_ERRORS = {
  MONGODB_UNAVAILABLE: {
    kind: "retryable",
    meaning: "MongoDB is unreachable, has no primary at the moment, or interrupted a read.",
    remedy:
      "Check that the replica set runs at the addresses in mongodb.uri and has a primary, and whether it wants TLS (`tls=true`). Headrace resumes by itself.",
  },
  MONGODB_URI_INVALID: {
    kind: "fatal",
    meaning: "mongodb.uri is not a valid MongoDB connection string.",
    remedy: "Correct mongodb.uri.",
  },
  MONGODB_LOGIN_FAILED: {
    kind: "fatal",
    meaning: "MongoDB rejected the user.",
    remedy: "Check the user, the password and authSource in mongodb.uri.",
  },
  MONGODB_TLS_FAILED: {
    kind: "fatal",
    meaning: "No TLS connection to MongoDB is possible with the options in mongodb.uri. The message gives the reason.",
    remedy:
      "Correct the TLS options in mongodb.uri: `tls`, `tlsCAFile` (the authority that signed the servers' certificates), `tlsCertificateKeyFile`.",
  },
  MONGODB_FORBIDDEN: {
    kind: "fatal",
    meaning: "The MongoDB user is not allowed to read.",
    remedy: "Give the user the role `read` on the database (it includes find, listCollections and changeStream).",
  },
  MONGODB_NOT_REPLICA_SET: {
    kind: "fatal",
    meaning: "The server is standalone and so has no change streams, or it is a sharded cluster.",
    remedy:
      "Run MongoDB as a replica set. One member is enough: start `mongod --replSet rs0`, then run `rs.initiate()`.",
  },
  MONGODB_TOO_OLD: {
    kind: "fatal",
    meaning: "The server is older than MongoDB 5.0 and cannot be read at a given cluster time.",
    remedy: "Use MongoDB 5.0 or later.",
  },
  MONGODB_UNEXPECTED: {
    kind: "fatal",
    meaning: "MongoDB or its driver reported an error that Headrace does not know.",
    remedy: "Look at the cause and at MongoDB's log, fix the problem, and restart.",
  },
  STREAM_LOST: {
    kind: "retryable",
    meaning:
      "MongoDB cannot resume the change stream: the oplog no longer has the last event, or MongoDB does not know the resume token.",
    remedy:
      "Nothing to do: Headrace opens the stream again, at the token's cluster time if necessary. If the oplog no longer reaches back to it, HISTORY_LOST follows.",
  },
  HISTORY_LOST: {
    kind: "fatal",
    meaning:
      "The oplog no longer reaches back to the stored position, or MongoDB was restored from an older backup: changes are lost, and `mongodb.onHistoryLost` is `fail`.",
    remedy:
      "Start the producer with `mongodb.onHistoryLost: resnapshot`. It copies all collections again while it follows the changes, and then deletes the rows whose documents are gone; the tables are never empty. If the oplog was too short, make it larger: it must hold the changes of the longest time that the producer may be down.",
  },
  MONGODB_CLOCK_BEHIND: {
    kind: "retryable",
    meaning:
      "MongoDB's cluster time is before changes that the pipeline has published or that a table to be taken over has: MongoDB was restored from an older backup, or it is another cluster. What is copied now would count as older than the rows in the tables.",
    remedy:
      "Correct the clock of the MongoDB servers. Headrace tries again until their time has passed that of the pipeline.",
  },
  POSITION_OF_OTHER_CLUSTER: {
    kind: "fatal",
    meaning: "The pipeline's position belongs to a different replica set than mongodb.uri.",
    remedy: "Correct mongodb.uri, or use another pipeline name for the other replica set.",
  },
  POSITION_OF_OTHER_DATABASE: {
    kind: "fatal",
    meaning: "The pipeline's position belongs to a different database than mongodb.database.",
    remedy: "Correct mongodb.database, or use another pipeline name for the other database.",
  },
  POSITION_WENT_BACK: {
    kind: "fatal",
    meaning: "The source gave a position that is before the stored one.",
    remedy: "Restart. If it happens again, report it.",
  },
  COLLECTION_UNFIT: {
    kind: "fatal",
    meaning:
      "`collections` names a view, a time-series collection, or a capped collection, which MongoDB cannot read at a given cluster time.",
    remedy: "Remove it from `collections`. Instead of a view, replicate the collections that it reads.",
  },
  FILTER_REFUSED: {
    kind: "fatal",
    meaning:
      "MongoDB refuses the `filter` of a collection, or cannot apply it to one of the collection's documents. The message has MongoDB's words where they can quote no document.",
    remedy: "Correct the collection's `filter`: a query as `find` takes it. Then run headrace check.",
  },
  COLLECTION_DROPPED: {
    kind: "fatal",
    meaning: "A replicated collection was dropped, and `mongodb.onDrop` is `fail`.",
    remedy: NOT_FOLLOWED,
  },
  COLLECTION_RENAMED: {
    kind: "fatal",
    meaning:
      "A replicated collection was renamed, or it was replaced by a rename or by `$out`, and `mongodb.onDrop` is `fail`.",
    remedy: NOT_FOLLOWED,
  },
  DOCUMENT_WITHOUT_ID: {
    kind: "fatal",
    meaning: "MongoDB returned a document without an _id.",
    remedy: "Report it with MongoDB's version.",
  },
  EVENT_TOO_LARGE: {
    kind: "fatal",
    meaning:
      "A change has an event of more than 16 MB even without its document, because its _id has several MB. MongoDB cannot deliver such an event.",
    remedy:
      "List the other collections in `collections` without this one. To replicate it again, give such documents a shorter _id first.",
  },
  EVENT_UNKNOWN: {
    kind: "fatal",
    meaning: "MongoDB's change stream has an event that Headrace does not know.",
    remedy: "Report it with MongoDB's version.",
  },
  RESUME_TOKEN_UNREADABLE: {
    kind: "fatal",
    meaning: "MongoDB's change stream gave no resume token that begins with a cluster time.",
    remedy: "Use MongoDB 5.0 or later. If you do, report it with MongoDB's version.",
  },
  STREAM_DISORDERED: {
    kind: "fatal",
    meaning: "The cluster time of MongoDB's change stream went back.",
    remedy: "Restart. If it happens again, report it with MongoDB's version.",
  },
  SNAPSHOT_KEYS_UNREADABLE: {
    kind: "fatal",
    meaning: "No _id in the last chunk can be used in a query, so the snapshot cannot find its next chunk.",
    remedy: "Set a larger snapshot.chunkDocuments, or leave the collection out.",
  },
} as const satisfies ErrorTable;

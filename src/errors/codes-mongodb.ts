import type { ErrorTable } from "./error-table.ts";

const NOT_FOLLOWED =
  "With `mongodb.onDrop: fail` Headrace does not carry this over to the tables. Set it to `apply`, which empties them; or leave the collection out of `collections` (list the others there) and see to its table yourself; or, to copy everything anew, delete the pipeline's positions topic and empty the tables.";

/** MongoDB: see `codes.ts` for how to add a code. */
export const MONGODB_ERRORS = {
  MONGODB_UNAVAILABLE: {
    kind: "retryable",
    meaning: "MongoDB cannot be reached, has no primary at the moment, or broke a read off.",
    remedy: "Check that the replica set has a primary and can be reached; Headrace goes on by itself once it can.",
  },
  MONGODB_URI_INVALID: {
    kind: "fatal",
    meaning: "mongodb.uri is not an address that the driver understands.",
    remedy: "Correct mongodb.uri.",
  },
  MONGODB_LOGIN_FAILED: {
    kind: "fatal",
    meaning: "MongoDB refuses the user.",
    remedy: "Check the user, the password and authSource in mongodb.uri.",
  },
  MONGODB_FORBIDDEN: {
    kind: "fatal",
    meaning: "MongoDB does not let the user read.",
    remedy: "Give the user the role `read` on the database (it includes find, listCollections and changeStream).",
  },
  MONGODB_NOT_REPLICA_SET: {
    kind: "fatal",
    meaning: "The server is a standalone one, which has no change streams, or a sharded cluster.",
    remedy: "Run MongoDB as a replica set (one member is enough): `mongod --replSet rs0`, then `rs.initiate()`.",
  },
  MONGODB_TOO_OLD: {
    kind: "fatal",
    meaning: "The server cannot be read at given cluster times, which came with MongoDB 5.0.",
    remedy: "Use MongoDB 5.0 or later.",
  },
  MONGODB_UNEXPECTED: {
    kind: "fatal",
    meaning: "MongoDB or its driver answered something that Headrace does not know.",
    remedy: "Look at the cause and into MongoDB's log, mend it, and start again.",
  },
  STREAM_LOST: {
    kind: "retryable",
    meaning:
      "MongoDB cannot go on with the change stream where it stood: the oplog has rolled past it, or the resume token is not one that MongoDB knows.",
    remedy:
      "Nothing: Headrace opens the stream again, at the token's time if it has to, and finds out whether history is lost (HISTORY_LOST).",
  },
  HISTORY_LOST: {
    kind: "fatal",
    meaning:
      "The producer stood for longer than the oplog reaches back: the changes since the stored position are gone, and `mongodb.onHistoryLost` is `fail`.",
    remedy:
      "Start the producer with `mongodb.onHistoryLost: resnapshot`: it copies all collections anew while it follows the changes, and then deletes the rows whose documents are gone; the tables are never empty. Make the oplog larger, so that it holds the changes of the longest time that the producer may stand still.",
  },
  POSITION_OF_OTHER_CLUSTER: {
    kind: "fatal",
    meaning: "The pipeline's position belongs to another replica set than mongodb.uri leads to.",
    remedy: "Correct mongodb.uri, or use another pipeline name for the other cluster.",
  },
  POSITION_WENT_BACK: {
    kind: "fatal",
    meaning: "The source gave a position before one that is stored already.",
    remedy: "Start again; should it come back, report it.",
  },
  UNKNOWN_COLLECTION: {
    kind: "fatal",
    meaning: "The database has no collection of a name that the config or a command gives.",
    remedy: "Correct the name in `collections`, take it out, or create the collection first (db.createCollection).",
  },
  COLLECTION_CAPPED: {
    kind: "fatal",
    meaning: "A capped collection cannot be replicated, as MongoDB does not read it at a given time.",
    remedy: "List the collections to replicate in `collections`, without the capped ones.",
  },
  COLLECTION_UNFIT: {
    kind: "fatal",
    meaning: "`collections` names a view, a time-series collection or one of MongoDB's own.",
    remedy: "Take it out of `collections`; replicate what a view reads instead.",
  },
  COLLECTION_DROPPED: {
    kind: "fatal",
    meaning: "A replicated collection was dropped, and `mongodb.onDrop` is `fail`.",
    remedy: NOT_FOLLOWED,
  },
  COLLECTION_RENAMED: {
    kind: "fatal",
    meaning:
      "A replicated collection was renamed, or replaced by a rename or by `$out`, and `mongodb.onDrop` is `fail`.",
    remedy: NOT_FOLLOWED,
  },
  DOCUMENT_WITHOUT_ID: {
    kind: "fatal",
    meaning: "MongoDB gave a document without an _id.",
    remedy: "Report it with MongoDB's version.",
  },
  EVENT_TOO_LARGE: {
    kind: "fatal",
    meaning:
      "A change has an event of more than 16 MB even without its document, hence an _id of several MB, which MongoDB cannot deliver.",
    remedy:
      "Leave its collection out of `collections` (list the others there), or give such documents a shorter _id and make the collection's copy anew.",
  },
  EVENT_UNKNOWN: {
    kind: "fatal",
    meaning: "MongoDB's change stream has an event of a kind that Headrace does not know.",
    remedy: "Report it with MongoDB's version.",
  },
  RESUME_TOKEN_UNREADABLE: {
    kind: "fatal",
    meaning: "MongoDB's change stream gave no resume token that begins with a cluster time.",
    remedy: "Use MongoDB 5.0 or later; should it be one, report it with its version.",
  },
  STREAM_DISORDERED: {
    kind: "fatal",
    meaning: "MongoDB's change stream went back in time.",
    remedy: "Start again; should it come back, report it with MongoDB's version.",
  },
  SNAPSHOT_KEYS_UNREADABLE: {
    kind: "fatal",
    meaning:
      "None of the documents of a snapshot chunk has an _id that can be asked for, so that it cannot go on behind them.",
    remedy: "Make snapshot.chunkDocuments larger, or leave the collection out.",
  },
} as const satisfies ErrorTable;

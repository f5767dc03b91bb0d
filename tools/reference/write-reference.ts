/** Writes the pages of docs/reference; `make reference` runs it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { CLI_DOCUMENT, cliDocument } from "./cli-doc.js";
import { ERRORS_DOCUMENT, errorsDocument } from "./errors-doc.js";
import { PROTO_DOCUMENTS, protoDocument } from "./proto-doc.js";

mkdirSync("docs/reference", { recursive: true });
writeFileSync(CLI_DOCUMENT, cliDocument());
writeFileSync(ERRORS_DOCUMENT, errorsDocument());
for (const each of PROTO_DOCUMENTS) writeFileSync(each.document, protoDocument(each));

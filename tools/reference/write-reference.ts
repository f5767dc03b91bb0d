/** Writes the pages of docs/reference, and the picture of `admin top`; `make reference` runs it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { CLI_DOCUMENT, cliDocument } from "./cli-doc.js";
import { ERRORS_DOCUMENT, errorsDocument } from "./errors-doc.js";
import { PROTO_DOCUMENTS, protoDocument } from "./proto-doc.js";
import { TOP_DOCUMENT, topDocument } from "./top-doc.js";

mkdirSync("docs/reference", { recursive: true });
writeFileSync(CLI_DOCUMENT, cliDocument());
writeFileSync(ERRORS_DOCUMENT, errorsDocument());
writeFileSync(TOP_DOCUMENT, topDocument());
for (const each of PROTO_DOCUMENTS) writeFileSync(each.document, protoDocument(each));

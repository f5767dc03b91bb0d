/** The form of node ids, request ids and service ids. */
import { limits } from "./limits.js";

export const idPattern = new RegExp(`^[A-Za-z0-9._-]{1,${limits.idLengthMax}}$`);

/** What an id has to be, for errors. */
export const ID_EXPECTED = `1 to ${limits.idLengthMax} characters of A-Z a-z 0-9 . _ -`;

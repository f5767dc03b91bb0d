/** The node of a snapshot that names none, and whose results `watch` shows by default. */
export const NODE_DEFAULT = "cli";

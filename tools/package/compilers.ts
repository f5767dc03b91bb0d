/** The processors for which a package carries native parts. */

/** By the platform and processor of Node: the compiler. */
export const COMPILERS = {
  "linux-x64": "x86_64-linux-gnu-g++",
  "linux-arm64": "aarch64-linux-gnu-g++",
};

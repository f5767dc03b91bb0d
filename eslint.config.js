import tseslint from "typescript-eslint";

export default tseslint.config(
  {
    ignores: [
      "dist",
      "build",
      "out",
      "proto/gen",
      ".prover-venv",
      "**/*.mjs",
      "**/*.cjs",
      "eslint.config.js",
      "vitest.config.ts",
      "vitest.mutation.config.ts",
    ],
  },
  ...tseslint.configs.strict,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json" } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-extraneous-class": "off",
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "Named exports only." },
        { selector: "ExportAllDeclaration", message: "index.ts lists its exports by name." },
      ],
    },
  },
  {
    files: ["page/**/*.ts"],
    languageOptions: { parserOptions: { project: "./page/tsconfig.json" } },
  },
  {
    files: ["test/page/**/*.ts"],
    languageOptions: { parserOptions: { project: "./test/page/tsconfig.json" } },
  },
  // A suite is one function that holds its tests.
  { files: ["test/**/*.test.ts"], rules: { "max-lines-per-function": "off" } },
);

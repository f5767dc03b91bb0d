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
      "eslint.config.js",
      "vitest.config.ts",
    ],
  },
  ...tseslint.configs.strict,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json" } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-extraneous-class": "off",
      "max-lines": ["error", 400],
    },
  },
);

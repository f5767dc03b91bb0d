// Without the fonts of the theme: the reader's own, and nothing to load.
export { default } from "vitepress/theme-without-fonts";
import "./style.css";

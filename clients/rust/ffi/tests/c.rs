//! The header compiles as C and as C++, and the example runs under the address sanitizer.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: there is no {tool}");
    }
    there
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}\n{errors}");
    text
}

#[test]
fn the_header_compiles_in_c_and_in_cpp() {
    for (tool, language) in [("cc", "c"), ("c++", "c++")] {
        if has(tool) {
            let header = root().join("include/lean_aggregator.h");
            let strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];
            run(Command::new(tool)
                .args(strict)
                .args(["-x", language])
                .arg(header));
        }
    }
}

#[test]
fn the_example_runs_under_the_address_sanitizer() {
    if !has("cc") {
        return;
    }
    // Tests are in target/PROFILE/deps, and beside it is the library.
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let library = profile.join("liblean_aggregator.a");
    if !library.exists() {
        eprintln!(
            "skipped: {} is not built: cargo build -p lean-aggregator-ffi",
            library.display()
        );
        return;
    }
    let example = Path::new(env!("CARGO_TARGET_TMPDIR")).join("submit");
    run(Command::new("cc")
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-g",
            "-fsanitize=address,undefined",
        ])
        .arg("-I")
        .arg(root().join("include"))
        .arg(root().join("examples/submit.c"))
        .arg(library)
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&example));
    // Nobody listens there: the first endpoint is connecting, and the request waits.
    let text = run(Command::new(&example).args(["127.0.0.1:1", "short"]));
    assert!(
        text.contains("submitted") || text.contains("unreachable"),
        "{text}"
    );
}

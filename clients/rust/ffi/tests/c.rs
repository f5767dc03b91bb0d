//! The header is what cbindgen makes, compiles as C and as C++, and programs in C run under the address
//! sanitizer: against nobody, and against a served project where `LEANAGG_SERVICE` names it.

#[path = "../../tests/support/ports.rs"]
mod ports;
#[path = "../../tests/support/served.rs"]
#[allow(dead_code)]
mod served;
#[path = "../../tests/support/tls.rs"]
#[allow(dead_code)]
mod tls;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use served::{program, Service};
use tls::{Authority, TlsService};

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

/// Compiles a program of C with the library, under the sanitizers. `None`: a tool is missing.
fn compiled(source: &str, program: &str) -> Option<PathBuf> {
    if !has("cc") {
        return None;
    }
    // The library is beside the tests: cargo makes it for them.
    let test = env::current_exe().unwrap();
    let library = test.with_file_name("liblean_aggregator.a");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program);
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g"]);
    compiler.arg("-fsanitize=address,undefined").arg("-I");
    compiler
        .arg(root().join("include"))
        .arg(root().join(source));
    compiler
        .arg(library)
        .args(["-lpthread", "-ldl", "-lm", "-o"]);
    run(compiler.arg(&built));
    Some(built)
}

#[test]
fn the_header_is_what_cbindgen_makes() {
    if !has("cbindgen") {
        return;
    }
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("made.h");
    let mut cbindgen = Command::new("cbindgen");
    cbindgen.arg("--config").arg(root().join("cbindgen.toml"));
    run(cbindgen.arg("--output").arg(&made).arg(root()));
    let made = fs::read_to_string(made).unwrap();
    let header = root().join("include/lean_aggregator.h");
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&header, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&header).unwrap_or_default() == made,
        "{} is old: run UPDATE_HEADER=1 cargo test -p lean-aggregator-ffi --test c",
        header.display()
    );
}

#[test]
fn the_header_compiles_in_c_and_in_cpp() {
    for (tool, language) in [("cc", "c"), ("c++", "c++")] {
        if has(tool) {
            let strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];
            let header = root().join("include/lean_aggregator.h");
            let mut compiler = Command::new(tool);
            compiler.args(strict).args(["-x", language]);
            run(compiler.arg(header));
        }
    }
}

#[test]
fn without_a_service_the_example_ends() {
    if let Some(example) = compiled("examples/submit.c", "submit-alone") {
        // Nobody listens there: the first endpoint is connecting, and the request waits.
        let text = run(Command::new(&example).arg("127.0.0.1:1"));
        let is_told = text.contains("submitted") || text.contains("unreachable");
        assert!(is_told, "{text}");
    }
}

#[test]
fn what_is_invalid_is_logged() {
    let Some(invalid) = compiled("tests/invalid.c", "invalid") else {
        return;
    };
    // Accepts, and answers nothing: the endpoint stays connecting.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let text = run(Command::new(invalid).arg(endpoint));
    assert_eq!(text, "done\n");
}

/// Runs the example until it has a proof: the service may be starting.
fn prove(example: &mut Command) {
    let start = Instant::now();
    loop {
        let text = run(example);
        if text.contains("group 0: ending 0, proof of ") && !text.contains("of 0 bytes") {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(40),
            "no proof: {text}"
        );
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_example_takes_a_proof_of_a_served_project() {
    let Some(program) = program() else { return };
    let Some(example) = compiled("examples/submit.c", "submit") else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let authority = Authority::new();
    let ca = put("ca.pem", &authority.pem);
    let service = TlsService::start(&program, &authority, false);
    let mut with_token = Command::new(&example);
    let with_token = with_token.arg(service.endpoint()).arg(&ca);
    prove(with_token.env("TOKEN", &service.token));
    let service = TlsService::start(&program, &authority, true);
    let (certificate, key) = authority.node();
    let (certificate, key) = (put("node.pem", &certificate), put("key.pem", &key));
    let mut with_certificate = Command::new(&example);
    let with_certificate = with_certificate.arg(service.endpoint()).arg(&ca);
    prove(with_certificate.args([certificate, key]));
}

#[test]
fn wrong_arguments_checks_and_cancels_do_what_the_header_says() {
    let Some(program) = program() else { return };
    let Some(exercise) = compiled("tests/exercise.c", "exercise") else {
        return;
    };
    let Some(example) = compiled("examples/submit.c", "submit-first") else {
        return;
    };
    let fake = [
        "--prover",
        "fake",
        "--fake-accepts",
        "any",
        "--fake-time",
        "600",
    ];
    let service = Service::start(&program, &fake);
    prove(Command::new(example).arg(service.endpoint()));
    let text = run(Command::new(exercise).arg(service.endpoint()));
    assert!(text.ends_with("done\n"), "{text}");
}

//! The vectors of the repository. A crate that was unpacked alone has none.

use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;

/// A folder of `test/vectors`, or of the folder that `LEANAGG_VECTORS` names, for a copy of the crate.
/// `None`, with a line that says so, when there is none.
fn folder(name: &str) -> Option<fs::ReadDir> {
    let named = env::var_os("LEANAGG_VECTORS").map(PathBuf::from);
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/vectors");
    let path = named.clone().unwrap_or_else(own).join(name);
    match fs::read_dir(&path) {
        Ok(entries) => Some(entries),
        Err(error) if named.is_some() => panic!("LEANAGG_VECTORS: {}: {error}", path.display()),
        Err(_) => {
            eprintln!("skipped: there is no folder {}", path.display());
            None
        }
    }
}

/// The files of a folder of `test/vectors`, by name. Says so when the folder is missing.
pub fn files(name: &str) -> Vec<(String, Value)> {
    let Some(entries) = folder(name) else {
        return Vec::new();
    };
    let mut files: Vec<(String, Value)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let value = serde_json::from_str(&text);
            (
                name,
                value.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            )
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

pub fn number(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

pub fn numbers(value: &Value, key: &str) -> Vec<usize> {
    let list = value[key].as_array();
    let list = list.unwrap_or_else(|| panic!("no list `{key}` in {value}"));
    list.iter()
        .map(|each| usize::try_from(each.as_u64().unwrap()).unwrap())
        .collect()
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The files of a folder that have one JSON value in each line, by name.
pub fn lines(name: &str) -> Vec<(String, Vec<Value>)> {
    let Some(entries) = folder(name) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.to_string_lossy().ends_with(".ndjson"));
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let values = text.lines().map(|line| serde_json::from_str(line).unwrap());
            (name, values.collect())
        })
        .collect()
}

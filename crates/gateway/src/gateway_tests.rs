//! Compares the values that the code asks for with those that [`Gateway`] registers. The test reads
//! the sources, and finds only the spellings `: Data<T>` and `app_data::<T>`.

use std::{collections::BTreeSet, fs, path::Path};

/// Returns the names `T` of all `marker` + `T` + `>` in a text.
fn names<'a>(text: &'a str, marker: &str) -> BTreeSet<&'a str> {
    text.split(marker)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('>')?.0))
        .collect()
}

/// Adds the text of all source files in a directory.
fn read_sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_value_that_is_asked_for_is_registered() {
    let registered = names(include_str!("gateway.rs"), "Data<");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut text = String::new();
    for part in ["handlers", "http", "openapi", "session"] {
        read_sources(&source.join(part), &mut text);
    }
    let mut asked = names(&text, ": Data<");
    asked.extend(names(&text, "app_data::<"));
    // One of a handler, and one of a middleware: the markers still match.
    assert!(asked.contains("InitCache") && asked.contains("RateLimits"));
    let missing: Vec<&&str> = asked.difference(&registered).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

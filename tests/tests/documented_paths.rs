//! Files and directories that the documentation names, which must exist.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Endings of files that belong to the repository.
const EXTENSIONS: [&str; 11] = [
    "rs", "md", "sh", "py", "js", "toml", "proto", "yml", "sql", "html", "css",
];

/// Directories that a build or a tool makes.
const GENERATED: [&str; 6] = [
    "target",
    ".git",
    ".tools",
    "node_modules",
    "dist",
    "bench-results",
];

/// Every Markdown file of the repository. A path is written from the root of the repository, from the
/// directory of the document, or shortened from the left: `auth/src/feed/follow.rs` stands for
/// `crates/auth/src/feed/follow.rs`.
#[test]
fn documented_paths_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository");
    let mut files = BTreeSet::new();
    list(root, root, &mut files);
    let mut missing = Vec::new();
    let mut count = 0;
    for document in files.iter().filter(|file| is_document(file)) {
        let text = std::fs::read_to_string(root.join(document)).expect("a document");
        for path in paths(&text) {
            count += 1;
            let relative = document.parent().expect("a directory").join(&path);
            let exists = root.join(&path).exists()
                || root.join(relative).exists()
                || files.iter().any(|file| file.ends_with(&path));
            if !exists {
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(count > 200, "only {count} paths were found");
    assert!(
        missing.is_empty(),
        "files that do not exist:\n{}",
        missing.join("\n")
    );
}

/// The changelog names files of earlier releases.
fn is_document(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md") && file != Path::new("CHANGELOG.md")
}

fn list(root: &Path, directory: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = entry.path();
        let is_generated = GENERATED.iter().any(|name| entry.file_name() == *name);
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() && !is_generated => list(root, &path, files),
            kind if kind.is_file() => {
                files.insert(path.strip_prefix(root).expect("below the root").to_owned());
            }
            _ => {}
        }
    }
}

/// Returns the texts in backticks that are paths, and the targets of links.
fn paths(text: &str) -> Vec<String> {
    let code = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| is_path(text));
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://") && !link.starts_with(['#', '/']))
        .filter_map(|link| link.split('#').next());
    code.chain(links)
        .map(|path| path.split(':').next().unwrap_or(path).trim_end_matches('/'))
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_path(text: &str) -> bool {
    let file = text.split(':').next().unwrap_or(text);
    let has_extension = EXTENSIONS
        .iter()
        .any(|extension| file.ends_with(&format!(".{extension}")));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let is_file = has_extension && file.contains('/') && !file.starts_with('/');
    let is_directory = ["crates/", "tests/", "scripts/", "deploy/"]
        .iter()
        .any(|root| file.starts_with(root));
    (is_file || is_directory) && file.chars().all(is_plain)
}

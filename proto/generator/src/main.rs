//! Generates the Rust code of the gRPC contracts in `/proto` into `crates/rpc/src/generated`. The generated files are
//! checked in, so that a build of Doorward does not compile a compiler of protocol buffers.
//!
//!     make proto          generates
//!     make check          fails when the files are not those of the contracts

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const FILES: [&str; 2] = [
    "doorward/auth/v1/auth.proto",
    "doorward/directory/v1/directory.proto",
];

/// With the argument `--check`, compares and writes nothing.
fn main() -> Result<(), Box<dyn Error>> {
    let is_check = std::env::args()
        .nth(1)
        .is_some_and(|argument| argument == "--check");
    let directory = repository().join("crates/rpc/src/generated");
    let files = generate()?;
    for (name, content) in &files {
        let path = directory.join(name);
        if !is_check {
            std::fs::write(path, content)?;
        } else if !std::fs::read(path).is_ok_and(|old| old == *content) {
            return Err(format!(
                "crates/rpc/src/generated/{name} is out of date: run `make proto`"
            )
            .into());
        }
    }
    for entry in std::fs::read_dir(&directory)? {
        let name = entry?.file_name();
        if !files
            .iter()
            .any(|(generated, _)| name.to_str() == Some(generated))
        {
            return Err(format!("{} is not generated: delete it", name.display()).into());
        }
    }
    Ok(())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the name and content of each generated file.
///
/// # Errors
/// A contract is invalid, or a file system error.
fn generate() -> Result<Vec<(String, Vec<u8>)>, Box<dyn Error>> {
    let descriptors = protox::compile(FILES, [repository().join("proto")])?;
    let mut rpcs = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            rpcs.extend(service.method.iter().map(|method| {
                (
                    format!("{}{}", service.name(), method.name()),
                    format!("/{name}/{}", method.name()),
                )
            }));
        }
    }
    let mut files = vec![
        (
            "descriptors.bin".to_owned(),
            prost::Message::encode_to_vec(&descriptors),
        ),
        ("rpc.rs".to_owned(), rpc_enum(&rpcs)?.into_bytes()),
    ];
    let directory = std::env::temp_dir().join(format!("doorward-rpc-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    tonic_prost_build::configure()
        .out_dir(&directory)
        .compile_fds(descriptors)?;
    for entry in std::fs::read_dir(&directory)? {
        let entry = entry?;
        files.push((
            entry.file_name().to_string_lossy().into_owned(),
            std::fs::read(entry.path())?,
        ));
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(files)
}

/// Returns the source of an enum of all RPCs, given the variant and the path of each. Matches on it are exhaustive, so
/// an RPC that the access table lacks does not compile.
fn rpc_enum(rpcs: &[(String, String)]) -> Result<String, std::fmt::Error> {
    let mut source = String::from(
        "/// An RPC of the contracts.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\n\
         pub enum Rpc {\n",
    );
    for (variant, path) in rpcs {
        writeln!(source, "    /// `{path}`\n    {variant},")?;
    }
    source.push_str("}\n\nimpl Rpc {\n    pub const ALL: &'static [Self] = &[\n");
    for (variant, _) in rpcs {
        writeln!(source, "        Self::{variant},")?;
    }
    source.push_str(
        "    ];\n\n    /// Returns the RPC with this path, such as `/doorward.auth.v1.Auth/GetPublicKeys`.\n    \
         #[must_use]\n    pub fn from_path(path: &str) -> Option<Self> {\n        match path {\n",
    );
    for (variant, path) in rpcs {
        writeln!(source, "            {path:?} => Some(Self::{variant}),")?;
    }
    source.push_str(
        "            _ => None,\n        }\n    }\n\n    /// Returns the path of an HTTP/2 request for this RPC.\n    \
         #[must_use]\n    pub const fn path(self) -> &'static str {\n        match self {\n",
    );
    for (variant, path) in rpcs {
        writeln!(source, "            Self::{variant} => {path:?},")?;
    }
    source.push_str("        }\n    }\n}\n");
    Ok(source)
}

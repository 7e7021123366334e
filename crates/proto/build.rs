//! Compiles the contracts of `/proto` without protoc.

use std::fmt::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    let files = ["doorward/auth/v1/auth.proto", "doorward/directory/v1/directory.proto"];
    println!("cargo:rerun-if-changed={root}");
    let descriptors = protox::compile(files, [root])?;
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    let mut rpcs = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            rpcs.extend(
                service.method.iter().map(|method| {
                    (format!("{}{}", service.name(), method.name()), format!("/{name}/{}", method.name()))
                }),
            );
        }
    }
    std::fs::write(out.join("rpc.rs"), rpc_enum(&rpcs)?)?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
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
        "    ];\n\n    /// Returns the RPC with this path, such as `/doorward.auth.v1.Auth/GetKeys`.\n    \
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

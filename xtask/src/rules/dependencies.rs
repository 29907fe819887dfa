//! Rules for what the crates depend on.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Findings, Tracked, output};

/// Licences that ask for no more than their text; of alternatives one suffices.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Other cryptographic libraries than aws-lc.
const FORBIDDEN: [&str; 4] = ["ring", "openssl-sys", "native-tls", "mbedtls"];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM: &str = "https://registry.npmjs.org/";

pub(super) fn metadata(root: &Path) -> Result<Value> {
    let text = output(Command::new("cargo").current_dir(root).args(["metadata", "--locked", "--format-version", "1"]))?;
    Ok(serde_json::from_str(&text)?)
}

fn packages(metadata: &Value) -> Result<&Vec<Value>> {
    metadata["packages"].as_array().context("cargo metadata has no packages")
}

/// Everything that is built here, tests and build scripts included, each once. The lock file has more: it also names
/// what crates could be built with and are not.
fn built(root: &Path, format: &str) -> Result<BTreeSet<String>> {
    let tree = ["tree", "--locked", "--workspace", "--prefix", "none", "--format", format, "--target", "all"];
    let tree = output(Command::new("cargo").current_dir(root).args(tree))?;
    Ok(tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect())
}

pub(super) fn forbidden(root: &Path) -> Result<Findings> {
    let is_forbidden = |package: &String| FORBIDDEN.iter().any(|name| package.split(' ').next() == Some(name));
    Ok(built(root, "{p}")?.into_iter().filter(is_forbidden).collect())
}

pub(super) fn licences(root: &Path) -> Result<Findings> {
    let packages = built(root, "{p}: {l}")?;
    Ok(packages.into_iter().filter(|package| !package.rsplit(": ").next().is_some_and(can_ship)).collect())
}

/// Reads SPDX expressions as crates write them: alternatives of sums, or a sum of bracketed alternatives.
fn can_ship(licence: &str) -> bool {
    let licence = licence.replace('/', " OR ");
    let known = |name: &str| LICENCES.contains(&name.trim_matches(['(', ')', ' ']));
    if licence.contains(") AND") || licence.contains("AND (") {
        return licence.split(" AND ").all(|part| part.split(" OR ").any(known));
    }
    licence.split(" OR ").any(|alternative| alternative.split(" AND ").all(known))
}

/// Dependencies that no source file of their crate names.
pub(super) fn unused(metadata: &Value, files: &[Tracked]) -> Result<Findings> {
    let root = metadata["workspace_root"].as_str().context("cargo metadata has no workspace_root")?;
    let mut findings = Findings::new();
    for package in packages(metadata)?.iter().filter(|package| package["source"].is_null()) {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let folder = manifest.strip_prefix(root).and_then(|path| path.strip_suffix("Cargo.toml")).unwrap_or_default();
        let folder = folder.trim_start_matches('/');
        let own = || files.iter().filter(|file| file.path.starts_with(folder) && file.path.ends_with(".rs"));
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["rename"].as_str().or_else(|| dependency["name"].as_str()).unwrap_or_default();
            let name = name.replace('-', "_");
            if !own().any(|file| names(&file.text, &name)) {
                findings.push(format!("{folder}Cargo.toml: {name}"));
            }
        }
    }
    Ok(findings)
}

/// Whether the text has the name as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

pub(super) fn foreign_registries(files: &[Tracked]) -> Findings {
    let mut findings = Findings::new();
    for file in files {
        let (key, expected) = match file.path.rsplit('/').next() {
            Some("Cargo.lock") => ("source = \"", CRATES_IO),
            Some("package-lock.json") => ("\"resolved\": \"", NPM),
            Some("requirements.txt") => ("--index-url", "nothing"),
            _ => continue,
        };
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some((_, source)) = line.split_once(key)
                && !source.starts_with(expected)
            {
                findings.push(format!("{}:{number}: expected {expected}, got {source}", file.path));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_read_as_crates_write_them() {
        for fine in ["MIT", "MIT/Apache-2.0", "GPL-2.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "ISC AND MIT"] {
            assert!(can_ship(fine), "{fine}");
        }
        for wrong in ["GPL-3.0", "no licence", "MIT AND GPL-2.0", "(MIT OR ISC) AND GPL-2.0"] {
            assert!(!can_ship(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_dependency_is_named_only_by_a_whole_word() {
        assert!(names("use rand::Rng;", "rand"));
        assert!(!names("let operand = rand_core::new();", "rand"));
    }

    #[test]
    fn lock_files_name_public_registries() {
        let file = |path: &str, text: &str| Tracked { path: path.to_owned(), text: text.to_owned() };
        let good = file("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"");
        assert!(foreign_registries(&[good]).is_empty());
        let bad = file("a/package-lock.json", "  \"resolved\": \"https://mirror.example/ws.tgz\",");
        assert_eq!(foreign_registries(&[bad]).len(), 1);
    }
}

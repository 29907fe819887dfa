//! Rules for the text of files.

use std::collections::HashSet;
use std::path::Path;

use super::{Findings, Tracked};

/// Lines of code of one file, without tests at its foot, comments and blank lines.
const CODE_LINES: usize = 600;

/// This file names what it looks for.
const SELF: &str = "xtask/src/rules/text.rs";

/// Folders where a developer's or a build machine's files lie.
const MACHINE_FOLDERS: [&str; 5] = ["/work/", "/workspace/", "/Users/", "/mnt/", "/builds/"];

/// What the crates that decide may not use; time, randomness and bytes are given to them.
const IMPURE: [&str; 9] = [
    "Instant::now",
    "SystemTime::now",
    "rand::rng()",
    "std::fs",
    "std::thread",
    "tokio::",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
];
const PURE_CRATES: [&str; 5] =
    ["crates/wire/src/", "crates/transport/src/", "crates/realtime/src/", "crates/s2s/src/", "crates/engine/src/"];

/// The documents that comments refer to by section.
const PROTOCOL: [&str; 3] = ["operations.md", "serialization.md", "transports.md"];

fn is_code(path: &str) -> bool {
    [".rs", ".js", ".py"].iter().any(|ending| path.ends_with(ending))
}

pub(super) fn long_files(files: &[Tracked]) -> Findings {
    let code = files.iter().filter(|file| is_code(&file.path));
    code.filter_map(|file| {
        let body = file.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let lines = body.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line)).count();
        (lines > CODE_LINES).then(|| format!("{}: {lines} lines of code, expected at most {CODE_LINES}", file.path))
    })
    .collect()
}

fn is_comment(line: &str) -> bool {
    ["//", "/*", "* ", "*/", "# "].iter().any(|start| line.starts_with(start)) || line == "*" || line == "#"
}

pub(super) fn unfinished(files: &[Tracked]) -> Findings {
    let marks =
        ["todo!(", "unimplemented!(", "#[ignore", "TODO", "FIXME", "XXX", ".skip(true", "test.skip", "test.todo"];
    find(files.iter().filter(|file| is_code(&file.path)), &marks)
}

pub(super) fn machine_paths(files: &[Tracked], root: &Path) -> Findings {
    let root = root.display().to_string();
    let mut marks = MACHINE_FOLDERS.to_vec();
    // A clone directly below the root of the file system says nothing.
    if root.len() > "/src".len() {
        marks.push(&root);
    }
    find(files.iter(), &marks)
}

pub(super) fn impure(files: &[Tracked]) -> Findings {
    let pure = files.iter().filter(|file| PURE_CRATES.iter().any(|folder| file.path.starts_with(folder)));
    find(pure.filter(|file| !is_test_module(file, files)), &IMPURE)
}

/// Whether a file beside this one declares it for tests only.
fn is_test_module(file: &Tracked, files: &[Tracked]) -> bool {
    let Some((folder, name)) = file.path.rsplit_once('/') else { return false };
    let declaration = format!("#[cfg(test)]\nmod {};", name.trim_end_matches(".rs"));
    files.iter().any(|other| other.path.starts_with(folder) && other.text.contains(&declaration))
}

/// Lines that hold one of the marks.
fn find<'a>(files: impl Iterator<Item = &'a Tracked>, marks: &[&str]) -> Findings {
    let mut findings = Findings::new();
    for file in files.filter(|file| file.path != SELF) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some(mark) = marks.iter().find(|mark| line.contains(**mark)) {
                findings.push(format!("{}:{number}: {mark}", file.path));
            }
        }
    }
    findings
}

/// Links of Markdown files to files of the repository.
pub(super) fn dead_links(files: &[Tracked], root: &Path) -> Findings {
    let mut findings = Findings::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root.join(&file.path).parent().map(Path::to_owned).unwrap_or_default();
        for link in file.text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains(':') && !folder.join(path).exists() {
                findings.push(format!("{}: {link}", file.path));
            }
        }
    }
    findings
}

/// References like `transports.md, section 3.4` or `operations.md 2.4.2` to documents of `docs/protocol`.
pub(super) fn dead_sections(files: &[Tracked]) -> Findings {
    let mut findings = Findings::new();
    for document in PROTOCOL {
        let headings = files.iter().find(|file| file.path == format!("docs/protocol/{document}"));
        let Some(headings) = headings.map(|file| sections(&file.text)) else {
            findings.push(format!("docs/protocol/{document} is missing"));
            continue;
        };
        for file in files.iter().filter(|file| is_code(&file.path) && file.path != SELF) {
            for rest in file.text.split(document).skip(1) {
                for named in references(rest).into_iter().filter(|named| !headings.contains(named)) {
                    findings.push(format!("{}: {document} has no section {named}", file.path));
                }
            }
        }
    }
    findings
}

/// The numbers that a document's headings begin with.
fn sections(text: &str) -> HashSet<&str> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.filter_map(|line| line.trim_start_matches('#').split_whitespace().next()).map(trim_number).collect()
}

/// The numbers right behind a document's name: ", section 3.4", ", sections 1.3, 1.6 and 2.2", " 2.4.2".
fn references(rest: &str) -> Vec<&str> {
    let mut numbers = Vec::new();
    let mut more = true;
    for word in rest.split_whitespace() {
        match trim_number(word) {
            "" | "section" | "sections" | "//!" | "///" | "//" => {}
            "and" | "to" => more = true,
            number if more && is_number(number) => {
                numbers.push(number);
                more = word.ends_with(',');
            }
            _ => break,
        }
    }
    numbers
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn trim_number(word: &str) -> &str {
    word.trim_matches(['.', ',', ';', ':', ')', '(', '`'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Tracked {
        Tracked { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn code_is_counted_without_comments_and_tests() {
        let line = "let a = 1;\n".repeat(CODE_LINES);
        let tests = "#[cfg(test)]\nmod tests { }\n".to_owned() + &line;
        assert!(long_files(&[file("a.rs", &(line.clone() + "// why\n\n" + &tests))]).is_empty());
        assert_eq!(long_files(&[file("a.rs", &(line + "let b = 2;\n" + &tests))]).len(), 1);
    }

    #[test]
    fn sections_that_comments_name_must_exist() {
        let documents =
            || PROTOCOL.map(|name| file(&format!("docs/protocol/{name}"), "## 3. UDP\n### 3.4 Handshake\n"));
        let with = |text: &str| documents().into_iter().chain([file("a.rs", text)]).collect::<Vec<_>>();
        let good = "//! (transports.md, sections 3 and 3.4), operations.md 3.4; 0 keeps nothing.";
        assert_eq!(dead_sections(&with(good)), Findings::new());
        let bad = "// see transports.md, section 3.5 for 9 reasons, operations.md 7";
        assert_eq!(dead_sections(&with(bad)).len(), 2);
    }

    #[test]
    fn unfinished_work_is_found_with_its_line() {
        let findings = unfinished(&[file("b.rs", "fn a() {}\nfn b() { todo!() }")]);
        assert_eq!(findings, ["b.rs:2: todo!("]);
        assert!(unfinished(&[file("b.md", "todo!()")]).is_empty());
    }

    #[test]
    fn deciding_crates_are_pure() {
        let text = "let now = Instant::now();";
        let files = || vec![file("crates/engine/src/a.rs", text), file("crates/server/src/a.rs", text)];
        assert_eq!(impure(&files()).len(), 1);
        let mut with_declaration = files();
        with_declaration.push(file("crates/engine/src/lib.rs", "#[cfg(test)]\nmod a;"));
        assert!(impure(&with_declaration).is_empty());
    }
}

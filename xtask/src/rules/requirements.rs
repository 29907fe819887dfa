//! The table of TLS requirements and the tests that prove them.

use super::{Findings, Tracked};

const TABLE: &str = "docs/tls-requirements.md";
/// Letters of the requirements, and how many there are of each.
const REQUIREMENTS: [(char, u8); 3] = [('T', 32), ('G', 7), ('D', 19)];

/// Every requirement has a row, and every test that a row names is in the tree.
pub(super) fn unproven(files: &[Tracked]) -> Findings {
    let Some(table) = files.iter().find(|file| file.path == TABLE) else {
        return vec![format!("{TABLE} is missing")];
    };
    let mut findings = Findings::new();
    for (letter, count) in REQUIREMENTS {
        for number in 1..=count {
            let start = format!("| {letter}{number} |");
            match table.text.lines().find(|line| line.starts_with(&start)) {
                None => findings.push(format!("{TABLE}: no row for {letter}{number}")),
                Some(row) => findings.extend(dead_tests(row, files)),
            }
        }
    }
    findings
}

/// Tests that the last cell of a row names in backticks and nobody wrote; a row that names none is as bad.
fn dead_tests(row: &str, files: &[Tracked]) -> Findings {
    let cell = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
    let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        return vec![format!("{TABLE}: no test in {row}")];
    }
    let exists = |name: &str| {
        let (function, title) = (format!("fn {name}("), format!("test('{name}"));
        files.iter().any(|file| match file.path.rsplit('.').next() {
            Some("rs") => file.text.contains(&function),
            Some("js") => file.text.contains(&title),
            _ => false,
        })
    };
    named.into_iter().filter(|name| !exists(name)).map(|name| format!("{TABLE}: no test `{name}`")).collect()
}

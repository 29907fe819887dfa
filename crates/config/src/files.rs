//! Files on the disk, under names of any letter case.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::check::File;
use crate::source::MAX_FILE_BYTES;

/// Reads a file. Deployments come from a system that does not tell letter case apart in names, so neither does this; an
/// exact name is preferred. At most one byte more than [`MAX_FILE_BYTES`] is read.
///
/// # Errors
/// What the system says.
pub fn read_file(path: &Path) -> io::Result<File> {
    match read_exact_name(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match any_case(path) {
            Some(path) => read_exact_name(&path),
            None => Err(error),
        },
        read => read,
    }
}

fn read_exact_name(path: &Path) -> io::Result<File> {
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(File { path: path.to_owned(), bytes })
}

fn any_case(path: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for component in path.components() {
        let exact = found.join(component);
        let Component::Normal(name) = component else {
            found = exact;
            continue;
        };
        if exact.exists() {
            found = exact;
            continue;
        }
        let folder = if found.as_os_str().is_empty() { Path::new(".") } else { &found };
        let mut names: Vec<_> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort();
        let same = names.into_iter().find(|candidate| candidate.eq_ignore_ascii_case(name))?;
        found = found.join(same);
    }
    Some(found)
}

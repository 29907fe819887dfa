//! Files of the store: read whole, written whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::TlsError;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its owner alone.
    Private,
    /// Everybody.
    Public,
}

impl Access {
    const fn file_mode(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }

    const fn folder_mode(self) -> u32 {
        match self {
            Self::Private => 0o700,
            Self::Public => 0o755,
        }
    }
}

/// The file's bytes; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, TlsError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TlsError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path, access: Access) -> Result<(), TlsError> {
    DirBuilder::new()
        .recursive(true)
        .mode(access.folder_mode())
        .create(path)
        .map_err(|source| TlsError::Unwritable { path: path.to_owned(), source })
}

/// Replaces the file. A reader, or a start after a crash, sees the old bytes or the new ones, never a part.
pub(crate) fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), TlsError> {
    let beside = path.with_extension("new");
    let result = (|| {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(access.file_mode()).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    result.map_err(|source| TlsError::Unwritable { path: path.to_owned(), source })
}

/// Renames the file to one beside it that is not there yet, and returns that.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, TlsError> {
    let unwritable = |source| TlsError::Unwritable { path: path.to_owned(), source };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1_u32;
    loop {
        let beside =
            path.with_file_name(if number == 1 { format!("{name}.old") } else { format!("{name}.old{number}") });
        // A link fails where a renaming would replace.
        match fs::hard_link(path, &beside) {
            Ok(()) => return fs::remove_file(path).map(|()| beside).map_err(unwritable),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number = number.saturating_add(1),
            Err(error) => return Err(unwritable(error)),
        }
    }
}

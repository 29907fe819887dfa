//! Files of the store: read whole, written whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

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
    let is_new = !path.exists();
    DirBuilder::new()
        .recursive(true)
        .mode(access.folder_mode())
        .create(path)
        .map_err(|source| TlsError::Unwritable { path: path.to_owned(), source })?;
    if is_new {
        give_to_owner_of_folder(path, path);
    }
    Ok(())
}

/// Gives what root made in a folder of the server's user to that user, who could not read it otherwise. Nobody but root
/// can give files away, and nobody else has to.
fn give_to_owner_of_folder(made: &Path, place: &Path) {
    let Some(Ok(folder)) = place.parent().map(fs::metadata) else { return };
    let _ = chown(made, Some(folder.uid()), Some(folder.gid()));
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
        give_to_owner_of_folder(&beside, path);
        fs::rename(&beside, path)
    })();
    result.map_err(|source| TlsError::Unwritable { path: path.to_owned(), source })
}

/// Copies the file to one beside it that is not there yet, for its owner alone, and returns that. The file itself stays
/// until it is replaced, so that whoever reads it meanwhile finds it.
pub(crate) fn keep_aside(path: &Path) -> Result<PathBuf, TlsError> {
    let bytes = Zeroizing::new(read(path)?.unwrap_or_default());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1_u32;
    loop {
        let beside =
            path.with_file_name(if number == 1 { format!("{name}.old") } else { format!("{name}.old{number}") });
        let mode = Access::Private.file_mode();
        let copied = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        match copied {
            Ok(()) => return Ok(beside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number = number.saturating_add(1),
            Err(source) => return Err(TlsError::Unwritable { path: beside, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d14_what_root_makes_in_a_folder_of_the_servers_user_belongs_to_that_user() {
        let place = tempfile::tempdir().unwrap();
        // Whoever may not give files away owns them, as does the folder: both ways the owners agree.
        let _ = chown(place.path(), Some(12_345), Some(12_345));
        let owner = |path: &Path| fs::metadata(path).map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
        let folder = place.path().join("certs");
        make_folder(&folder, Access::Public).unwrap();
        let file = folder.join("server.pem");
        write(&file, b"new", Access::Private).unwrap();
        assert_eq!(owner(&folder), owner(place.path()));
        assert_eq!(owner(&file), owner(place.path()));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }
}

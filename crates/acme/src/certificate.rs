//! The file that is written: what is in it now, and how a new one takes its place.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lampyris_tls::{Identity, Summary};
use rustls_pki_types::CertificateDer;
use tempfile::NamedTempFile;

use crate::{AcmeError, placeholder};

/// What the file holds.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    pub(crate) fingerprint: [u8; 32],
    /// Whether it has every name that is wanted.
    pub(crate) covers: bool,
    /// Whether it is of this program's own making, and fills the place of one to come.
    pub(crate) is_makeshift: bool,
    /// The leaf.
    pub(crate) leaf: CertificateDer<'static>,
}

impl Current {
    /// What the file holds; `None` if it is not there or cannot be served.
    pub(crate) fn read(path: &Path, names: &[String]) -> Option<Self> {
        let identity = Identity::load(path, &lampyris_tls::config::provider()).ok()?;
        Self::of(&identity, names)
    }

    pub(crate) fn of(identity: &Identity, names: &[String]) -> Option<Self> {
        let summary = identity.summary();
        Some(Self {
            not_before: summary.not_before,
            not_after: summary.not_after,
            fingerprint: summary.fingerprint,
            covers: names.iter().all(|name| covers(summary, name)),
            is_makeshift: placeholder::is_makeshift(summary),
            leaf: identity.chain().first()?.clone(),
        })
    }

    /// Its SHA-256, in hexadecimal.
    pub(crate) fn fingerprint(&self) -> String {
        self.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn covers(summary: &Summary, name: &str) -> bool {
    if let Ok(address) = name.parse::<IpAddr>() {
        return summary.addresses.contains(&address);
    }
    let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let fits = |have: &String| {
        have.eq_ignore_ascii_case(name) || wildcard.as_ref().is_some_and(|wildcard| have.eq_ignore_ascii_case(wildcard))
    };
    summary.names.iter().any(fits)
}

/// A private file that is not yet in its place. Dropped, it is gone.
pub(crate) struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file that will replace `path`; so one knows early whether it can be written.
    pub(crate) fn begin(path: &Path) -> Result<Self, AcmeError> {
        let folder = folder_of(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Only its owner may read a temporary file.
        let begin = || {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".new").tempfile_in(folder)
        };
        let file = begin().map_err(|source| AcmeError::Unwritable { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes the content, to be read at [`Self::temporary`].
    pub(crate) fn fill(&mut self, content: &[u8]) -> Result<(), AcmeError> {
        let file = &mut self.file;
        let filled = file.write_all(content).and_then(|()| file.as_file().sync_all());
        filled.map_err(|source| AcmeError::Unwritable { path: self.path.clone(), source })
    }

    pub(crate) fn temporary(&self) -> &Path {
        self.file.path()
    }

    /// Puts it in its place. A reader, or a start after a crash, sees the old content or the new one, never a part.
    pub(crate) fn put(self) -> Result<(), AcmeError> {
        let put = || -> io::Result<()> {
            self.file.persist(&self.path).map_err(|error| error.error)?;
            File::open(folder_of(&self.path))?.sync_all()
        };
        put().map_err(|source| AcmeError::Unwritable { path: self.path.clone(), source })
    }
}

/// Replaces a file that only its owner may read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), AcmeError> {
    let mut file = NewFile::begin(path)?;
    file.fill(content)?;
    file.put()
}

/// The bytes of a file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, AcmeError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AcmeError::Unreadable { path: path.to_owned(), source }),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_private_and_takes_the_place_of_the_old_one_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certs/server.pem");
        write_private(&path, b"old").unwrap();
        let mut next = NewFile::begin(&path).unwrap();
        next.fill(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        next.put().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.pem");
        drop(NewFile::begin(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("certs"), "a file").unwrap();
        let error = NewFile::begin(&folder.path().join("certs/server.pem")).err().unwrap();
        assert!(error.to_string().contains("certs/server.pem"), "{error}");
    }
}

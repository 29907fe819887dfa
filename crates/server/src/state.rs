//! The state folder: secrets that outlive a restart. Certificates are kept by `lampyris-tls`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::StartError;

const SECRET_LENGTH: usize = 32;
/// More than a secret has, so that a file which is too long is seen.
const READ_AT_MOST: u64 = 4096;

/// What every worker must know and nobody else.
pub(crate) struct Secrets {
    /// Seals tokens.
    pub(crate) token: [u8; SECRET_LENGTH],
    /// Answers of the UDP handshake.
    pub(crate) udp: [u8; SECRET_LENGTH],
}

impl Secrets {
    /// Reads the secrets below `state`, making those that are missing.
    pub(crate) fn load(state: &Path) -> Result<Self, StartError> {
        let folder = state.join("secrets");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| StartError::State { path: folder.clone(), source })?;
        Ok(Self { token: secret(&folder.join("token.key"))?, udp: secret(&folder.join("udp.key"))? })
    }
}

fn secret(path: &Path) -> Result<[u8; SECRET_LENGTH], StartError> {
    let failed = |source| StartError::State { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return make_secret(path),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "this secret can be read by others; run chmod 600 on it");
    }
    let mut bytes = Vec::with_capacity(SECRET_LENGTH);
    file.take(READ_AT_MOST).read_to_end(&mut bytes).map_err(failed)?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| StartError::Secret { path: path.to_owned(), length })
}

fn make_secret(path: &Path) -> Result<[u8; SECRET_LENGTH], StartError> {
    let failed = |source| StartError::State { path: path.to_owned(), source };
    let mut secret = [0; SECRET_LENGTH];
    getrandom::fill(&mut secret).map_err(StartError::Random)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(&secret).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_kept() {
        let state = tempfile::tempdir().unwrap();
        let first = Secrets::load(state.path()).unwrap();
        let second = Secrets::load(state.path()).unwrap();
        assert_eq!(first.token, second.token);
        assert_eq!(first.udp, second.udp);
        assert_ne!(first.token, first.udp);
        let mode = fs::metadata(state.path().join("secrets/token.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_secret_of_another_length_is_refused() {
        let state = tempfile::tempdir().unwrap();
        Secrets::load(state.path()).unwrap();
        for length in [0, 31, 33] {
            fs::write(state.path().join("secrets/udp.key"), vec![7; length]).unwrap();
            let error = Secrets::load(state.path()).map(|_| ()).unwrap_err();
            assert!(matches!(error, StartError::Secret { length: told, .. } if told == length), "{error}");
        }
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_told_with_its_path() {
        let state = tempfile::NamedTempFile::new().unwrap();
        let error = Secrets::load(state.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(&state.path().display().to_string()), "{error}");
    }
}

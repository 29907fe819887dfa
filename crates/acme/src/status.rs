//! What became of the last tries, in a file beside the account.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{AcmeError, certificate};

/// The file beside the account.
const FILE: &str = "status.json";
/// Longest text of a failure that is kept.
const TEXT_BYTES: usize = 2_000;

/// What became of the last tries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// What was issued last.
    pub last_success: Option<Issued>,
    /// The last try, if it failed.
    pub last_error: Option<Failure>,
    /// When the next try is due.
    #[serde(with = "seconds::optional")]
    pub next_try: Option<SystemTime>,
    /// Tries that failed since the last success.
    pub failures: u32,
    /// When the tries of the last hour began; the limit holds over restarts.
    #[serde(with = "seconds::list")]
    pub(crate) tries: Vec<SystemTime>,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// When.
    #[serde(with = "seconds")]
    pub at: SystemTime,
    /// By whom.
    pub directory: String,
    /// Its names.
    pub names: Vec<String>,
    /// SHA-256 over the certificate, in hexadecimal.
    pub fingerprint: String,
    /// First moment at which it is no longer valid.
    #[serde(with = "seconds")]
    pub not_after: SystemTime,
}

/// A try that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    #[serde(with = "seconds")]
    pub at: SystemTime,
    /// Why, and what to do.
    pub text: String,
}

impl Failure {
    pub(crate) fn new(at: SystemTime, error: &AcmeError) -> Self {
        let mut text = error.to_string();
        text.truncate(text.floor_char_boundary(TEXT_BYTES));
        Self { at, text }
    }
}

/// What became of the last tries with an account; nothing if there were none.
///
/// # Errors
/// If the file beside the account cannot be read, or is not what the server writes.
pub fn status(account: &Path) -> Result<Status, AcmeError> {
    let path = path_of(account);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Status::default()),
        Err(source) => return Err(AcmeError::Unreadable { path, source }),
    };
    serde_json::from_slice(&bytes).map_err(|error| AcmeError::Unreadable { path, source: error.into() })
}

/// Keeps a status beside the account.
pub(crate) fn keep(account: &Path, status: &Status) -> Result<(), AcmeError> {
    let path = path_of(account);
    let text = serde_json::to_vec_pretty(status)
        .map_err(|error| AcmeError::Unwritable { path: path.clone(), source: error.into() })?;
    certificate::write_private(&path, &text)
}

fn path_of(account: &Path) -> PathBuf {
    account.with_file_name(FILE)
}

/// Whole seconds since 1970.
mod seconds {
    use super::{Deserialize, Duration, SystemTime, UNIX_EPOCH};

    pub(super) fn serialize<S: serde::Serializer>(at: &SystemTime, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(of(*at))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        u64::deserialize(from).and_then(time)
    }

    fn of(at: SystemTime) -> u64 {
        at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    fn time<E: serde::de::Error>(seconds: u64) -> Result<SystemTime, E> {
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        at.ok_or_else(|| E::custom(format!("{seconds} is no time")))
    }

    pub(super) mod optional {
        use super::{Deserialize as _, SystemTime, of, time};

        #[expect(clippy::ref_option, reason = "the signature is serde's")]
        pub(in super::super) fn serialize<S: serde::Serializer>(
            at: &Option<SystemTime>,
            out: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => out.serialize_some(&of(*at)),
                None => out.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: serde::Deserializer<'de>>(
            from: D,
        ) -> Result<Option<SystemTime>, D::Error> {
            Option::<u64>::deserialize(from)?.map(time).transpose()
        }
    }

    pub(super) mod list {
        use super::{Deserialize as _, SystemTime, of, time};

        pub(in super::super) fn serialize<S: serde::Serializer>(all: &[SystemTime], out: S) -> Result<S::Ok, S::Error> {
            out.collect_seq(all.iter().map(|at| of(*at)))
        }

        pub(in super::super) fn deserialize<'de, D: serde::Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<SystemTime>, D::Error> {
            Vec::<u64>::deserialize(from)?.into_iter().map(time).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_status_is_read_as_it_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let account = folder.path().join("account.json");
        assert_eq!(status(&account).unwrap(), Status::default());
        let kept = Status {
            last_success: Some(Issued {
                at: at(10),
                directory: "https://a/dir".to_owned(),
                names: vec!["a.test".to_owned()],
                fingerprint: "00ff".to_owned(),
                not_after: at(1_000),
            }),
            last_error: Some(Failure::new(at(20), &AcmeError::NoNames)),
            next_try: Some(at(30)),
            failures: 1,
            tries: vec![at(10), at(20)],
        };
        keep(&account, &kept).unwrap();
        assert_eq!(status(&account).unwrap(), kept);
    }

    #[test]
    fn a_status_that_is_damaged_or_of_no_time_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let account = folder.path().join("account.json");
        for damaged in ["", "{", "{\"next_try\": 18446744073709551615}"] {
            fs::write(folder.path().join(FILE), damaged).unwrap();
            let error = status(&account).unwrap_err().to_string();
            assert!(error.contains(FILE), "{error}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let error = AcmeError::BadName("ä".repeat(TEXT_BYTES));
        assert!(Failure::new(at(0), &error).text.len() <= TEXT_BYTES);
    }
}

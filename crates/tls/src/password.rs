//! Where the password of a private key comes from. Passwords are never printed.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::TlsError;

/// Variable that names the source of the password of `certs/server.pem`, in the syntax of [`PasswordSource::parse`].
pub const PASSWORD_VARIABLE: &str = "LAMPYRIS_TLS_PASSWORD";
/// systemd credential that is tried when [`PASSWORD_VARIABLE`] is not set.
pub const PASSWORD_CREDENTIAL: &str = "tls-password";
/// systemd tells the folder of a service's credentials by this variable.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Where a password is to be found.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// The text itself.
    Literal(Zeroizing<String>),
    /// First line of a file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential (`LoadCredential=`).
    Credential(String),
}

impl PasswordSource {
    /// Reads a Password attribute: `file:PATH`, `env:NAME`, `credential:NAME`, or else the password. An empty one is
    /// none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let source = match text.split_once(':') {
            _ if text.is_empty() => return None,
            Some(("file", path)) => Self::File(path.into()),
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("credential", name)) => Self::Credential(name.to_owned()),
            _ => Self::Literal(Zeroizing::new(text.to_owned())),
        };
        Some(source)
    }

    /// What the environment says of the password of `certs/server.pem`: the variable [`PASSWORD_VARIABLE`], or the
    /// credential [`PASSWORD_CREDENTIAL`] if there is one.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        Self::of(|name| std::env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        if let Some(text) = variable(PASSWORD_VARIABLE) {
            return Self::parse(&text.to_string_lossy());
        }
        let folder = PathBuf::from(variable(CREDENTIALS_VARIABLE)?);
        folder.join(PASSWORD_CREDENTIAL).exists().then(|| Self::Credential(PASSWORD_CREDENTIAL.to_owned()))
    }

    /// The password.
    ///
    /// # Errors
    /// If the file, the variable or the credential is missing or not text.
    pub fn read(&self) -> Result<Zeroizing<String>, TlsError> {
        self.read_with(|name| std::env::var_os(name))
    }

    fn read_with(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Zeroizing<String>, TlsError> {
        let missing = |what: &str| TlsError::Password { source_name: self.to_string(), detail: what.to_owned() };
        match self {
            Self::Literal(password) => Ok(password.clone()),
            Self::File(path) => self.first_line(path),
            Self::Env(name) => {
                let value = variable(name).ok_or_else(|| missing("the variable is not set"))?;
                value.into_string().map(Zeroizing::new).map_err(|_| missing("it is not UTF-8"))
            }
            Self::Credential(name) => {
                let plain = !name.is_empty() && !name.contains('/') && name != "..";
                let folder = variable(CREDENTIALS_VARIABLE)
                    .filter(|_| plain)
                    .ok_or_else(|| missing("the service has no such credential; add LoadCredential= to its unit"))?;
                self.first_line(&Path::new(&folder).join(name))
            }
        }
    }

    fn first_line(&self, path: &Path) -> Result<Zeroizing<String>, TlsError> {
        let failed = |error: io::Error| TlsError::Password { source_name: self.to_string(), detail: error.to_string() };
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
    }
}

/// The source, never the password.
impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("the configured text"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordSource({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> PasswordSource {
        PasswordSource::parse(text).unwrap()
    }

    #[test]
    fn t8_passwords_come_from_text_files_variables_and_credentials() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tls-password"), "secret word\r\nsecond\n").unwrap();
        let variable = |name: &str| match name {
            "SECRET" => Some("from variable".into()),
            CREDENTIALS_VARIABLE => Some(folder.path().as_os_str().to_owned()),
            _ => None,
        };
        let read = |text: &str| source(text).read_with(variable).map(|password| password.to_string());
        assert_eq!(read("plain:text").unwrap(), "plain:text");
        assert_eq!(read("env:SECRET").unwrap(), "from variable");
        assert_eq!(read("credential:tls-password").unwrap(), "secret word");
        assert_eq!(read(&format!("file:{}/tls-password", folder.path().display())).unwrap(), "secret word");
        for missing in ["env:OTHER", "credential:other", "credential:../x", "credential:..", "file:/nowhere/x"] {
            assert!(read(missing).unwrap_err().to_string().contains(missing), "{missing}");
        }
        assert_eq!(PasswordSource::of(variable), Some(source("credential:tls-password")));
        let named = |name: &str| (name == PASSWORD_VARIABLE).then(|| OsString::from("env:SECRET"));
        assert_eq!(PasswordSource::of(named), Some(source("env:SECRET")));
        assert_eq!(PasswordSource::of(|_| None), None);
        assert_eq!(PasswordSource::parse(""), None);
    }

    #[test]
    fn t8_a_password_is_never_printed() {
        let secret = source("hunter2");
        assert!(!format!("{secret} {secret:?} {:?}", Some(&secret)).contains("hunter2"));
    }
}

//! A workshop that makes certificates and keys with the `openssl` program.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lampyris_tls::{Identity, PasswordSource, Source, TlsError, config};

pub(crate) struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `openssl` in the folder; `words` are separated by spaces.
    pub(crate) fn openssl(&self, words: &str) {
        let output =
            Command::new("openssl").args(words.split_whitespace()).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file that the owner alone may read.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Makes `name.crt` and `name.key`, signed by itself or by `issuer`.
    pub(crate) fn certificate(&self, name: &str, kind: &str, names: &str, issuer: Option<&str>, extensions: &[&str]) {
        let mut words =
            format!("req -x509 -newkey {kind} -nodes -keyout {name}.key -out {name}.crt -days 90 -subj /CN={name}");
        if !names.is_empty() {
            words += &format!(" -addext subjectAltName={names}");
        }
        for extension in extensions {
            words += &format!(" -addext {extension}");
        }
        if let Some(issuer) = issuer {
            words += &format!(" -CA {issuer}.crt -CAkey {issuer}.key");
        }
        self.openssl(&words);
    }

    /// A root, an intermediate and a leaf, each with an ECDSA key.
    pub(crate) fn three_levels(&self) {
        self.certificate("root", EC, "", None, &[]);
        self.certificate("intermediate", EC, "", Some("root"), &["basicConstraints=critical,CA:TRUE"]);
        self.certificate("leaf", EC, "DNS:photon.test", Some("intermediate"), LEAF);
    }
}

pub(crate) const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
pub(crate) const RSA: &str = "rsa:2048";
pub(crate) const LEAF: &[&str] = &["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"];

pub(crate) fn load(path: &Path) -> Result<Identity, TlsError> {
    Identity::load(path, &config::provider())
}

pub(crate) fn load_with(path: &Path, password: &str) -> Result<Identity, TlsError> {
    let password = PasswordSource::parse(password);
    let source = Source { certificate: path, key: None, password: password.as_ref() };
    Identity::load_from(&source, &config::provider())
}

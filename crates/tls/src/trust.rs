//! Having a certificate trusted on this machine, and undoing it: the system's store and those of browsers.
//!
//! First a [`Plan`] is made, which only looks; then its steps are taken, or shown.

mod nss;
mod system;

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustls_pki_types::CertificateDer;

pub use nss::{Browser, NssStore};
pub(crate) use system::LAYOUTS;
pub use system::Layout;

use crate::certificate::certificates;
use crate::files::{self, Access};
use crate::inspect::Details;
use crate::{TlsError, pem};

/// Where the stores are.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Folder that the system's files are below; another one than `/` for images that are being made.
    pub root: PathBuf,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The user's folder for data (`XDG_DATA_HOME`).
    pub data_home: Option<PathBuf>,
}

/// A certificate that clients can be told to trust: an authority, or one that is its own issuer.
#[derive(Clone, Debug)]
pub struct Anchor {
    certificate: CertificateDer<'static>,
    file: PathBuf,
    nickname: String,
    is_authority: bool,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// For the system's store, which belongs to root.
    pub system: Vec<Step>,
    /// For the browsers of the current user.
    pub browsers: Vec<Step>,
    /// What is as it should be already.
    pub done: Vec<String>,
    /// What cannot be done, each with what to do.
    pub obstacles: Vec<String>,
}

/// One thing to do. It prints as a command of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put the certificate there.
    Write {
        /// The file to make.
        path: PathBuf,
        /// Its content.
        pem: String,
        /// Where the certificate came from.
        from: PathBuf,
    },
    /// Remove the file.
    Remove {
        /// The file.
        path: PathBuf,
    },
    /// Make the folder.
    MakeFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Run a program, with the certificate on its standard input if it reads one.
    Run {
        /// Its name.
        program: &'static str,
        /// Its arguments.
        arguments: Vec<String>,
        /// The certificate, and the file that it came from.
        input: Option<(String, PathBuf)>,
    },
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A file.
    #[error(transparent)]
    File(#[from] TlsError),
    /// The program could not be run.
    #[error("cannot run {program}: {source}")]
    NotRun {
        /// Its name.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The program failed.
    #[error("{step} failed: {said}")]
    Failed {
        /// The command.
        step: String,
        /// What it said.
        said: String,
    },
}

impl Anchor {
    /// Reads the certificate to trust from a PEM file: the first one there that is its own issuer.
    ///
    /// # Errors
    /// If the file cannot be read, or has no such certificate.
    pub fn load(file: &Path) -> Result<Self, TlsError> {
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        let bytes =
            files::read(file)?.ok_or_else(|| TlsError::Unreadable { path: file.to_owned(), source: not_found() })?;
        for certificate in certificates(&bytes, file)? {
            let unusable = |detail| TlsError::Unusable { path: file.to_owned(), detail };
            let details = Details::of(&certificate).map_err(unusable)?;
            if details.is_self_issued {
                return Ok(Self::new(certificate, file, &details));
            }
        }
        Err(TlsError::NoAnchor { path: file.to_owned() })
    }

    fn new(certificate: CertificateDer<'static>, file: &Path, details: &Details) -> Self {
        let summary = &details.summary;
        let name = summary.common_name.as_deref().unwrap_or(&summary.subject);
        // The fingerprint tells apart authorities of one name, as each new one of a machine on the same day.
        let mark = summary.fingerprint.iter().take(4).map(|byte| format!("{byte:02X}")).collect::<String>();
        // In front of a colon browsers expect the name of a device.
        let name = name.replace(':', ".");
        let issues = details.key_usage.as_ref().is_none_or(|usages| usages.contains(&"keyCertSign"));
        Self {
            certificate,
            file: file.to_owned(),
            nickname: format!("{name} ({mark})"),
            // Server certificates that say CA:TRUE are still servers' certificates.
            is_authority: details.is_authority && issues && summary.names.is_empty(),
        }
    }

    /// The name under which browsers list it.
    #[must_use]
    pub fn nickname(&self) -> &str {
        &self.nickname
    }

    /// Whether it issues others; else it is trusted as the server's own.
    #[must_use]
    pub const fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// It.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    fn pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.certificate)
    }

    /// The nickname as a file's name.
    fn file_name(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        self.nickname.chars().map(plain).collect::<String>().trim_matches('_').to_ascii_lowercase()
    }
}

impl Machine {
    /// This machine, for the current user.
    #[must_use]
    pub fn here() -> Self {
        let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self { root: PathBuf::from("/"), home: folder("HOME"), data_home: folder("XDG_DATA_HOME") }
    }

    /// What has to be done so that system and browsers trust the certificate.
    #[must_use]
    pub fn plan_trust(&self, anchor: &Anchor) -> Plan {
        let mut plan = Plan::default();
        system::plan_trust(self, anchor, &mut plan);
        nss::plan_trust(self, anchor, &mut plan);
        plan
    }

    /// What has to be done so that they no longer do.
    #[must_use]
    pub fn plan_untrust(&self, anchor: &Anchor) -> Plan {
        let mut plan = Plan::default();
        system::plan_untrust(self, anchor, &mut plan);
        nss::plan_untrust(self, anchor, &mut plan);
        plan
    }

    /// The stores of the current user's browsers.
    #[must_use]
    pub fn browser_stores(&self) -> Vec<NssStore> {
        nss::stores(self)
    }

    /// Those of the user's browsers that trust the certificate.
    #[must_use]
    pub fn browsers_that_trust(&self, anchor: &Anchor) -> Vec<NssStore> {
        self.browser_stores().into_iter().filter(|store| store.trusts(anchor)).collect()
    }
}

impl Step {
    /// Does it.
    ///
    /// # Errors
    /// If a file cannot be written, or a program is missing or fails.
    pub fn take(&self) -> Result<(), StepError> {
        match self {
            Self::Write { path, pem, .. } => Ok(files::write(path, pem.as_bytes(), Access::Public)?),
            Self::Remove { path } => {
                Ok(fs::remove_file(path).map_err(|source| TlsError::Unwritable { path: path.clone(), source })?)
            }
            Self::MakeFolder { path } => Ok(files::make_folder(path, Access::Private)?),
            Self::Run { program, arguments, input } => {
                let not_run = |source| StepError::NotRun { program, source };
                let mut command = Command::new(program);
                command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn().map_err(not_run)?;
                if let (Some(mut stdin), Some((pem, _))) = (child.stdin.take(), input) {
                    // A program that ends early says why on its standard error stream.
                    let _ = stdin.write_all(pem.as_bytes());
                }
                let output = child.wait_with_output().map_err(not_run)?;
                if output.status.success() {
                    return Ok(());
                }
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(StepError::Failed { step: self.to_string(), said })
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, from, .. } => write!(f, "install -m 644 {} {}", from.display(), path.display()),
            Self::Remove { path } => write!(f, "rm {}", path.display()),
            Self::MakeFolder { path } => write!(f, "mkdir -p -m 700 {}", path.display()),
            Self::Run { program, arguments, input } => {
                f.write_str(program)?;
                for argument in arguments {
                    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,+@".contains(letter);
                    if argument.chars().all(plain) { write!(f, " {argument}")? } else { write!(f, " '{argument}'")? }
                }
                match input {
                    Some((_, from)) => write!(f, " < {}", from.display()),
                    None => Ok(()),
                }
            }
        }
    }
}

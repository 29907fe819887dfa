//! Options for a certificate from an authority, without a configuration file.

use std::path::{Path, PathBuf};

use clap::Args;
use lampyris_server::certificates::{Challenge, LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Settings, default_account_file};

/// Where authorities ask.
const HTTP_PORT: u16 = 80;

#[derive(Debug, Args)]
pub(crate) struct AcmeArgs {
    /// Fetch a certificate for this name from Let's Encrypt, and renew it; port 80 of the name must lead here
    #[arg(long = "acme", value_name = "NAME", env = "LAMPYRIS_ACME", value_delimiter = ',')]
    #[arg(requires = "agree", conflicts_with = "config")]
    names: Vec<String>,

    /// You have read the authority's terms of service and agree to them
    #[arg(long = "acme-agree-to-terms", env = "LAMPYRIS_ACME_AGREE_TO_TERMS")]
    agree: bool,

    /// Address that the authority may write to
    #[arg(long = "acme-email", value_name = "ADDRESS", env = "LAMPYRIS_ACME_EMAIL")]
    email: Option<String>,

    /// Ask Let's Encrypt's directory for trials, whose certificates no client trusts
    #[arg(long = "acme-staging", env = "LAMPYRIS_ACME_STAGING")]
    staging: bool,

    /// Ask another authority: the address of its directory
    #[arg(long = "acme-directory", value_name = "URL", env = "LAMPYRIS_ACME_DIRECTORY", conflicts_with = "staging")]
    directory: Option<String>,

    /// File with the only authorities that the directory's own certificate may come from
    #[arg(long = "acme-roots", value_name = "FILE", env = "LAMPYRIS_ACME_ROOTS")]
    roots: Option<PathBuf>,

    /// Port at which the authority's question arrives here, behind a router that changes it
    #[arg(long = "acme-port", value_name = "PORT", default_value_t = HTTP_PORT, env = "LAMPYRIS_ACME_PORT")]
    port: u16,
}

impl AcmeArgs {
    /// What they ask for: the certificate takes the place of the server's own in the state folder.
    pub(crate) fn settings(&self, state_dir: &Path) -> Option<Settings> {
        if self.names.is_empty() {
            return None;
        }
        let usual = if self.staging { LETS_ENCRYPT_STAGING } else { LETS_ENCRYPT };
        let directory = self.directory.clone().unwrap_or_else(|| usual.to_owned());
        Some(Settings {
            names: self.names.clone(),
            email: self.email.clone(),
            terms_agreed: self.agree,
            directory_roots: self.roots.clone(),
            account: default_account_file(state_dir, &directory),
            external_account: None,
            profile: None,
            challenge: Challenge::Http01 { port: self.port },
            certificate: state_dir.join("certs").join("server.pem"),
            directory,
        })
    }
}

//! Certificates between servers: a private authority, and for each node a certificate that stands for a server and a
//! client. Public authorities no longer issue for clients, so that servers which demand certificates of each other
//! need an authority of their own.
//!
//! | file below the cluster's folder | what | mode |
//! | --- | --- | --- |
//! | `root.pem` | the authority | 0644 |
//! | `ca/ca.key` | its key; it stays here | 0600 |
//! | `nodes/NAME/s2s.pem` | a node's certificate and key | 0600 |
//! | `nodes/NAME/root.pem` | the authority, once more | 0644 |

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::TlsError;
use crate::authority::AuthorityFiles;
use crate::files::{self, Access};
use crate::issue::{DAY, KeyAlgorithm, Leaf};

/// The name of a node is in its certificate, behind this.
pub const NODE_URI: &str = "urn:lampyris:node:";

/// A cluster's folder.
#[derive(Clone, Debug)]
pub struct Cluster {
    folder: PathBuf,
}

/// The authority of a cluster.
#[derive(Clone, Debug)]
pub struct Root {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whether it was made just now.
    pub is_new: bool,
}

/// The files of a node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Certificate and key.
    pub identity: PathBuf,
    /// The authority.
    pub root: PathBuf,
    /// How the node is called in its certificate.
    pub uri: String,
}

impl Cluster {
    /// The one in this folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn authority(&self) -> AuthorityFiles {
        AuthorityFiles { certificate: self.folder.join("root.pem"), key: self.folder.join("ca").join("ca.key") }
    }

    /// Makes the authority, unless it is there.
    ///
    /// # Errors
    /// If files cannot be read or written.
    pub fn init(&self, now: SystemTime) -> Result<Root, TlsError> {
        let files = self.authority();
        let authority = files.load_or_make("Lampyris cluster CA", None, Duration::ZERO, now)?;
        Ok(Root { certificate: files.certificate, key: files.key, is_new: authority.is_new })
    }

    /// Makes or renews the certificate of a node. Its name counts as a DNS name too.
    ///
    /// # Errors
    /// If there is no authority, or files cannot be read or written.
    pub fn node(
        &self,
        name: &str,
        names: &[String],
        addresses: &[IpAddr],
        days: u32,
        now: SystemTime,
    ) -> Result<Node, TlsError> {
        let files = self.authority();
        if files.certificate()?.is_none() {
            return Err(TlsError::NoCluster { folder: self.folder.clone() });
        }
        let authority = files.load_or_make("Lampyris cluster CA", None, Duration::ZERO, now)?;
        let lifetime = Duration::from_secs(DAY.as_secs() * u64::from(days));
        // Another authority would cut off every other node.
        if !authority.lasts(lifetime, now) {
            return Err(TlsError::AuthorityEnds { ca: files.certificate, days });
        }
        let mut all = vec![name.to_owned()];
        all.extend(names.iter().filter(|other| !other.eq_ignore_ascii_case(name)).cloned());
        let uri = format!("{NODE_URI}{name}");
        let uris = [uri.clone()];
        let leaf = Leaf { names: &all, addresses, uris: &uris, lifetime, is_client_too: true };
        let made = authority.issue(&leaf, KeyAlgorithm::P256, now)?;
        let folder = self.folder.join("nodes").join(name);
        let node = Node { identity: folder.join("s2s.pem"), root: folder.join("root.pem"), uri };
        files::make_folder(&folder, Access::Private)?;
        files::write(&node.identity, made.pem().as_bytes(), Access::Private)?;
        files::write(&node.root, authority.pem().as_bytes(), Access::Public)?;
        Ok(node)
    }
}

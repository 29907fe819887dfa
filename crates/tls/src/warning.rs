//! What works and yet deserves the operator's attention.

use std::fmt;
use std::path::PathBuf;

/// Something in files or settings that does not stop the server. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A certificate that belongs to no chain of the leaf.
    ExtraCertificate {
        /// Its subject.
        subject: String,
    },
    /// The leaf stands alone and is not its own issuer.
    MissingIntermediate {
        /// Who issued it.
        issuer: String,
    },
    /// A block that is neither certificate nor key.
    IgnoredBlock {
        /// Its label.
        label: String,
        /// Where it starts.
        line: usize,
    },
    /// More than one private key.
    ExtraKeys {
        /// How many are not used.
        unused: usize,
    },
    /// Browsers take no Ed25519 certificates.
    Ed25519,
    /// The key usage lacks `digitalSignature`.
    NoDigitalSignature,
    /// The extended key usage lacks `serverAuth`.
    NoServerAuth,
    /// The OCSP response beside the certificate is not sent.
    StapleUnusable {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// A password is configured for a key that needs none.
    PasswordUnused,
    /// Others than the owner may read the key.
    KeyReadable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A protocol version that is no longer spoken was asked for.
    OldProtocol {
        /// As written.
        version: String,
    },
    /// Only TLS 1.3 is left.
    OnlyTls13,
    /// A word of the cipher list is not known.
    UnknownCipher {
        /// As written.
        word: String,
    },
    /// A suite of the cipher list is known and not offered here.
    UnsupportedCipher {
        /// As written.
        word: String,
    },
}

impl Warning {
    /// Whether nothing has to be done about it.
    #[must_use]
    pub const fn is_information(&self) -> bool {
        matches!(self, Self::UnsupportedCipher { .. })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExtraCertificate { subject } => {
                write!(f, "the certificate {subject:?} belongs to no chain and is not sent; remove it from the file")
            }
            Self::MissingIntermediate { issuer } => write!(
                f,
                "no certificate of the issuer {issuer:?} in the file; unless clients trust that one directly, \
                 append the intermediate certificates"
            ),
            Self::IgnoredBlock { label, line } => write!(f, "line {line}: a block {label:?} is not used"),
            Self::ExtraKeys { unused } => {
                write!(f, "{unused} more private key(s) in the file are not used; remove them")
            }
            Self::Ed25519 => f.write_str("browsers do not accept Ed25519 certificates; use an ECDSA P-256 key"),
            Self::NoDigitalSignature => f.write_str(
                "the certificate's key usage lacks digitalSignature: browsers and Unity clients refuse it, trusted or not; \
                 make another one with `lampyris cert dev --name HOST`, or have it issued again with `lampyris cert csr`",
            ),
            Self::NoServerAuth => f.write_str(
                "the certificate's extended key usage lacks serverAuth: clients refuse it; \
                 make another one with `lampyris cert dev --name HOST`, or have it issued again with `lampyris cert csr`",
            ),
            Self::StapleUnusable { path, detail } => write!(
                f,
                "the OCSP response {} is not sent: {detail}; replace it, or remove it, since clients do without",
                path.display()
            ),
            Self::PasswordUnused => f.write_str("a password is configured, but the private key is not encrypted"),
            Self::KeyReadable { path, mode } => write!(
                f,
                "{} holds a private key and is readable by group or others (mode {mode:04o}); run `chmod 600 {}`",
                path.display(),
                path.display()
            ),
            Self::OldProtocol { version } => {
                write!(f, "protocol version {version:?} is no longer spoken; the lowest one is TLS 1.2")
            }
            Self::OnlyTls13 => {
                f.write_str("only TLS 1.3 is left: Unity and Mono clients, which end at TLS 1.2, cannot connect")
            }
            Self::UnknownCipher { word } => write!(f, "the cipher list has an unknown word {word:?}, which is ignored"),
            Self::UnsupportedCipher { word } => {
                write!(f, "the cipher list names {word:?}, which this server does not offer")
            }
        }
    }
}

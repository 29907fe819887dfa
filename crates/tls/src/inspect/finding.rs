//! What can be wrong with a chain.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Some clients, or clients some day, cannot connect.
    Warning,
    /// Browsers or games cannot connect.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One finding, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which it is.
    pub finding: Finding,
    /// How bad it is here.
    pub severity: Severity,
    /// What was found and what follows.
    pub text: String,
    /// The command or step that mends it.
    pub remedy: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// A certificate cannot be parsed.
    Damaged,
    /// The key usage lacks `digitalSignature`.
    NoDigitalSignature,
    /// The extended key usage lacks `serverAuth`.
    NoServerAuth,
    /// An RSA key of fewer than 2048 bits.
    WeakKey,
    /// A signature with MD5 or SHA-1.
    WeakSignature,
    /// The leaf says that it is an authority.
    AuthorityAsLeaf,
    /// A kind of key that browsers do not take.
    Ed25519,
    /// An authority limits names in a critical extension.
    NameConstraints,
    /// The leaf is its own issuer and not trusted here.
    SelfSigned,
    /// The chain ends at an authority that is not trusted here.
    UntrustedAuthority,
    /// The chain ends at a private authority that is trusted here.
    PrivateAuthority,
    /// The issuer of the last certificate was not sent.
    MissingIntermediate,
    /// A certificate does not follow the one that it issued.
    Order,
    /// There is no subject alternative name.
    NoNames,
    /// The host is not among the names.
    NameNotCovered,
    /// Clients dial an address.
    AddressAsHost,
    /// The end has passed.
    Expired,
    /// The beginning has not come.
    NotYetValid,
    /// Few days remain.
    ExpiresSoon,
    /// The life is longer than some clients allow.
    LongLife,
}

impl Finding {
    /// A name that does not change, for machines and documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::NoDigitalSignature => "no-digital-signature",
            Self::NoServerAuth => "no-server-auth",
            Self::WeakKey => "weak-key",
            Self::WeakSignature => "weak-signature",
            Self::AuthorityAsLeaf => "authority-as-leaf",
            Self::Ed25519 => "ed25519",
            Self::NameConstraints => "name-constraints",
            Self::SelfSigned => "self-signed",
            Self::UntrustedAuthority => "untrusted-authority",
            Self::PrivateAuthority => "private-authority",
            Self::MissingIntermediate => "missing-intermediate",
            Self::Order => "chain-order",
            Self::NoNames => "no-names",
            Self::NameNotCovered => "name-not-covered",
            Self::AddressAsHost => "address-as-host",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::ExpiresSoon => "expires-soon",
            Self::LongLife => "long-life",
        }
    }
}

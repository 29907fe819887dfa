//! What each kind of client makes of a chain.

use std::fmt;

use super::rules::Case;
use super::{Finding, Trust, Verdict};

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Chrome, Chromium, Edge: JavaScript clients and WebGL builds.
    Chrome,
    /// Firefox.
    Firefox,
    /// Unity's own TLS, on Mbed TLS: PUN 2 and Realtime in editor, desktop and mobile builds.
    Unity,
    /// Node: JavaScript clients outside of browsers.
    Node,
    /// C# on Mono or .NET, whose certificate callback decides.
    Mono,
}

impl Client {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Chrome, Self::Firefox, Self::Unity, Self::Node, Self::Mono];

    /// A name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chrome => "Chrome, Edge, WebGL builds",
            Self::Firefox => "Firefox",
            Self::Unity => "Unity",
            Self::Node => "Node",
            Self::Mono => "C# (Mono, .NET)",
        }
    }

    /// A name that does not change, for machines.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
            Self::Unity => "unity",
            Self::Node => "node",
            Self::Mono => "mono",
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client makes of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// Who.
    pub client: Client,
    /// Whether it connects.
    pub opens: bool,
    /// What it reports if it does not, and what it needs otherwise.
    pub says: String,
}

/// Findings in the order in which clients come upon them: the first that stops one is the one it reports.
const ORDER: [Finding; 17] = [
    Finding::Damaged,
    Finding::Ed25519,
    Finding::NoDigitalSignature,
    Finding::NameConstraints,
    Finding::SelfSigned,
    Finding::UntrustedAuthority,
    Finding::MissingIntermediate,
    Finding::AuthorityAsLeaf,
    Finding::NoServerAuth,
    Finding::WeakKey,
    Finding::WeakSignature,
    Finding::NoNames,
    Finding::NameNotCovered,
    Finding::AddressAsHost,
    Finding::LongLife,
    Finding::Expired,
    Finding::NotYetValid,
];

pub(super) fn opinions(case: &Case<'_>, verdicts: &[Verdict]) -> Vec<Opinion> {
    let found = |finding: &&Finding| verdicts.iter().any(|verdict| verdict.finding == **finding);
    let found = ORDER.iter().filter(found).copied().collect::<Vec<_>>();
    let called = match (case.certificates.first(), case.host) {
        (Some(leaf), Some(host)) => leaf.is_called(host),
        _ => true,
    };
    let opinion = |client| {
        // Only of public authorities do browsers ask for short lives; that is an error then.
        let is_private = |finding: &Finding| *finding == Finding::LongLife && *case.trust != Trust::Public;
        // These fall back to the common name where there is no other.
        let falls_back = called && matches!(client, Client::Unity | Client::Node);
        let passes = |finding: &Finding| *finding == Finding::NoNames && falls_back;
        let stopped = found
            .iter()
            .filter(|finding| !passes(finding) && !is_private(finding))
            .find_map(|finding| refusal(client, *finding));
        match stopped {
            Some(says) => Opinion { client, opens: false, says: says.to_owned() },
            None => Opinion { client, opens: true, says: condition(client, case.trust, verdicts) },
        }
    };
    Client::ALL.into_iter().map(opinion).collect()
}

/// What a client reports when the finding stops it; `None` if it connects all the same.
const fn refusal(client: Client, finding: Finding) -> Option<&'static str> {
    match client {
        Client::Chrome => chrome(finding),
        Client::Firefox => firefox(finding),
        Client::Unity => unity(finding),
        Client::Node => node(finding),
        Client::Mono => mono(finding),
    }
}

const fn chrome(finding: Finding) -> Option<&'static str> {
    Some(match finding {
        Finding::NoDigitalSignature => {
            "net::ERR_SSL_KEY_USAGE_INCOMPATIBLE; neither trusting the certificate nor \"Proceed\" helps"
        }
        Finding::SelfSigned | Finding::UntrustedAuthority | Finding::MissingIntermediate => {
            "net::ERR_CERT_AUTHORITY_INVALID"
        }
        Finding::NoServerAuth | Finding::Damaged => "net::ERR_CERT_INVALID",
        Finding::NoNames | Finding::NameNotCovered => "net::ERR_CERT_COMMON_NAME_INVALID",
        Finding::LongLife => "net::ERR_CERT_VALIDITY_TOO_LONG",
        Finding::WeakSignature => "net::ERR_CERT_WEAK_SIGNATURE_ALGORITHM",
        Finding::Expired | Finding::NotYetValid => "net::ERR_CERT_DATE_INVALID",
        Finding::Ed25519 => "net::ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
        _ => return None,
    })
}

const fn firefox(finding: Finding) -> Option<&'static str> {
    Some(match finding {
        Finding::SelfSigned => "MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT",
        Finding::UntrustedAuthority | Finding::MissingIntermediate => "SEC_ERROR_UNKNOWN_ISSUER",
        Finding::AuthorityAsLeaf => "MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY",
        Finding::NoServerAuth => "SEC_ERROR_INADEQUATE_CERT_TYPE",
        Finding::NoNames | Finding::NameNotCovered => "SSL_ERROR_BAD_CERT_DOMAIN",
        Finding::WeakSignature => "SEC_ERROR_CERT_SIGNATURE_ALGORITHM_DISABLED",
        Finding::Expired => "SEC_ERROR_EXPIRED_CERTIFICATE",
        Finding::NotYetValid => "MOZILLA_PKIX_ERROR_NOT_YET_VALID_CERTIFICATE",
        Finding::Ed25519 => "SSL_ERROR_NO_CYPHER_OVERLAP",
        Finding::Damaged => "SEC_ERROR_BAD_DER",
        _ => return None,
    })
}

const fn unity(finding: Finding) -> Option<&'static str> {
    Some(match finding {
        Finding::NoDigitalSignature => "UNITYTLS_INTERNAL_ERROR: the key usage does not fit",
        Finding::NoServerAuth => "UNITYTLS_INTERNAL_ERROR: the extended key usage does not fit",
        Finding::NameConstraints => "the authority cannot be loaded: it has critical name constraints",
        Finding::SelfSigned | Finding::UntrustedAuthority | Finding::MissingIntermediate => {
            "UNITYTLS_X509VERIFY_FLAG_NOT_TRUSTED: put the authority in the store of the player's system"
        }
        Finding::NoNames | Finding::NameNotCovered => "UNITYTLS_X509VERIFY_FLAG_CN_MISMATCH",
        Finding::AddressAsHost => "UNITYTLS_X509VERIFY_FLAG_CN_MISMATCH: it takes host names only, no addresses",
        Finding::WeakKey | Finding::WeakSignature => "UNITYTLS_INTERNAL_ERROR: key or signature is too weak",
        Finding::Expired => "UNITYTLS_X509VERIFY_FLAG_EXPIRED",
        Finding::NotYetValid => "UNITYTLS_INTERNAL_ERROR: the certificate is of the future",
        Finding::Ed25519 | Finding::Damaged => "UNITYTLS_INTERNAL_ERROR: the kind of certificate is not known",
        _ => return None,
    })
}

const fn node(finding: Finding) -> Option<&'static str> {
    Some(match finding {
        Finding::SelfSigned => "DEPTH_ZERO_SELF_SIGNED_CERT: set NODE_EXTRA_CA_CERTS to the certificate's file",
        Finding::UntrustedAuthority => {
            "UNABLE_TO_VERIFY_LEAF_SIGNATURE: set NODE_EXTRA_CA_CERTS to the authority's file"
        }
        Finding::MissingIntermediate => "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        Finding::NoServerAuth => "INVALID_PURPOSE",
        Finding::NoNames | Finding::NameNotCovered => "ERR_TLS_CERT_ALTNAME_INVALID",
        Finding::Expired => "CERT_HAS_EXPIRED",
        Finding::NotYetValid => "CERT_NOT_YET_VALID",
        Finding::Damaged => "a protocol error",
        _ => return None,
    })
}

/// The callback of the C# library gets every other error as a value and accepts.
const fn mono(finding: Finding) -> Option<&'static str> {
    match finding {
        Finding::Ed25519 | Finding::Damaged => Some("the handshake fails: the kind of certificate is not known"),
        _ => None,
    }
}

/// What a client that connects needs, or is told on the way.
fn condition(client: Client, trust: &Trust, verdicts: &[Verdict]) -> String {
    let reported = |verdict: &Verdict| refusal(Client::Chrome, verdict.finding).is_some();
    match (client, trust) {
        (Client::Mono, _) if verdicts.iter().any(reported) => {
            "connects; the certificate callback is told of the errors and decides".to_owned()
        }
        (Client::Node, Trust::Private { .. }) => {
            "connects with NODE_EXTRA_CA_CERTS set to the authority's file; it does not look in the system's store"
                .to_owned()
        }
        (Client::Mono, _) | (_, Trust::Public) => "connects".to_owned(),
        (_, Trust::Private { authority }) => format!("connects where {authority:?} is trusted"),
        (..) => "connects".to_owned(),
    }
}

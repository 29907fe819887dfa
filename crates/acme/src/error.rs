//! Why there is no new certificate. Each text says what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use instant_acme::Problem;
use lampyris_tls::TlsError;

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// No name.
    #[error(
        "no name to ask a certificate for; expected at least one in Names, or a PublicHostName that clients are told"
    )]
    NoNames,
    /// Too many names.
    #[error("{0} names are too many for one certificate; expected at most {most} in Names", most = crate::NAMES_AT_MOST)]
    TooManyNames(usize),
    /// Something that is not a name.
    #[error("{0:?} is no name that a certificate can be for; expected one like play.example.org, in ASCII")]
    BadName(String),
    /// The operator did not agree to the terms.
    #[error(
        "{directory} issues nothing before its terms of service are agreed to; read them and set AgreeToTerms=\"true\""
    )]
    TermsNotAgreed {
        /// Whose terms.
        directory: String,
    },
    /// The kind of proof does not fit the name.
    #[error("{name} cannot be proven by {challenge}: {why}")]
    WrongChallenge {
        /// What was to be proven.
        name: String,
        /// How.
        challenge: &'static str,
        /// What to choose.
        why: &'static str,
    },
    /// The authority does not offer the kind of proof.
    #[error("the authority offers {offered} for {name}, not {challenge}; set Challenge to one of them")]
    NotOffered {
        /// What was to be proven.
        name: String,
        /// What was wanted.
        challenge: &'static str,
        /// What there is.
        offered: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}; give the server's user the right to read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}; give the server's user the right to write in its folder")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The account file is not what this crate writes.
    #[error("{path} is no account file: {detail}; restore it, or remove it so that a new account is made")]
    BadAccount {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// The account is one of another authority.
    #[error("{path} is an account of {has}, expected one of {wanted}; name another AccountFile, or remove this one")]
    OtherAccount {
        /// The file.
        path: PathBuf,
        /// Whose account it is.
        has: String,
        /// Whose is needed.
        wanted: String,
    },
    /// The key of the external account is no base64.
    #[error("the external account's key from {source_name} is no base64; copy it as the authority shows it")]
    BadExternalKey {
        /// Where it came from.
        source_name: String,
    },
    /// The file of trusted authorities holds something else.
    #[error("{path} holds a certificate that cannot be one of an authority: {detail}; correct DirectoryRoots")]
    BadRoots {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// The machine trusts nobody.
    #[error("this machine has no list of trusted authorities: {detail}; install the package ca-certificates")]
    NoRoots {
        /// What was wrong.
        detail: String,
    },
    /// The authority cannot be talked to.
    #[error("cannot talk to {directory}: {detail}; {advice}")]
    Unreachable {
        /// The directory.
        directory: String,
        /// What went wrong.
        detail: String,
        /// What to do.
        advice: &'static str,
    },
    /// The authority refused.
    #[error("{directory} refused {step}: {problem}{}", advice(.problem).map_or_else(String::new, |advice| format!("; {advice}")))]
    Refused {
        /// The directory.
        directory: String,
        /// What was asked.
        step: &'static str,
        /// What it said.
        problem: Box<Problem>,
    },
    /// The authority did not accept the proof of a name.
    #[error("{name} was not proven by {challenge}: {detail}")]
    NotProven {
        /// The name.
        name: String,
        /// How it was to be proven.
        challenge: &'static str,
        /// What the authority said, and what to do.
        detail: String,
    },
    /// No end.
    #[error("no certificate within {} s; the authority is slow, or a record is not visible in the DNS yet", .0.as_secs())]
    TimedOut(Duration),
    /// The operator's command did not do its work.
    #[error("the DNS hook `{command}` failed: {detail}")]
    Hook {
        /// The command with its arguments.
        command: String,
        /// What went wrong.
        detail: String,
    },
    /// The port of the challenge cannot be listened on.
    #[error(
        "cannot listen on port {port} for {challenge}: {source}; stop the program that has it, allow it with \
         `setcap cap_net_bind_service=+ep` on the program, or add a listener with this port to the configuration"
    )]
    Port {
        /// The port.
        port: u16,
        /// What it is for.
        challenge: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What was issued cannot be used.
    #[error("the issued certificate is not used: {0}")]
    Unusable(String),
    /// Making a key, a request or a certificate failed.
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// The TLS library refused.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
    /// Reading certificates or passwords failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}

impl AcmeError {
    /// Sorts what the protocol's crate says.
    pub(crate) fn of_protocol(error: instant_acme::Error, directory: &str, step: &'static str) -> Self {
        let directory = directory.to_owned();
        match error {
            instant_acme::Error::Api(problem) => Self::Refused { directory, step, problem: Box::new(problem) },
            instant_acme::Error::Json(error) => Self::Unreachable {
                directory,
                detail: format!("expected an answer of the ACME protocol to {step}, got something else ({error})"),
                advice: "compare Directory with the address that the authority documents",
            },
            other => Self::Unreachable {
                directory,
                detail: format!("{step}: {}", chain(&other)),
                advice: "check the network of this machine, its clock and Directory",
            },
        }
    }
}

/// An error and what it came from, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// What an operator can do about a refusal (RFC 8555, section 6.7).
pub(crate) fn advice(problem: &Problem) -> Option<&'static str> {
    let kind = problem.r#type.as_deref()?.strip_prefix("urn:ietf:params:acme:error:")?;
    Some(match kind {
        "connection" => "open the port of the challenge to the whole internet, by IPv4 and IPv6 if the name has both",
        "dns" => "check that the name's A and AAAA records are those of this machine",
        "unauthorized" | "incorrectResponse" => {
            "something else answers for this name: check its DNS records, proxies in front and other servers"
        }
        "tls" => "something that is not this server answers on port 443: check proxies in front",
        "caa" => "a CAA record of the domain does not allow this authority: change the record",
        "rateLimited" => "the authority's limit is reached: wait, and try changes with Staging=\"true\"",
        "externalAccountRequired" => "this authority needs ExternalAccountId and ExternalAccountKey",
        "userActionRequired" => "the authority wants something of you: follow the address in its answer",
        "invalidContact" | "unsupportedContact" => "correct Email",
        "rejectedIdentifier" | "unsupportedIdentifier" => "this authority does not issue for that name: correct Names",
        "accountDoesNotExist" => "the authority has lost the account: remove AccountFile so that a new one is made",
        "invalidProfile" => "correct Profile",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str) -> Problem {
        let kind = Some(format!("urn:ietf:params:acme:error:{kind}"));
        Problem { r#type: kind, detail: Some("too many".to_owned()), status: None, subproblems: Vec::new() }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let error = AcmeError::of_protocol(problem("rateLimited").into(), "https://a/dir", "the order");
        assert_eq!(
            error.to_string(),
            "https://a/dir refused the order: API error: too many (urn:ietf:params:acme:error:rateLimited); \
             the authority's limit is reached: wait, and try changes with Staging=\"true\""
        );
        assert!(advice(&problem("badCSR")).is_none());
    }
}

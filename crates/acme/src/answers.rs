//! Answers to the authority's questions. One task writes them, any worker reads them: a read takes no lock and happens
//! only for the path of the challenge, or for a client that speaks its protocol.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Where http-01 is asked (RFC 8555, section 8.3).
pub const PATH: &str = "/.well-known/acme-challenge/";

/// Answers to the authority's questions.
#[derive(Default)]
pub struct Answers(ArcSwap<Table>);

#[derive(Clone, Default)]
struct Table {
    /// By token.
    http: HashMap<String, Arc<str>>,
    /// By name as the client sends it.
    tls: HashMap<String, Arc<CertifiedKey>>,
}

impl Answers {
    /// The answer to a plain HTTP request for a path; `None` = the path is none of a challenge, or of one that is over.
    #[must_use]
    pub fn http(&self, path: &str) -> Option<Arc<str>> {
        let token = path.strip_prefix(PATH)?;
        self.0.load().http.get(token).cloned()
    }

    fn tls(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        self.0.load().tls.get(&name?.to_ascii_lowercase()).cloned()
    }

    pub(crate) fn add_http(&self, token: &str, answer: &str) {
        self.change(|table| drop(table.http.insert(token.to_owned(), answer.into())));
    }

    pub(crate) fn add_tls(&self, name: &str, certificate: &Arc<CertifiedKey>) {
        self.change(|table| drop(table.tls.insert(name.to_ascii_lowercase(), Arc::clone(certificate))));
    }

    pub(crate) fn clear(&self) {
        self.0.store(Arc::default());
    }

    fn change(&self, change: impl Fn(&mut Table)) {
        self.0.rcu(|table| {
            let mut table = Table::clone(table);
            change(&mut table);
            table
        });
    }
}

/// How many there are; answers are nobody's secret, but long.
impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.0.load();
        f.debug_struct("Answers").field("http", &table.http.len()).field("tls", &table.tls.len()).finish()
    }
}

/// For clients that ask for a challenge, and for them alone: see [`lampyris_tls::challenge`].
impl ResolvesServerCert for Answers {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.tls(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_only_the_token_itself_is_answered() {
        let answers = Answers::default();
        answers.add_http("token", "token.thumb");
        assert_eq!(answers.http("/.well-known/acme-challenge/token").as_deref(), Some("token.thumb"));
        for other in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/token/", "token", "/token", "/"] {
            assert_eq!(answers.http(other), None, "{other}");
        }
        answers.clear();
        assert_eq!(answers.http("/.well-known/acme-challenge/token"), None);
    }
}

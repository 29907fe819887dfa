//! Which paths of a WebSocket port are served.

use std::time::Duration;

/// The paths that a route serves.
///
/// | written | serves |
/// | --- | --- |
/// | `/*`, `/+`, `/` | every path |
/// | `/game/+`, `/game/*` | `/game` and what is below |
/// | `/game*` | what begins so |
/// | `/game` | `/game` alone |
///
/// Letter case, repeated slashes and a slash at the end make no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    /// In lower case, without the slash at its end.
    path: String,
    rest: Rest,
}

/// What may follow the path of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// Nothing, or a slash and anything.
    Below,
    Anything,
}

impl Pattern {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(written: &str) -> Self {
        let mut path = String::with_capacity(written.len() + 1);
        for part in written.split('/').filter(|part| !part.is_empty()) {
            path.push('/');
            path.push_str(&part.to_ascii_lowercase());
        }
        let (path, rest) = match path.strip_suffix("/+").or_else(|| path.strip_suffix("/*")) {
            Some(path) => (path.to_owned(), Rest::Below),
            None if path.is_empty() => (path, Rest::Below),
            None => match path.split_once('*') {
                Some((path, _)) => (path.to_owned(), Rest::Anything),
                None => (path, Rest::Nothing),
            },
        };
        Self { written: written.to_owned(), path, rest }
    }

    /// As it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether it serves a path, which has no query and no repeated slashes.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let (given, own) = (path.trim_end_matches('/').as_bytes(), self.path.as_bytes());
        let Some((head, rest)) = given.split_at_checked(own.len()) else { return false };
        head.eq_ignore_ascii_case(own)
            && match self.rest {
                Rest::Nothing => rest.is_empty(),
                Rest::Below => rest.first().is_none_or(|next| *next == b'/'),
                Rest::Anything => true,
            }
    }
}

/// A route of a listener.
#[derive(Clone, Debug)]
pub struct Route {
    /// The paths that it serves.
    pub pattern: Pattern,
    /// Whether WebSockets are opened there; other requests are the owner's to answer.
    pub web_socket: bool,
    /// After so long without receiving anything a ping is sent, and again each time so long passes. A browser answers
    /// it even when it has stopped the timers of a hidden page.
    pub ping_after: Option<Duration>,
}

impl Route {
    /// WebSockets on every path, with the interval of the reference product.
    #[must_use]
    pub fn every_path() -> Self {
        Self { pattern: Pattern::new("/*"), web_socket: true, ping_after: Some(Duration::from_secs(2)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_operators_write_them() {
        let every = ["/", "/Master", "/Master/x", "/a/b/c"];
        let table: [(&str, &[&str], &[&str]); 8] = [
            ("/*", &every, &[]),
            ("/+", &every, &[]),
            ("/", &every, &[]),
            ("//", &every, &[]),
            ("/master/+", &["/master", "/Master", "/Master/", "/MASTER/app"], &["/", "/masters", "/mast", "/x/master"]),
            ("/Game/*", &["/game", "/game/a/b"], &["/games", "/"]),
            ("/game*", &["/game", "/games/a", "/GAME1"], &["/gam", "/"]),
            ("/photon/m", &["/photon/m", "/Photon/M/"], &["/photon/m/x", "/photon", "/photon/mm"]),
        ];
        for (written, matching, others) in table {
            let pattern = Pattern::new(written);
            assert_eq!(pattern.written(), written);
            for path in matching {
                assert!(pattern.matches(path), "{written} {path}");
            }
            for path in others {
                assert!(!pattern.matches(path), "{written} {path}");
            }
        }
    }

    #[test]
    fn a_path_of_other_bytes_is_no_match_and_no_panic() {
        assert!(!Pattern::new("/ab/+").matches("/ä"));
        assert!(Pattern::new("/+").matches("/ä"));
        assert!(Pattern::new("/+").matches(""));
    }
}

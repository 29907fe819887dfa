//! D18: the keys of the tokens that carry a client from one role to the next.

use lampyris_config::{Authentication, Config, Effective, Origin, Secret, is_shipped};

use crate::{Context, Finding};

type KeyOf = fn(&Authentication) -> Option<&Secret>;

const KEYS: [(&str, KeyOf); 2] = [
    ("AuthTokenKey", |authentication| authentication.token_key.as_ref()),
    ("HMACTokenKey", |authentication| authentication.hmac_token_key.as_ref()),
];

pub(super) fn d18_tokens(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let roles = roles(config);
    let mut findings = Vec::new();
    for (name, key) in KEYS {
        let written: Vec<_> =
            roles.iter().filter_map(|(role, authentication)| Some((*role, key(authentication)?))).collect();
        let without: Vec<_> =
            roles.iter().filter(|(_, authentication)| key(authentication).is_none()).map(|(role, _)| *role).collect();
        if let [(first, secret), rest @ ..] = written.as_slice() {
            let others: Vec<_> = rest.iter().filter(|(_, other)| other != secret).map(|(role, _)| *role).collect();
            let others = others.into_iter().chain(without.iter().copied()).collect::<Vec<_>>();
            if !others.is_empty() {
                let what = format!("{name} of {} is missing or not that of {first}", others.join(" and "));
                let remedy = format!("write the same {name} into the files of all roles, on all machines");
                let why = "a client that one role let in is refused by the next";
                findings.push(Finding::error(what).because(why).mend(remedy));
            }
            let remedy = format!("replace it in the files of all roles: `openssl rand -hex 32` makes a {name}");
            let why = "whoever knows the key lets in whom it likes";
            if context.loaded.effective.iter().any(|one| one.setting.ends_with(name) && is_known(one)) {
                let what = format!("{name} is the one that is shipped to everybody");
                findings.push(Finding::error(what).because(why).mend(remedy));
            } else if is_guid(secret.expose()) {
                let what = format!("{name} has the form of the keys that are shipped to everybody");
                findings
                    .push(Finding::warning(what).because(why).mend(format!("unless you made it yourself, {remedy}")));
            }
        } else if roles.len() < 3 {
            let what = format!("no {name} is configured, and not all roles run here");
            let remedy = format!("write the same {name} into the files of all roles: `openssl rand -hex 32` makes one");
            let why = "without it each installation makes its own, and servers of other machines refuse the clients";
            findings.push(Finding::warning(what).because(why).mend(remedy));
        }
    }
    findings
}

fn roles(config: &Config) -> Vec<(&'static str, &Authentication)> {
    let name_server = config.name_server.as_ref().map(|role| ("NameServer", &role.authentication));
    let master = config.master.as_ref().map(|role| ("Master", &role.authentication));
    let game = config.game_server.as_ref().map(|role| ("Game", &role.authentication));
    [name_server, master, game].into_iter().flatten().collect()
}

/// Whether a key that is written is one that everybody has.
fn is_known(one: &Effective) -> bool {
    matches!(one.origin, Origin::File(_)) && is_shipped(one)
}

/// Which is what deployments come with.
fn is_guid(key: &str) -> bool {
    let parts: Vec<_> = key.trim_matches(['{', '}']).split('-').collect();
    let is_hex = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_hex && parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn d18_one_secret_of_the_operators_own_is_sound() {
        assert_eq!(Fixture::sound().run(d18_tokens), []);
    }

    #[test]
    fn d18_a_role_with_another_key_is_an_error_that_does_not_show_it() {
        let findings = Fixture::sound().master("<HMACTokenKey>quite-another</HMACTokenKey>").run(d18_tokens);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Error, "{findings:?}");
        assert!(findings[0].what.contains("HMACTokenKey") && !findings[0].what.contains("quite"), "{findings:?}");
    }

    #[test]
    fn d18_shipped_keys_and_those_that_look_like_them_are_told_and_not_shown() {
        for (key, severity) in [
            ("76b2814e-2a50-4e29-838a-20411d335fc9", Severity::Error),
            ("9f8e7d6c-0a1b-4c2d-8e3f-5a6b7c8d9e0f", Severity::Warning),
        ] {
            let findings = Fixture::sound().token_key(key).run(d18_tokens);
            assert!(findings.len() == 1 && findings[0].severity == severity, "{findings:?}");
            assert!(!format!("{findings:?}").contains(key), "no secret is shown");
        }
    }
}

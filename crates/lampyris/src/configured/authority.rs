//! Certificates from an authority.

use lampyris_config::{Acme, AcmeChallenge};
use lampyris_server::certificates::{
    Challenge, ExternalAccount, Hook, LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Settings, default_account_file,
};
use lampyris_tls::PasswordSource;

/// What the `Acme` element asks for.
pub(super) fn read(acme: &Acme) -> Settings {
    let written = &acme.settings;
    let usual = if written.staging { LETS_ENCRYPT_STAGING } else { LETS_ENCRYPT };
    let directory = written.directory.clone().unwrap_or_else(|| usual.to_owned());
    let port = acme.challenge_port().map_or(0, |port| port.0);
    let challenge = match written.challenge {
        AcmeChallenge::Http01 => Challenge::Http01 { port },
        AcmeChallenge::TlsAlpn01 => Challenge::TlsAlpn01 { port },
        AcmeChallenge::Dns01 => Challenge::Dns01(Hook {
            command: acme.dns_hook.clone().unwrap_or_default(),
            timeout: written.dns_hook_timeout.get(),
        }),
    };
    let key = written.external_account_key.as_ref().and_then(|key| PasswordSource::parse(key.expose()));
    let external_account = written.external_account_id.clone().zip(key).map(|(id, key)| ExternalAccount { id, key });
    Settings {
        names: acme.names.clone(),
        email: written.email.clone(),
        terms_agreed: written.agree_to_terms,
        directory_roots: acme.directory_roots.clone(),
        account: acme.account_file.clone().unwrap_or_else(|| default_account_file(&acme.folder, &directory)),
        external_account,
        profile: written.profile.clone(),
        challenge,
        certificate: acme.certificate.clone(),
        directory,
    }
}

//! The account with the authority: one file with its key, made when it is first needed.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use zeroize::Zeroizing;

use crate::certificate::{read, write_private};
use crate::http::Client;
use crate::order::unless_bad_nonce;
use crate::settings::ExternalAccount;
use crate::{AcmeError, Settings};

/// The account of the file, or a new one.
pub(crate) async fn open(settings: &Settings, client: &Client) -> Result<Account, AcmeError> {
    let path = &settings.account;
    let Some(bytes) = read(path)?.map(Zeroizing::new) else { return register(settings, client).await };
    let credentials = parse(path, &bytes, &settings.directory)?;
    let account = Account::builder_with_http(Box::new(client.clone())).from_credentials(credentials).await;
    account.map_err(|error| match error {
        instant_acme::Error::KeyRejected => {
            AcmeError::BadAccount { path: path.clone(), detail: "its key is no ECDSA P-256 key".to_owned() }
        }
        other => AcmeError::of_protocol(other, &settings.directory, "the directory"),
    })
}

fn parse(path: &Path, bytes: &[u8], directory: &str) -> Result<AccountCredentials, AcmeError> {
    let bad = |error: serde_json::Error| AcmeError::BadAccount { path: path.to_owned(), detail: error.to_string() };
    let fields: serde_json::Value = serde_json::from_slice(bytes).map_err(bad)?;
    let has = fields.get("directory").and_then(|directory| directory.as_str()).unwrap_or_default();
    if has != directory {
        let (has, wanted) = (has.to_owned(), directory.to_owned());
        return Err(AcmeError::OtherAccount { path: path.to_owned(), has, wanted });
    }
    serde_json::from_slice(bytes).map_err(bad)
}

async fn register(settings: &Settings, client: &Client) -> Result<Account, AcmeError> {
    let directory = &settings.directory;
    if !settings.terms_agreed {
        return Err(AcmeError::TermsNotAgreed { directory: directory.clone() });
    }
    let external = settings.external_account.as_ref().map(external_key).transpose()?;
    let contact = settings.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let builder = || Account::builder_with_http(Box::new(client.clone()));
    let made = unless_bad_nonce!(builder().create(&new, directory.clone(), external.as_ref()).await);
    let (account, credentials) = made.map_err(|error| AcmeError::of_protocol(error, directory, "the account"))?;
    let unwritable =
        |error: serde_json::Error| AcmeError::Unwritable { path: settings.account.clone(), source: error.into() };
    let text = Zeroizing::new(serde_json::to_vec_pretty(&credentials).map_err(unwritable)?);
    write_private(&settings.account, &text)?;
    tracing::info!(%directory, path = %settings.account.display(), "made an account; keep a copy of this file");
    Ok(account)
}

fn external_key(external: &ExternalAccount) -> Result<ExternalAccountKey, AcmeError> {
    let text = external.key.read()?;
    let plain = text.trim().trim_end_matches('=');
    let decoded = URL_SAFE_NO_PAD.decode(plain).or_else(|_| STANDARD.decode(text.trim()));
    let bad = |_| AcmeError::BadExternalKey { source_name: external.key.to_string() };
    let key = decoded.map(Zeroizing::new).map_err(bad)?;
    Ok(ExternalAccountKey::new(external.id.clone(), &key))
}

#[cfg(test)]
mod tests {
    use lampyris_tls::PasswordSource;

    use super::*;

    #[test]
    fn an_account_of_another_directory_and_a_damaged_one_are_told_apart() {
        let path = Path::new("x/account.json");
        let error = |text: &str| parse(path, text.as_bytes(), "https://a/dir").err().unwrap().to_string();
        assert!(error("{\"directory\":\"https://b/dir\"}").contains("an account of https://b/dir"));
        for damaged in ["", "{", "{\"directory\":\"https://a/dir\"}", "{\"directory\":\"https://a/dir\",\"id\":1}"] {
            assert!(error(damaged).contains("is no account file"), "{damaged}");
        }
    }

    #[test]
    fn an_external_key_is_read_in_both_alphabets_and_never_printed() {
        let external = |text| ExternalAccount { id: "kid".to_owned(), key: PasswordSource::parse(text).unwrap() };
        for fine in ["-_-_", "+/+/", "YQ", "YQ=="] {
            assert!(external_key(&external(fine)).is_ok(), "{fine}");
        }
        let error = external_key(&external("not base64!")).err().unwrap().to_string();
        assert!(error.contains("the configured text") && !error.contains("not base64!"), "{error}");
    }
}

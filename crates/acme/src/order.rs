//! One order: names in, chain and key out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType, Error, Identifier, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::error::advice;
use crate::hook::Act;
use crate::{AcmeError, Answers, Challenge, Settings};

/// Asking again after a used or unknown nonce, besides what the protocol's crate does itself.
pub(crate) const NONCE_RETRIES: u32 = 8;
/// How long to wait for the authority to look, and then to sign.
const POLL: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_secs(180));

/// Chain and key, as PEM.
pub(crate) struct New {
    pub(crate) chain: String,
    pub(crate) key: Zeroizing<String>,
}

/// What was put up for the authority to see.
pub(crate) struct Proofs<'a> {
    challenge: &'a Challenge,
    answers: &'a Answers,
    /// Name and value of DNS records.
    records: Vec<(String, String)>,
}

/// Does a step again when the authority did not know its nonce any more: that is no failure (RFC 8555, section 6.5).
/// A macro, since futures of closures that lend cannot be proven to be `Send`.
macro_rules! unless_bad_nonce {
    ($step:expr) => {{
        let mut left = $crate::order::NONCE_RETRIES;
        loop {
            match $step {
                Err(error) if left > 0 && $crate::order::is_bad_nonce(&error) => left -= 1,
                other => break other,
            }
        }
    }};
}
pub(crate) use unless_bad_nonce;

pub(crate) fn is_bad_nonce(error: &Error) -> bool {
    let Error::Api(problem) = error else { return false };
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:badNonce")
}

/// Proves every name and fetches a certificate for them.
pub(crate) async fn obtain(
    account: &Account,
    settings: &Settings,
    replaces: Option<CertificateIdentifier<'static>>,
    proofs: &mut Proofs<'_>,
) -> Result<New, AcmeError> {
    let refused = |step| move |error| AcmeError::of_protocol(error, &settings.directory, step);
    let identifiers: Vec<_> = settings.names.iter().map(|name| identifier(name)).collect();
    let new_order = || {
        let order = NewOrder::new(&identifiers);
        let order = settings.profile.as_ref().map_or(order, |profile| NewOrder::new(&identifiers).profile(profile));
        match &replaces {
            Some(replaces) => order.replaces(replaces.clone()),
            None => order,
        }
    };
    let order = unless_bad_nonce!(account.new_order(&new_order()).await);
    let mut order = order.map_err(refused("the order"))?;
    let fetched = unless_bad_nonce!(fetch_authorizations(&mut order).await);
    fetched.map_err(refused("the authorizations"))?;
    prove(&mut order, proofs, &settings.directory).await?;
    let ready = unless_bad_nonce!(order.poll_ready(&POLL).await);
    match ready {
        Ok(OrderStatus::Ready | OrderStatus::Valid) => {}
        ended => {
            if let Some(error) = why_not_proven(&mut order, proofs.challenge).await {
                return Err(error);
            }
            ended.map_err(refused("the proof"))?;
            return Err(refused("the order")(Error::Str("it ended without a reason")));
        }
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request = request(&settings.names)?.serialize_request(&key)?;
    let finalized = unless_bad_nonce!(order.finalize_csr(request.der()).await);
    finalized.map_err(refused("the request for a certificate"))?;
    let chain = unless_bad_nonce!(order.poll_certificate(&POLL).await);
    Ok(New { chain: chain.map_err(refused("the certificate"))?, key: Zeroizing::new(key.serialize_pem()) })
}

async fn fetch_authorizations(order: &mut Order) -> Result<(), Error> {
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        authorization?;
    }
    Ok(())
}

/// Puts up the proof of every name that needs one, then tells the authority to look.
async fn prove(order: &mut Order, proofs: &mut Proofs<'_>, directory: &str) -> Result<(), AcmeError> {
    let refused = |error| AcmeError::of_protocol(error, directory, "the proof");
    let kind = proofs.challenge_type();
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        let mut authorization = authorization.map_err(refused)?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let offered: Vec<_> = authorization.challenges.iter().map(|one| name_of(&one.r#type)).collect();
        let (name, offered) = (authorization.identifier().to_string(), offered.join(", "));
        let Some(challenge) = authorization.challenge(kind.clone()) else {
            return Err(AcmeError::NotOffered { name, challenge: proofs.challenge.name(), offered });
        };
        proofs.put_up(&challenge).await?;
    }
    let mut told = Vec::new();
    unless_bad_nonce!(tell(order, &kind, &mut told).await).map_err(refused)
}

/// Tells the authority to look at every proof but those that it was `told` of.
async fn tell(order: &mut Order, kind: &ChallengeType, told: &mut Vec<String>) -> Result<(), Error> {
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        let mut authorization = authorization?;
        let url = authorization.url().to_owned();
        if authorization.status != AuthorizationStatus::Pending || told.contains(&url) {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(kind.clone()) {
            challenge.set_ready().await?;
            told.push(url);
        }
    }
    Ok(())
}

/// What the authority says of the first name that it does not accept.
async fn why_not_proven(order: &mut Order, challenge: &Challenge) -> Option<AcmeError> {
    let mut all = order.authorizations();
    while let Some(Ok(mut authorization)) = all.next().await {
        // Without the news of this one there may be some of the next.
        if unless_bad_nonce!(authorization.refresh().await.map(|_| ())).is_err() {
            continue;
        }
        let Some(problem) = authorization.challenges.iter().find_map(|one| one.error.as_ref()) else { continue };
        let name = authorization.identifier().to_string();
        let advice = advice(problem).map_or_else(String::new, |advice| format!("; {advice}"));
        return Some(AcmeError::NotProven { name, challenge: challenge.name(), detail: format!("{problem}{advice}") });
    }
    None
}

impl<'a> Proofs<'a> {
    pub(crate) const fn new(challenge: &'a Challenge, answers: &'a Answers) -> Self {
        Self { challenge, answers, records: Vec::new() }
    }

    fn challenge_type(&self) -> ChallengeType {
        match self.challenge {
            Challenge::Http01 { .. } => ChallengeType::Http01,
            Challenge::TlsAlpn01 { .. } => ChallengeType::TlsAlpn01,
            Challenge::Dns01(_) => ChallengeType::Dns01,
        }
    }

    async fn put_up(&mut self, challenge: &ChallengeHandle<'_>) -> Result<(), AcmeError> {
        let proof = challenge.key_authorization();
        match self.challenge {
            Challenge::Http01 { .. } => self.answers.add_http(&challenge.token, proof.as_str()),
            Challenge::TlsAlpn01 { .. } => {
                let certificate = challenge_certificate(challenge.identifier().identifier, proof.digest().as_ref())?;
                let name = sni_of(challenge.identifier().identifier);
                self.answers.add_tls(&name, &Arc::new(certificate));
            }
            Challenge::Dns01(hook) => {
                let record = match challenge.identifier().identifier {
                    Identifier::Dns(name) => format!("_acme-challenge.{name}"),
                    _ => String::new(),
                };
                let value = proof.dns_value();
                // Noted before: a hook that fails half-way may have left something.
                self.records.push((record.clone(), value.clone()));
                hook.run(Act::Add, &record, &value).await?;
            }
        }
        Ok(())
    }

    /// Takes everything down again.
    pub(crate) async fn take_down(self) {
        self.answers.clear();
        let Challenge::Dns01(hook) = self.challenge else { return };
        for (record, value) in &self.records {
            if let Err(error) = hook.run(Act::Remove, record, value).await {
                tracing::warn!(%error, "a record of an ended challenge stays in the DNS");
            }
        }
    }
}

fn name_of(kind: &ChallengeType) -> &str {
    match kind {
        ChallengeType::Http01 => "http-01",
        ChallengeType::Dns01 => "dns-01",
        ChallengeType::TlsAlpn01 => "tls-alpn-01",
        ChallengeType::DeviceAttest01 => "device-attest-01",
        ChallengeType::Unknown(name) => name,
        _ => "another",
    }
}

fn identifier(name: &str) -> Identifier {
    name.parse::<IpAddr>().map_or_else(|_| Identifier::Dns(name.to_ascii_lowercase()), Identifier::Ip)
}

fn request(names: &[String]) -> Result<CertificateParams, AcmeError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for name in names {
        params.subject_alt_names.push(alternative_name(&identifier(name))?);
    }
    Ok(params)
}

fn alternative_name(identifier: &Identifier) -> Result<SanType, AcmeError> {
    match identifier {
        Identifier::Ip(address) => Ok(SanType::IpAddress(*address)),
        Identifier::Dns(name) => Ok(SanType::DnsName(name.as_str().try_into()?)),
        other => Err(AcmeError::BadName(other.authorized(false).to_string())),
    }
}

/// What the authority's client asks for: the name, or an address in the form of reverse DNS (RFC 8738, section 6).
fn sni_of(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Ip(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Identifier::Ip(IpAddr::V6(address)) => {
            let octets = address.octets();
            let nibbles = octets.iter().rev().flat_map(|octet| [octet & 0x0F, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
        other => other.authorized(false).to_string(),
    }
}

/// The certificate that proves a name in a handshake: signed by itself, with the digest in it (RFC 8737, section 3).
fn challenge_certificate(identifier: &Identifier, digest: &[u8]) -> Result<CertifiedKey, AcmeError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![alternative_name(identifier)?];
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = lampyris_tls::config::provider().key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_addresses_are_asked_for_by_their_reverse_name() {
        let sni = |name: &str| sni_of(&identifier(name));
        assert_eq!(sni("Play.example.org"), "play.example.org");
        assert_eq!(sni("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        assert_eq!(sni("2001:db8::1"), format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23)));
    }

    #[test]
    fn t31_a_bad_nonce_is_asked_again_and_not_for_ever() {
        let bad = || instant_acme::Problem {
            r#type: Some("urn:ietf:params:acme:error:badNonce".to_owned()),
            detail: None,
            status: None,
            subproblems: Vec::new(),
        };
        let mut steps = 0;
        let done = unless_bad_nonce!({
            steps += 1;
            if steps < 5 { Err(Error::from(bad())) } else { Ok(steps) }
        });
        assert_eq!(done.unwrap(), 5);
        let mut steps = 0;
        let never = unless_bad_nonce!({
            steps += 1;
            Err::<(), _>(Error::from(bad()))
        });
        assert!(never.is_err());
        assert_eq!(steps, NONCE_RETRIES + 1);
    }
}

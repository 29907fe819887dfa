//! PKCS#12 files (`.pfx`, `.p12`; RFC 7292), as Windows and OpenSSL export them.

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use pkcs8::der::Tag;
use pkcs8::der::asn1::{AnyRef, ObjectIdentifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::key::KeyError;
use crate::pbe::{self, Purpose, elements};

const DATA: &str = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
const KEY_BAG: &str = "1.2.840.113549.1.12.10.1.1";
const SHROUDED_KEY_BAG: &str = "1.2.840.113549.1.12.10.1.2";
const CERTIFICATE_BAG: &str = "1.2.840.113549.1.12.10.1.3";
const X509_CERTIFICATE: &str = "1.2.840.113549.1.9.22.1";

/// Largest file that is read.
pub const PFX_BYTES_AT_MOST: usize = 1024 * 1024;
/// Most keys and certificates that a file may have.
pub const PFX_ENTRIES_AT_MOST: usize = 64;

/// What a file holds.
pub(crate) struct Contents {
    pub(crate) keys: Vec<PrivateKeyDer<'static>>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// Opens a file with its password, the empty one if there is none.
pub(crate) fn open(bytes: &[u8], password: &str) -> Result<Contents, KeyError> {
    if bytes.len() > PFX_BYTES_AT_MOST {
        return Err(damaged(&format!("it has {} bytes, more than {PFX_BYTES_AT_MOST}", bytes.len())));
    }
    let file = parse(bytes)?;
    let parts = elements(file)?;
    let [_version, content, mac @ ..] = parts.as_slice() else { return Err(damaged("no content")) };
    let (kind, content) = content_info(*content)?;
    if kind != DATA {
        return Err(KeyError::Unsupported(format!("a PKCS#12 file signed by a key ({kind}) instead of a password")));
    }
    let safes = octets(parse(explicit(content)?)?)?;
    if let Some(mac) = mac.first() {
        verify(*mac, password, safes)?;
    }
    let mut contents = Contents { keys: Vec::new(), certificates: Vec::new() };
    for safe in elements(parse(safes)?)? {
        let (kind, content) = content_info(safe)?;
        match kind.as_str() {
            DATA => contents.take(octets(parse(explicit(content)?)?)?, password)?,
            ENCRYPTED_DATA => contents.take(&encrypted(content, password)?, password)?,
            other => return Err(KeyError::Unsupported(format!("contents of the kind {other}"))),
        }
    }
    Ok(contents)
}

impl Contents {
    /// Takes what the bags of a safe hold.
    fn take(&mut self, safe: &[u8], password: &str) -> Result<(), KeyError> {
        for bag in elements(parse(safe)?)? {
            if self.keys.len() + self.certificates.len() >= PFX_ENTRIES_AT_MOST {
                return Err(damaged(&format!("it has more than {PFX_ENTRIES_AT_MOST} entries")));
            }
            let parts = elements(bag)?;
            let [kind, content, ..] = parts.as_slice() else { return Err(damaged("an empty bag")) };
            let content = explicit(*content)?;
            match name(*kind)?.as_str() {
                KEY_BAG => self.keys.push(pkcs8(content)),
                SHROUDED_KEY_BAG => {
                    let parts = elements(parse(content)?)?;
                    let [algorithm, key] = parts.as_slice() else { return Err(damaged("an encrypted key")) };
                    self.keys.push(pkcs8(&pbe::decrypt(*algorithm, password, octets(*key)?)?));
                }
                CERTIFICATE_BAG => {
                    let parts = elements(parse(content)?)?;
                    let [kind, certificate] = parts.as_slice() else { return Err(damaged("a certificate")) };
                    if name(*kind)? == X509_CERTIFICATE {
                        let certificate = octets(parse(explicit(*certificate)?)?)?;
                        self.certificates.push(CertificateDer::from(certificate.to_vec()));
                    }
                }
                // Revocation lists and secrets are of no use to a listener.
                _ => {}
            }
        }
        Ok(())
    }
}

/// `EncryptedData` (RFC 5652, section 8) in its explicit tag.
fn encrypted(content: AnyRef<'_>, password: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let parts = elements(parse(explicit(content)?)?)?;
    let [_version, info, ..] = parts.as_slice() else { return Err(damaged("encrypted data")) };
    let parts = elements(*info)?;
    let [_kind, algorithm, content] = parts.as_slice() else { return Err(damaged("encrypted content")) };
    pbe::decrypt(*algorithm, password, explicit(*content)?)
}

/// Checks the file against the password.
fn verify(mac: AnyRef<'_>, password: &str, content: &[u8]) -> Result<(), KeyError> {
    let parts = elements(mac)?;
    let [info, salt, rounds @ ..] = parts.as_slice() else { return Err(damaged("the check of integrity")) };
    let info = elements(*info)?;
    let [algorithm, expected] = info.as_slice() else { return Err(damaged("the check of integrity")) };
    let algorithm = elements(*algorithm)?;
    let algorithm = name(*algorithm.first().ok_or_else(|| damaged("the check of integrity"))?)?;
    let (hash, hmac) = match algorithm.as_str() {
        "1.3.14.3.2.26" => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        "2.16.840.1.101.3.4.2.1" => (&digest::SHA256, hmac::HMAC_SHA256),
        "2.16.840.1.101.3.4.2.2" => (&digest::SHA384, hmac::HMAC_SHA384),
        "2.16.840.1.101.3.4.2.3" => (&digest::SHA512, hmac::HMAC_SHA512),
        other => return Err(KeyError::Unsupported(format!("a check of integrity by {other}"))),
    };
    let rounds = rounds.first().map_or(Ok(1), |rounds| pbe::read_rounds(*rounds))?;
    let key = pbe::derive(hash, password, octets(*salt)?, Purpose::Mac, rounds, hash.output_len());
    let key = hmac::Key::new(hmac, &key);
    hmac::verify(&key, content, octets(*expected)?).map_err(|_| KeyError::WrongPassword)
}

fn content_info(info: AnyRef<'_>) -> Result<(String, AnyRef<'_>), KeyError> {
    let parts = elements(info)?;
    let [kind, content] = parts.as_slice() else { return Err(damaged("contents")) };
    Ok((name(*kind)?, *content))
}

fn parse(bytes: &[u8]) -> Result<AnyRef<'_>, KeyError> {
    AnyRef::try_from(bytes).map_err(|error| KeyError::Damaged(error.to_string()))
}

/// What a context-specific tag holds.
fn explicit(tagged: AnyRef<'_>) -> Result<&[u8], KeyError> {
    match tagged.header().tag() {
        Tag::ContextSpecific { .. } => Ok(tagged.value()),
        other => Err(damaged(&format!("a context-specific tag, got {other}"))),
    }
}

fn octets(octets: AnyRef<'_>) -> Result<&[u8], KeyError> {
    match octets.header().tag() {
        Tag::OctetString => Ok(octets.value()),
        other => Err(damaged(&format!("an OCTET STRING, got {other}"))),
    }
}

fn name(identifier: AnyRef<'_>) -> Result<String, KeyError> {
    let identifier: ObjectIdentifier =
        identifier.decode_as().map_err(|error: pkcs8::der::Error| KeyError::Damaged(error.to_string()))?;
    Ok(identifier.to_string())
}

fn pkcs8(key: &[u8]) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()))
}

fn damaged(expected: &str) -> KeyError {
    KeyError::Damaged(format!("expected {expected}"))
}

//! OCSP staples (RFC 6960), served only from a file `<certificate>.ocsp` that the operator keeps fresh.
//!
//! A staple of another certificate or an outdated one makes browsers refuse the connection, so it is left out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::asn1_rs::{Any, Class, FromDer as _, Tag};
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use crate::{TlsError, files};

/// Explicitly tagged `[0]`.
const CONTEXT_0: Tag = Tag(0);
/// `responseStatus` of an answer.
const SUCCESSFUL: &[u8] = &[0];

/// The file beside a certificate that holds its staple.
pub(crate) fn path_beside(certificate: &Path) -> PathBuf {
    let mut name = OsString::from(certificate);
    name.push(".ocsp");
    name.into()
}

/// The staple for `leaf`, if there is a file; the inner error says why it is of no use.
pub(crate) fn read(
    certificate: &Path,
    leaf: &[u8],
    now: SystemTime,
) -> Result<Option<Result<Vec<u8>, String>>, TlsError> {
    let Some(response) = files::read(&path_beside(certificate))? else { return Ok(None) };
    Ok(Some(check(&response, leaf, now).map(|()| response)))
}

fn check(response: &[u8], leaf: &[u8], now: SystemTime) -> Result<(), String> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
    let single = single_response(response).ok_or("expected a successful OCSP response in DER")?;
    if single.serial != leaf.raw_serial() {
        return Err("it is for another certificate".to_owned());
    }
    match single.next_update {
        Some(until) if until <= now => Err("it is outdated".to_owned()),
        _ => Ok(()),
    }
}

/// What a response says of its first certificate.
struct SingleResponse<'a> {
    serial: &'a [u8],
    next_update: Option<SystemTime>,
}

fn single_response(response: &[u8]) -> Option<SingleResponse<'_>> {
    let mut outer = contents(&mut { response }, Tag::Sequence)?;
    if contents(&mut outer, Tag::Enumerated)? != SUCCESSFUL {
        return None;
    }
    let mut wrapped = contents(&mut outer, CONTEXT_0)?;
    let mut typed = contents(&mut wrapped, Tag::Sequence)?;
    contents(&mut typed, Tag::Oid)?;
    let mut basic = contents(&mut typed, Tag::OctetString)?;
    let mut signed = contents(&mut basic, Tag::Sequence)?;
    let mut data = contents(&mut signed, Tag::Sequence)?;
    // A version and the responder's name or key stand before the time at which the response was made.
    while element(&mut data)?.tag() != Tag::GeneralizedTime {}
    let mut responses = contents(&mut data, Tag::Sequence)?;
    let mut single = contents(&mut responses, Tag::Sequence)?;
    let mut id = contents(&mut single, Tag::Sequence)?;
    contents(&mut id, Tag::Sequence)?;
    contents(&mut id, Tag::OctetString)?;
    contents(&mut id, Tag::OctetString)?;
    let serial = contents(&mut id, Tag::Integer)?;
    let _status = element(&mut single)?;
    contents(&mut single, Tag::GeneralizedTime)?;
    let next_update = contents(&mut single, CONTEXT_0).and_then(moment);
    Some(SingleResponse { serial, next_update })
}

fn moment(time: &[u8]) -> Option<SystemTime> {
    let (_, time) = ASN1Time::from_der(time).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).ok()?))
}

fn element<'a>(input: &mut &'a [u8]) -> Option<Any<'a>> {
    let (rest, element) = Any::from_der(input).ok()?;
    *input = rest;
    Some(element)
}

/// What is in the next element, if it has this tag.
fn contents<'a>(input: &mut &'a [u8], tag: Tag) -> Option<&'a [u8]> {
    let class = if tag == CONTEXT_0 { Class::ContextSpecific } else { Class::Universal };
    let (rest, next) = Any::from_der(input).ok()?;
    if (next.tag(), next.class()) != (tag, class) {
        return None;
    }
    *input = rest;
    Some(next.data)
}

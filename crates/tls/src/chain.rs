//! The order of a certificate chain.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::Warning;
use crate::certificate::is_issued_by;

/// Puts `rest` behind the leaf, each certificate followed by its issuer. A root is left out, since clients have it or
/// refuse it; so is what belongs to nobody, with a warning.
pub(crate) fn order(
    leaf: CertificateDer<'static>,
    mut rest: Vec<CertificateDer<'static>>,
) -> (Vec<CertificateDer<'static>>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut chain = vec![leaf.clone()];
    let mut current = leaf;
    rest.retain(|certificate| *certificate != current);
    let mut at_root = is_issued_by(&current, &current);
    while !at_root {
        let Some(issuer) = rest.iter().position(|candidate| is_issued_by(&current, candidate)) else { break };
        current = rest.remove(issuer);
        rest.retain(|certificate| *certificate != current);
        at_root = is_issued_by(&current, &current);
        if !at_root {
            chain.push(current.clone());
        }
    }
    if let ([leaf], false) = (chain.as_slice(), at_root) {
        warnings.push(Warning::MissingIntermediate { issuer: describe(leaf, |parsed| parsed.issuer().to_string()) });
    }
    let subject = |certificate: &CertificateDer<'_>| describe(certificate, |parsed| parsed.subject().to_string());
    warnings.extend(rest.iter().map(|extra| Warning::ExtraCertificate { subject: subject(extra) }));
    (chain, warnings)
}

fn describe(certificate: &CertificateDer<'_>, what: impl Fn(&X509Certificate<'_>) -> String) -> String {
    X509Certificate::from_der(certificate).map(|(_, parsed)| what(&parsed)).unwrap_or_default()
}

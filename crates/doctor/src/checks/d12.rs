//! D12: Unity clients, which end at TLS 1.2 and look only into the store of their system.

use lampyris_tls::inspect::Trust;

use crate::chains::chains;
use crate::{Context, Finding};

pub(super) fn d12_unity(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for probe in &context.probed.ports {
        let Some(handshake) = &probe.handshake else { continue };
        if let Err(text) = &handshake.tls12 {
            let what =
                format!("{} {}: no handshake with TLS 1.2 alone: {text}", probe.target.role.name(), probe.target.port);
            let remedy = "set MinProtocolVersion=\"TLS12\" and CipherList=\"DEFAULT\" at this listener";
            findings.push(Finding::error(what).because("Unity and Mono clients speak nothing newer").mend(remedy));
        }
    }
    let mut authorities: Vec<String> = Vec::new();
    for chain in chains(context) {
        match context.anchors.trust(&chain.certificates) {
            Trust::Private { authority } if !authorities.contains(&authority) => authorities.push(authority),
            _ => {}
        }
    }
    for authority in authorities {
        let what = format!("the certificates end at the private authority {authority:?}");
        let why = "Unity reports UNITYTLS_X509VERIFY_FLAG_NOT_TRUSTED on machines whose system does not trust it";
        let remedy = "run `lampyris cert trust ca.pem` on each machine that plays (it prints the steps for Windows, macOS, \
                      Android and iOS), or use a certificate of a public authority";
        findings.push(Finding::note(what).because(why).mend(remedy));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn d12_a_private_authority_is_explained_and_no_fault() {
        let findings = Fixture::sound().run(d12_unity);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Information, "{findings:?}");
        assert!(findings[0].why.contains("UNITYTLS_X509VERIFY_FLAG_NOT_TRUSTED"), "{findings:?}");
    }

    #[test]
    fn d12_a_listener_without_tls12_is_an_error() {
        let findings = Fixture::sound().without_tls12(19093).run(d12_unity);
        assert_eq!(findings[0].severity, Severity::Error);
        assert!(findings[0].what.starts_with("NameServer 19093"), "{findings:?}");
        assert!(findings[0].remedy.contains("MinProtocolVersion"), "{findings:?}");
    }
}

//! What became of asking an authority for certificates.

use lampyris_server::certificates::{LETS_ENCRYPT, default_account_file, status};

use crate::{Context, Finding};

/// The last try, if it failed.
pub(crate) fn failed_try(context: &Context<'_>) -> Option<Finding> {
    let acme = context.local_config()?.instance.acme.as_ref()?;
    // Whatever the directory, the file is in this folder.
    let usual = || default_account_file(&acme.folder, LETS_ENCRYPT);
    let account = acme.account_file.clone().unwrap_or_else(usual);
    let known = match status(&account) {
        Ok(known) => known,
        Err(error) => {
            let what = format!("what became of asking for certificates is not known: {error}");
            return Some(Finding::warning(what).mend("run doctor as the server's user or as root"));
        }
    };
    let failure = known.last_error?;
    let left = known.next_try.and_then(|at| at.duration_since(context.machine.now()).ok()).unwrap_or_default();
    let what = format!("the last of {} tries for a certificate by ACME failed: {}", known.failures, failure.text);
    let again = format!("the next try is in {} min; mend what the text says before", left.as_secs().div_ceil(60));
    Some(
        Finding::warning(what).because("without a new certificate secure connections end with the old one").mend(again),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture::Fixture;

    fn with_status(status: &str) -> Vec<Finding> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("status.json"), status).unwrap();
        let account = folder.path().join("account.json");
        let acme = format!(
            "<Acme AgreeToTerms=\"true\" Names=\"photon.test\" AccountFile=\"{}\"/>\n<UDPListeners>",
            account.display()
        );
        Fixture::sound().listeners("<UDPListeners>", &acme).run(|context| failed_try(context).into_iter().collect())
    }

    #[test]
    fn d11_a_failed_try_for_a_certificate_is_told_with_its_reason() {
        let findings = with_status("{\"failures\":3,\"last_error\":{\"at\":1,\"text\":\"port 80 is closed\"}}");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].what.contains("3 tries") && findings[0].what.contains("port 80 is closed"), "{findings:?}");
        assert_eq!(with_status("{\"failures\":0,\"last_error\":null}"), []);
        assert!(with_status("{").first().is_some_and(|finding| finding.what.contains("status.json")));
    }
}

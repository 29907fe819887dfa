use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rand_words::WORDS;

use super::*;

mod rand_words {
    /// Words for generated lists: aliases, suites that are offered here and not, and nonsense.
    pub(super) const WORDS: &[&str] = &[
        "ALL",
        "HIGH",
        "MEDIUM",
        "LOW",
        "FIPS",
        "AES",
        "AES128",
        "AES256",
        "AESGCM",
        "AESCCM",
        "CHACHA20",
        "ECDHE",
        "EECDH",
        "kECDHE",
        "kEECDH",
        "ECDH",
        "DHE",
        "kDHE",
        "RSA",
        "kRSA",
        "aRSA",
        "aECDSA",
        "ECDSA",
        "aNULL",
        "eNULL",
        "NULL",
        "PSK",
        "SRP",
        "SHA",
        "SHA1",
        "SHA256",
        "SHA384",
        "MD5",
        "3DES",
        "RC4",
        "CAMELLIA",
        "ARIA",
        "SEED",
        "TLSv1.2",
        "TLSv1",
        "SSLv3",
        "COMPLEMENTOFALL",
        "COMPLEMENTOFDEFAULT",
        "nonsense",
        "DSS",
        "AECDH",
        "ADH",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "AES128-SHA",
        "DHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-SHA384",
    ];
}

/// What OpenSSL makes of a list, as far as we have the suites; empty if it makes an error of it.
fn openssl(list: &str) -> Vec<String> {
    // With a separator in front that a leading minus is no option of the program.
    let argument = if list.starts_with('-') { format!(":{list}") } else { list.to_owned() };
    let output = Command::new("openssl").args(["ciphers", "-s", "-tls1_2", &argument]).output().unwrap();
    if !output.status.success() {
        return Vec::new();
    }
    let ours = |name: &&str| SUITES.iter().any(|suite| suite.name == *name);
    String::from_utf8(output.stdout).unwrap().trim().split(':').filter(ours).map(str::to_owned).collect()
}

fn evaluated(list: &str) -> Vec<String> {
    CipherList::parse(list).map(|(list, _)| list.names().map(str::to_owned).collect()).unwrap_or_default()
}

fn lists() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS);
    let selection = prop_oneof![
        6 => word.clone().prop_map(str::to_owned),
        2 => (word.clone(), word).prop_map(|(a, b)| format!("{a}+{b}")),
    ];
    let prefix = prop::sample::select(vec!["", "", "", "", "", "!", "-", "-", "+", "+"]);
    let item = prop_oneof![
        12 => (prefix, selection).prop_map(|(prefix, selection)| format!("{prefix}{selection}")),
        1 => Just("@STRENGTH".to_owned()),
        1 => (0..8_u8).prop_map(|level| format!("@SECLEVEL={level}")),
        1 => prop::sample::select(vec!["!", "@NONSENSE", "#", "AES!CHACHA20", "+", ""]).prop_map(str::to_owned),
    ];
    let separator = prop::sample::select(vec![":", ":", ":", ",", " ", ";", "::"]);
    let start = prop::sample::select(vec!["", "DEFAULT", "DEFAULT:", "ALL:", "HIGH:", "SUITEB128:", "SUITEB192"]);
    (start, prop::collection::vec((item, separator), 1..7)).prop_map(|(start, items)| {
        let items = items.into_iter().map(|(item, separator)| item + separator).collect::<String>();
        format!("{start}{items}")
    })
}

#[test]
fn t15_generated_lists_mean_what_they_mean_to_openssl() {
    const SEED: [u8; 32] = [15; 32];
    const LISTS: usize = 400;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = lists();
    let mut empty = 0;
    for _ in 0..LISTS {
        let list = strategy.new_tree(&mut runner).unwrap().current();
        let expected = openssl(&list);
        empty += usize::from(expected.is_empty());
        assert_eq!(evaluated(&list), expected, "seed {SEED:?}: {list:?}");
    }
    assert!(empty < LISTS / 2, "{empty} of {LISTS} lists select nothing, which compares little");
}

#[test]
fn t15_every_word_alone_means_what_it_means_to_openssl() {
    for word in WORDS {
        for list in [(*word).to_owned(), format!("ALL:-{word}"), format!("ALL:+{word}"), format!("ALL:!{word}:ALL")] {
            assert_eq!(evaluated(&list), openssl(&list), "{list}");
        }
    }
}

#[test]
fn t15_usual_lists_are_all_six_suites() {
    for list in ["", " ", "DEFAULT", "HIGH", "ALL", "HIGH:!aNULL:!MD5", "DEFAULT:@SECLEVEL=2"] {
        let (list, warnings) = CipherList::parse(list).unwrap();
        assert_eq!((list.names().count(), warnings), (6, vec![]));
    }
}

#[test]
fn t15_unknown_words_are_ignored_with_a_warning_and_known_ones_with_a_note() {
    let (list, warnings) = CipherList::parse("AES256:bogus:AES128-SHA:DHE-RSA-AES256-GCM-SHA384").unwrap();
    assert_eq!(list.names().count(), 2);
    let notes = warnings.iter().filter(|warning| warning.is_information()).count();
    assert_eq!((warnings.len(), notes), (3, 2));
    assert!(warnings[0].to_string().contains("bogus"));
}

#[test]
fn t15_a_list_that_selects_nothing_names_what_there_is() {
    let error = CipherList::parse("RC4:3DES").unwrap_err().to_string();
    assert!(error.contains("ECDHE-RSA-CHACHA20-POLY1305") && error.contains("RC4:3DES"), "{error}");
    for wrong in ["ALL:@SECLEVEL=6", "ALL:@WEAKNESS", "ALL:!", "ALL#", "ä"] {
        assert!(matches!(CipherList::parse(wrong), Err(TlsError::CipherSyntax { .. })), "{wrong}");
    }
    assert!(CipherList::parse(&"A".repeat(CIPHER_LIST_LEN_AT_MOST + 1)).is_err());
}

#[test]
fn t15_security_levels_ask_for_strong_keys() {
    let strong =
        |level: u8, key| CipherList::parse(&format!("ALL:@SECLEVEL={level}")).unwrap().0.check_key(key).is_ok();
    for (level, rsa, curve) in [(2, 2048, 224), (3, 3072, 256), (4, 7680, 384)] {
        assert!(strong(level, KeyKind::Rsa { bits: rsa }) && !strong(level, KeyKind::Rsa { bits: rsa - 1 }));
        assert!(strong(level, KeyKind::Ecdsa { bits: curve }) && !strong(level, KeyKind::Ecdsa { bits: curve - 1 }));
    }
    assert!(CipherList::default().check_key(KeyKind::Rsa { bits: 1024 }).is_ok());
}

proptest! {
    #[test]
    fn no_list_makes_the_evaluator_panic(list in "[ -~ä]{0,60}") {
        let _ = CipherList::parse(&list);
    }
}

//! The words of cipher lists: the suites that are offered here, and OpenSSL's aliases by what they select.

use rustls::CipherSuite;

use self::group::{AUTH, ENC, KX, MAC, STANDING, STRENGTH, VERSION};

/// A TLS 1.2 suite.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suite {
    /// OpenSSL's name.
    pub(super) name: &'static str,
    iana: &'static str,
    pub(super) id: CipherSuite,
    mask: Mask,
    pub(super) strength_bits: u16,
}

/// Places of the properties in a [`Mask`].
mod group {
    pub(super) const KX: usize = 0;
    pub(super) const AUTH: usize = 1;
    pub(super) const ENC: usize = 2;
    pub(super) const MAC: usize = 3;
    pub(super) const STRENGTH: usize = 4;
    pub(super) const STANDING: usize = 5;
    pub(super) const VERSION: usize = 6;
    pub(super) const COUNT: usize = 7;
}

/// For each property the values that are allowed, one bit for each value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask([u16; group::COUNT]);

impl Mask {
    /// Everything.
    pub(super) const ANY: Self = Self([u16::MAX; group::COUNT]);

    /// What both allow; `None` if that is nothing.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let mut both = other.0;
        both.iter_mut().zip(self.0).for_each(|(to, from)| *to &= from);
        both.iter().all(|bits| *bits != 0).then_some(Self(both))
    }

    pub(super) fn covers(&self, suite: &Suite) -> bool {
        self.and(&suite.mask).is_some()
    }

    fn of(properties: &[(usize, u16)]) -> Self {
        let mut mask = Self::ANY;
        for (group, bits) in properties {
            mask.0.iter_mut().skip(*group).take(1).for_each(|have| *have &= bits);
        }
        mask
    }
}

const ECDHE: u16 = 1;
const K_RSA: u16 = 1 << 1;
const DHE: u16 = 1 << 2;
const PSK: u16 = 1 << 3;
const RSA_PSK: u16 = 1 << 4;
const ECDHE_PSK: u16 = 1 << 5;
const DHE_PSK: u16 = 1 << 6;
const SRP: u16 = 1 << 7;
const K_GOST: u16 = 1 << 8;

const ECDSA: u16 = 1;
const A_RSA: u16 = 1 << 1;
const DSS: u16 = 1 << 2;
const A_NULL: u16 = 1 << 3;
const A_PSK: u16 = 1 << 4;
const A_SRP: u16 = 1 << 5;
const A_GOST: u16 = 1 << 6;

const AES128_GCM: u16 = 1;
const AES256_GCM: u16 = 1 << 1;
const CHACHA: u16 = 1 << 2;
const AES128_CBC: u16 = 1 << 3;
const AES256_CBC: u16 = 1 << 4;
const AES128_CCM: u16 = 1 << 5;
const AES256_CCM: u16 = 1 << 6;
const AES128_CCM8: u16 = 1 << 7;
const AES256_CCM8: u16 = 1 << 8;
const CAMELLIA128: u16 = 1 << 9;
const CAMELLIA256: u16 = 1 << 10;
const ARIA128: u16 = 1 << 11;
const ARIA256: u16 = 1 << 12;
const E_NULL: u16 = 1 << 13;
const OTHER_ENC: u16 = 1 << 14;

const AEAD: u16 = 1;
const OTHER_MAC: u16 = 1 << 1;

const HIGH: u16 = 1;
const FIPS: u16 = 1 << 1;
const MEDIUM: u16 = 1 << 2;
const LOW: u16 = 1 << 3;

const DEFAULT: u16 = 1;
const NOT_DEFAULT: u16 = 1 << 1;

const TLS_1_2: u16 = 1;
const OLDER: u16 = 1 << 1;

const fn suite(
    name: &'static str,
    iana: &'static str,
    id: CipherSuite,
    (auth, enc, strength): (u16, u16, u16),
    strength_bits: u16,
) -> Suite {
    Suite { name, iana, id, mask: Mask([ECDHE, auth, enc, AEAD, strength, DEFAULT, TLS_1_2]), strength_bits }
}

/// Every suite, in OpenSSL's order of preference.
pub(super) const SUITES: [Suite; 6] = [
    suite(
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        (ECDSA, AES256_GCM, HIGH | FIPS),
        256,
    ),
    suite(
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        (A_RSA, AES256_GCM, HIGH | FIPS),
        256,
    ),
    suite(
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        (ECDSA, CHACHA, HIGH),
        256,
    ),
    suite(
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        (A_RSA, CHACHA, HIGH),
        256,
    ),
    suite(
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        (ECDSA, AES128_GCM, HIGH | FIPS),
        128,
    ),
    suite(
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        (A_RSA, AES128_GCM, HIGH | FIPS),
        128,
    ),
];

/// What a word means.
pub(super) enum Word {
    /// Suites with these properties.
    Selects(Mask),
    /// A suite that OpenSSL has and this server does not offer.
    Unsupported,
    /// Nothing.
    Unknown,
}

pub(super) fn look_up(word: &str) -> Word {
    if let Some(suite) = SUITES.iter().find(|suite| suite.name == word || suite.iana == word) {
        return Word::Selects(suite.mask.clone());
    }
    match properties(word) {
        Some(properties) => Word::Selects(Mask::of(properties)),
        None if is_suite_name(word) => Word::Unsupported,
        None => Word::Unknown,
    }
}

const AES_GCM: u16 = AES128_GCM | AES256_GCM;
const AES_CCM8: u16 = AES128_CCM8 | AES256_CCM8;
const AES_CCM: u16 = AES128_CCM | AES256_CCM | AES_CCM8;
const AES128: u16 = AES128_GCM | AES128_CBC | AES128_CCM | AES128_CCM8;
const AES256: u16 = AES256_GCM | AES256_CBC | AES256_CCM | AES256_CCM8;

/// OpenSSL's aliases.
fn properties(alias: &str) -> Option<&'static [(usize, u16)]> {
    Some(match alias {
        "ALL" => &[(ENC, !E_NULL)],
        "COMPLEMENTOFALL" | "eNULL" | "NULL" => &[(ENC, E_NULL)],
        "COMPLEMENTOFDEFAULT" => &[(STANDING, NOT_DEFAULT)],
        "kECDHE" | "kEECDH" | "ECDH" => &[(KX, ECDHE)],
        "ECDHE" | "EECDH" => &[(KX, ECDHE), (AUTH, !A_NULL)],
        "AECDH" => &[(KX, ECDHE), (AUTH, A_NULL)],
        "kRSA" => &[(KX, K_RSA)],
        "RSA" => &[(KX, K_RSA), (AUTH, A_RSA)],
        "kDHE" | "kEDH" | "DH" => &[(KX, DHE)],
        "DHE" | "EDH" => &[(KX, DHE), (AUTH, !A_NULL)],
        "ADH" => &[(KX, DHE), (AUTH, A_NULL)],
        "kPSK" => &[(KX, PSK)],
        "kRSAPSK" => &[(KX, RSA_PSK)],
        "kECDHEPSK" => &[(KX, ECDHE_PSK)],
        "kDHEPSK" => &[(KX, DHE_PSK)],
        "PSK" => &[(KX, PSK | RSA_PSK | ECDHE_PSK | DHE_PSK)],
        "kSRP" | "SRP" => &[(KX, SRP)],
        "kGOST" | "kGOST18" => &[(KX, K_GOST)],
        "aECDSA" | "ECDSA" => &[(AUTH, ECDSA)],
        "aRSA" => &[(AUTH, A_RSA)],
        "aDSS" | "DSS" => &[(AUTH, DSS)],
        "aNULL" => &[(AUTH, A_NULL)],
        "aPSK" => &[(AUTH, A_PSK)],
        "aSRP" => &[(AUTH, A_SRP)],
        "aGOST" | "aGOST01" | "aGOST12" => &[(AUTH, A_GOST)],
        "AES" => &[(ENC, AES128 | AES256)],
        "AES128" => &[(ENC, AES128)],
        "AES256" => &[(ENC, AES256)],
        "AESGCM" => &[(ENC, AES_GCM)],
        "AESCCM" => &[(ENC, AES_CCM)],
        "AESCCM8" => &[(ENC, AES_CCM8)],
        "CHACHA20" => &[(ENC, CHACHA)],
        "CAMELLIA" => &[(ENC, CAMELLIA128 | CAMELLIA256)],
        "CAMELLIA128" => &[(ENC, CAMELLIA128)],
        "CAMELLIA256" => &[(ENC, CAMELLIA256)],
        "ARIA" | "ARIAGCM" => &[(ENC, ARIA128 | ARIA256)],
        "ARIA128" => &[(ENC, ARIA128)],
        "ARIA256" => &[(ENC, ARIA256)],
        "3DES" | "RC4" | "RC2" | "IDEA" | "SEED" | "GOST89" => &[(ENC, OTHER_ENC)],
        "MD5" | "SHA" | "SHA1" | "SHA256" | "SHA384" | "GOST94" | "GOST89MAC" => &[(MAC, OTHER_MAC)],
        "HIGH" => &[(STRENGTH, HIGH)],
        "FIPS" => &[(STRENGTH, FIPS)],
        "MEDIUM" => &[(STRENGTH, MEDIUM)],
        "LOW" => &[(STRENGTH, LOW)],
        "TLSv1.2" => &[(VERSION, TLS_1_2)],
        "TLSv1" | "TLSv1.0" | "SSLv3" => &[(VERSION, OLDER)],
        _ => return None,
    })
}

/// Whether a word is put together like the names of OpenSSL's suites.
fn is_suite_name(word: &str) -> bool {
    const PARTS: [&str; 46] = [
        "ADH",
        "AECDH",
        "AES",
        "AES128",
        "AES256",
        "ARIA128",
        "ARIA256",
        "CAMELLIA128",
        "CAMELLIA256",
        "CBC",
        "CBC3",
        "CCM",
        "CCM8",
        "CHACHA20",
        "DES",
        "DH",
        "DHE",
        "DSS",
        "ECDH",
        "ECDHE",
        "ECDSA",
        "EDH",
        "EXP",
        "GCM",
        "GOST2001",
        "GOST2012",
        "GOST89",
        "GOST94",
        "IDEA",
        "KRB5",
        "MD5",
        "NULL",
        "POLY1305",
        "PSK",
        "RC2",
        "RC4",
        "RSA",
        "SEED",
        "SHA",
        "SHA256",
        "SHA384",
        "SRP",
        "3DES",
        "128",
        "256",
        "EDE",
    ];
    word.starts_with("TLS_") || (word.contains('-') && word.split('-').all(|part| PARTS.contains(&part)))
}

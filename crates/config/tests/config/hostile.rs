//! Any bytes: no panic, a bounded number of findings, no secret in a text.

use lampyris_config::{LoadOptions, MAX_FILE_BYTES, MAX_FINDINGS};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::common::{
    Deployment, GAME_XML, LOAD_BALANCER, LOG4NET, MAIN, MASTER_XML, NAMESERVER_JSON, NAMESERVER_XML, PLUGIN, WORKLOAD,
    text_of,
};

const FILES: [&str; 5] = [MAIN, NAMESERVER_JSON, NAMESERVER_XML, MASTER_XML, GAME_XML];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(0x1A3F), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(file in 0..FILES.len(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut deployment = Deployment::v5();
        deployment.put(FILES[file], bytes);
        let _ = text_of(&deployment.load(LoadOptions::default()));
    }

    #[test]
    fn damaged_samples_never_panic_and_never_show_a_secret(
        file in 0..FILES.len(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), "[<>\"'=&%\\[\\]{}$a0 \n/]{0,3}", 0_usize..6), 1..6),
    ) {
        let mut deployment = Deployment::v5();
        let mut text = String::from_utf8(deployment.0[std::path::Path::new(FILES[file])].clone()).unwrap();
        for (at, inserted, removed) in damage {
            let at = at.index(text.len());
            text.replace_range(at..(at + removed).min(text.len()), &inserted);
        }
        deployment.put(FILES[file], text);
        let told = text_of(&deployment.load(LoadOptions::default()));
        prop_assert!(!told.contains("the-token-key"), "{}", told);
        prop_assert!(!told.contains("provider-parameter"), "{}", told);
    }
}

/// A deployment of version 4 under the names that the sample has.
const V4: [&str; 7] = [
    "deploy/NameServer/bin/Photon.NameServer.dll.config",
    "deploy/Loadbalancing/Master/bin/Photon.LoadBalancing.dll.config",
    "deploy/Loadbalancing/GameServer/bin/Photon.LoadBalancing.dll.config",
    "deploy/Loadbalancing/GameServer/bin/plugin.config",
    "deploy/Loadbalancing/GameServer/bin/log4net.config",
    "deploy/Workload.config",
    "deploy/LoadBalancer.config",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(0x1A40), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_in_further_files_never_panic(
        file in 0_usize..4,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut deployment = Deployment::v5();
        deployment.put([WORKLOAD, LOAD_BALANCER, PLUGIN, LOG4NET][file], bytes);
        let _ = text_of(&deployment.load(LoadOptions::default()));
    }

    #[test]
    fn damaged_files_of_version_4_never_panic_and_never_show_a_secret(
        file in 0..V4.len(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), "[<>\"'=&%\\[\\]{}$a0 \n/]{0,3}", 0_usize..6), 1..6),
    ) {
        let mut deployment = Deployment::of_folder("v4-roles");
        let mut text = String::from_utf8(deployment.0[std::path::Path::new(V4[file])].clone()).unwrap();
        for (at, inserted, removed) in damage {
            let at = at.index(text.len());
            text.replace_range(at..(at + removed).min(text.len()), &inserted);
        }
        deployment.put(V4[file], text);
        let loaded = deployment.load_from("deploy/bin_Win64/PhotonServer.config", LoadOptions::default());
        let told = format!("{}{:?}{:?}", text_of(&loaded), loaded.config, loaded.effective);
        for secret in ["the-token-key", "provider-parameter", "plugin-parameter"] {
            prop_assert!(!told.contains(secret), "{}", told);
        }
    }
}

#[test]
fn findings_have_an_end() {
    let mut deployment = Deployment::v5();
    deployment.put(
        MASTER_XML,
        format!("<configuration><Photon>{}</Photon></configuration>", "<X/>\n".repeat(MAX_FINDINGS * 2)),
    );
    let loaded = deployment.load(LoadOptions::default());
    assert_eq!(loaded.findings.len(), MAX_FINDINGS + 1);
    assert!(loaded.findings.last().unwrap().text.contains("more findings"));
}

#[test]
fn a_huge_file_is_refused() {
    let mut deployment = Deployment::v5();
    deployment.put(MAIN, vec![b' '; MAX_FILE_BYTES + 1]);
    assert!(text_of(&deployment.load(LoadOptions::default())).contains("at most 4194304 bytes"));
}

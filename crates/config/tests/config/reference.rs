//! The page for operators is made from the declarations.

use std::path::Path;

use lampyris_config::reference;

#[test]
fn the_page_has_the_current_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (own, _) =
        page.split_once("## PhotonServer.config: `Instance`").expect("the reference begins with the instance");
    let current = format!("{own}{}", reference());
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert!(
        page == current,
        "docs/configuration.md is not current; UPDATE_REFERENCE=1 cargo test -p lampyris-config writes it"
    );
}

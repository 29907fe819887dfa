//! Servers that demand certificates of each other, with those that `cert cluster` makes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use common::Workshop;
use lampyris_tls::cluster::{Cluster, Node};
use lampyris_tls::config::provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig, ServerConnection};

fn roots(file: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    Arc::new(roots)
}

fn identity(file: &Path) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (vec![CertificateDer::from_pem_file(file).unwrap()], PrivateKeyDer::from_pem_file(file).unwrap())
}

/// Shakes hands in memory; the error is of whoever refuses.
fn shake_hands(master: &Node, game: Option<&Node>, host: &str) -> Result<(), Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(&master.root), provider()).build().unwrap();
    let (chain, key) = identity(&master.identity);
    let server = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let server = server.with_client_cert_verifier(verifier).with_single_cert(chain, key)?;
    let client = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let client = client.with_root_certificates(roots(&game.unwrap_or(master).root));
    let client = match game.map(|game| identity(&game.identity)) {
        Some((chain, key)) => client.with_client_auth_cert(chain, key)?,
        None => client.with_no_client_auth(),
    };
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn t22_nodes_of_one_cluster_know_each_other_and_nobody_else() {
    let shop = Workshop::new();
    let cluster = |folder: &str| {
        let cluster = Cluster::at(&shop.path(folder));
        cluster.init(SystemTime::now()).unwrap();
        cluster
    };
    let node = |cluster: &Cluster, name: &str| {
        cluster.node(name, &["master.example.org".to_owned()], &[[127, 0, 0, 1].into()], 30, SystemTime::now()).unwrap()
    };
    let (ours, theirs) = (cluster("ours"), cluster("theirs"));
    let (master, game, stranger) = (node(&ours, "master"), node(&ours, "game-1"), node(&theirs, "game-1"));
    for host in ["master", "master.example.org", "127.0.0.1"] {
        shake_hands(&master, Some(&game), host).unwrap_or_else(|error| panic!("{host}: {error}"));
    }
    assert!(shake_hands(&master, Some(&game), "elsewhere.example.org").is_err());
    assert!(shake_hands(&master, Some(&stranger), "master").is_err(), "the stranger's root does not know the master");
    let impostor = Node { root: game.root, ..stranger };
    let error = shake_hands(&master, Some(&impostor), "master").unwrap_err();
    assert!(matches!(error, Error::InvalidCertificate(_)), "{error}");
    assert!(matches!(shake_hands(&master, None, "master"), Err(Error::NoCertificatesPresented)));
}

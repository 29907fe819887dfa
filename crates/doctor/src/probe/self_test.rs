//! A server and its clients inside of this program: if these fail, the network is not to blame.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lampyris_client::{ServerAddress, Transport};
use lampyris_config::Role;
use lampyris_server::{Options, Server, default_listeners};

use super::{Join, JoinFailure, join};

/// Time for clients' goodbyes; ours say them at once.
const CLOSE_GRACE: Duration = Duration::from_millis(100);

/// Joins a room on each transport of a server that runs for this only, on free ports of the loopback address.
pub async fn self_test() -> Vec<Join> {
    let failed = |text: &str| {
        let failure = || JoinFailure { at: "the server inside of this program".to_owned(), text: text.to_owned() };
        Transport::ALL.map(|transport| Join { transport, result: Err(failure()) }).to_vec()
    };
    let state = match tempfile::tempdir() {
        Ok(state) => state,
        Err(error) => return failed(&format!("cannot make a folder for its certificate: {error}")),
    };
    let server = match start(state.path()) {
        Ok(server) => server,
        Err(error) => return failed(&error.to_string()),
    };
    let mut joins = Vec::new();
    for transport in Transport::ALL {
        let served = lampyris_server::Transport::ALL.into_iter().find(|served| served.name() == transport.scheme());
        let address = served.and_then(|served| server.address(lampyris_server::Role::NameServer, served));
        let Some(address) = address else { continue };
        let address = ServerAddress::new(transport, address.ip().to_string(), address.port());
        joins.push(join(Role::NameServer, address).await);
    }
    if let Err(error) = server.stop() {
        return failed(&error.to_string());
    }
    joins
}

fn start(state: &std::path::Path) -> Result<Server, lampyris_server::StartError> {
    let mut listeners = default_listeners(0, false)?;
    for listener in &mut listeners {
        listener.node.port = 0;
        listener.bind = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        listener.node.limits.close_grace = CLOSE_GRACE;
    }
    Server::start(&Options { stop_grace: CLOSE_GRACE, ..Options::new(state.to_owned(), listeners) })
}

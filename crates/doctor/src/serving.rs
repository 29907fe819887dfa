//! What a configuration serves.

use std::net::IpAddr;

use lampyris_client::Transport;
use lampyris_config::{Config, ListenAddress, Listener, ListenerKind, Role, Route, Tls};
use lampyris_transport::ws::Pattern;

/// Where clients of a transport find a role.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint<'c> {
    pub(crate) role: Role,
    pub(crate) transport: Transport,
    pub(crate) listener: &'c Listener,
    /// The route that leads there; on UDP and TCP there is none.
    route: Option<&'c Route>,
}

impl<'c> Endpoint<'c> {
    pub(crate) fn port(&self) -> u16 {
        self.listener.port.0
    }

    pub(crate) fn tls(&self) -> Option<&'c Tls> {
        self.listener.tls.as_ref()
    }

    /// A path that leads to it.
    pub(crate) fn path(&self) -> String {
        let pattern = self.route.map_or("", |route| route.settings.url.as_str());
        let fixed = pattern.split(['*', '+']).next().unwrap_or_default();
        if fixed.len() == pattern.len() { pattern.to_owned() } else { fixed.trim_end_matches('/').to_owned() }
    }

    /// Whether other machines can reach it at all.
    pub(crate) fn is_public(&self) -> bool {
        !matches!(self.listener.common.ip_address, ListenAddress::Ip(ip) if ip.is_loopback())
    }

    pub(crate) fn has_ipv6(&self) -> bool {
        match self.listener.common.ip_address {
            ListenAddress::Every => true,
            ListenAddress::Ip(ip) => ip.is_ipv6(),
        }
    }

    /// An address of this machine that reaches it.
    pub(crate) fn local_ip(&self) -> IpAddr {
        match self.listener.common.ip_address {
            ListenAddress::Ip(ip) if !ip.is_unspecified() => ip,
            ListenAddress::Ip(IpAddr::V6(_)) => std::net::Ipv6Addr::LOCALHOST.into(),
            _ => std::net::Ipv4Addr::LOCALHOST.into(),
        }
    }
}

/// Everything that clients of the three roles can connect to.
pub(crate) fn endpoints(config: &Config) -> Vec<Endpoint<'_>> {
    let mut endpoints = Vec::new();
    for listener in &config.instance.listeners {
        let named = listener.common.override_application.as_deref();
        let mut add = |transport, route, role| endpoints.push(Endpoint { role, transport, listener, route });
        match &listener.kind {
            ListenerKind::Udp => roles(config, named).into_iter().for_each(|role| add(Transport::Udp, None, role)),
            ListenerKind::Tcp(_) if is_for_servers(config, listener) => {}
            ListenerKind::Tcp(_) => roles(config, named).into_iter().for_each(|role| add(Transport::Tcp, None, role)),
            ListenerKind::Http { routes, .. } => {
                let transport = if listener.tls.is_some() { Transport::Wss } else { Transport::Ws };
                for route in routes.iter().filter(|route| is_web_socket(route)) {
                    let named = route.settings.override_application.as_deref().or(named);
                    roles(config, named).into_iter().for_each(|role| add(transport, Some(route), role));
                }
            }
            ListenerKind::Policy(_) | ListenerKind::TcpS2S(_) | ListenerKind::WebSocketS2S(_) => {}
        }
    }
    endpoints
}

/// The first of a role and transport, which is the one to try.
pub(crate) fn first<'e, 'c>(
    endpoints: &'e [Endpoint<'c>],
    role: Role,
    transport: Transport,
) -> Option<&'e Endpoint<'c>> {
    endpoints.iter().find(|endpoint| endpoint.role == role && endpoint.transport == transport)
}

/// The listener that a request for this path reaches, and whether it leads to the role.
pub(crate) fn leads_to(config: &Config, listener: &Listener, path: &str, role: Role) -> bool {
    let ListenerKind::Http { routes, .. } = &listener.kind else { return false };
    let Some(route) = routes.iter().find(|route| Pattern::new(&route.settings.url).matches(path)) else { return false };
    let named = route.settings.override_application.as_deref();
    let named = named.or(listener.common.override_application.as_deref());
    is_web_socket(route) && roles(config, named).contains(&role)
}

fn is_web_socket(route: &Route) -> bool {
    route.settings.peer_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("WebSocket"))
}

/// Whether only other servers connect there.
fn is_for_servers(config: &Config, listener: &Listener) -> bool {
    let port = config.master.as_ref().map(|master| master.settings.incoming_game_server_peer_port);
    listener.common.override_application.is_none() && port == Some(listener.port)
}

/// The role of an application; all of the instance's if the client chooses.
fn roles(config: &Config, named: Option<&str>) -> Vec<Role> {
    let all = config.instance.applications.all.iter();
    let chosen = all.filter(|application| named.is_none_or(|name| application.settings.name == name));
    chosen.map(|application| application.role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn every_listener_is_found_with_its_role_and_transport() {
        let fixture = Fixture::sound();
        let loaded = fixture.load();
        let endpoints = endpoints(loaded.config.as_ref().unwrap());
        for role in [Role::NameServer, Role::Master, Role::Game] {
            for transport in Transport::ALL {
                assert!(first(&endpoints, role, transport).is_some(), "{role:?} {transport:?}");
            }
        }
        assert!(endpoints.iter().all(|endpoint| endpoint.port() != 4520), "4520 is for servers");
    }
}

//! What an operator needs at start: where the server listens, and what to type into which client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use lampyris_server::engine::Host;
use lampyris_server::{Addresses, HostName, Options, Role, Server, Transport, interface_addresses};

/// The text printed when every listener accepts.
pub(crate) struct Banner<'a> {
    pub(crate) server: &'a Server,
    pub(crate) options: &'a Options,
    pub(crate) color: bool,
}

impl Banner<'_> {
    fn title(&self, f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
        if self.color { writeln!(f, "\n\x1b[1;33m{text}\x1b[0m") } else { writeln!(f, "\n{text}") }
    }

    /// Ports of a role and transport, the one handed out first.
    fn ports(&self, role: Role, transport: Transport) -> Vec<u16> {
        let mut ports = Vec::new();
        for bound in self.server.addresses() {
            if bound.serves(role, transport) && !ports.contains(&bound.address.port()) {
                ports.push(bound.address.port());
            }
        }
        ports
    }

    fn name_server_port(&self, transport: Transport) -> Option<u16> {
        self.ports(Role::NameServer, transport).first().copied()
    }

    /// The address and the name that clients of this machine are told, if they are fixed.
    fn told(&self) -> (Option<IpAddr>, Option<String>) {
        let host = match &self.options.addresses {
            Addresses::OfListeners { public_ip, public_host } => {
                let host = Host::AsReached { public_ip: *public_ip, public_host: public_host.clone() };
                return of_host(&host);
            }
            Addresses::Told(told) => &told.game.host,
        };
        of_host(host)
    }

    /// The address that other machines can most likely use.
    fn address(&self) -> IpAddr {
        let bound = self.options.listeners.iter().flat_map(|listener| &listener.bind);
        let bound = bound.copied().find(|ip| !ip.is_unspecified());
        self.told()
            .0
            .or(bound)
            .or_else(|| interface_addresses().into_iter().find(IpAddr::is_ipv4))
            .unwrap_or_else(|| Ipv4Addr::LOCALHOST.into())
    }

    fn web_host(&self) -> String {
        match (self.told().1, self.address()) {
            (Some(name), _) => name,
            (None, IpAddr::V4(ip)) => ip.to_string(),
            (None, IpAddr::V6(ip)) => format!("[{ip}]"),
        }
    }

    fn listeners(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let everywhere = "every address of this machine".to_owned();
        let mut bind: Vec<_> = self.options.listeners.iter().flat_map(|listener| &listener.bind).collect();
        bind.sort();
        bind.dedup();
        let bind = bind.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.title(f, &format!("Listening on {}", if bind.is_empty() { everywhere } else { bind }))?;
        writeln!(f, "  {:<12}{:<14}{:<8}{:<12}wss", "", "udp", "tcp", "ws")?;
        for role in Role::ALL {
            let cell =
                |transport| self.ports(role, transport).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let [udp, tcp, ws, wss] = Transport::ALL.map(cell);
            writeln!(f, "  {:<12}{udp:<14}{tcp:<8}{ws:<12}{wss}", role.name())?;
        }
        Ok(())
    }

    fn pun(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.title(f, "PUN 2 and Realtime: PhotonServerSettings (App Id: any text; Fixed Region: empty)")?;
        let (address, host) = (self.address().to_string(), self.web_host());
        let width = address.len().max(host.len()).max("Server".len()) + 2;
        writeln!(f, "  Use Name Server  {:<width$}{:<7}Protocol", "Server", "Port")?;
        let rows = [
            (Transport::Udp, &address, "Udp"),
            (Transport::Tcp, &address, "Tcp"),
            (Transport::Ws, &host, "WebSocket"),
            (Transport::Wss, &host, "WebSocketSecure"),
        ];
        for (transport, server, protocol) in rows {
            if let Some(port) = self.name_server_port(transport) {
                writeln!(f, "  {:<17}{server:<width$}{port:<7}{protocol}", "yes")?;
            }
        }
        Ok(())
    }

    fn javascript(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.title(f, "Photon JavaScript (application id: any text)")?;
        let regions = match &self.options.addresses {
            Addresses::OfListeners { .. } => &[],
            Addresses::Told(told) => told.regions.as_slice(),
        };
        let region = regions.first().and_then(|region| region.code.as_deref()).unwrap_or("any");
        for (transport, protocol) in [(Transport::Ws, "Ws"), (Transport::Wss, "Wss")] {
            let Some(port) = self.name_server_port(transport) else { continue };
            let (scheme, host) = (transport.name(), self.web_host());
            writeln!(
                f,
                "  new Photon.LoadBalancing.LoadBalancingClient(Photon.ConnectionProtocol.{protocol}, \"my-game\", \"1.0\")"
            )?;
            writeln!(
                f,
                "    .setNameServerAddress(\"{scheme}://{host}:{port}\"), then .connectToRegionMaster(\"{region}\")"
            )?;
        }
        Ok(())
    }

    fn browser(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.web_host();
        self.title(f, "Demo page")?;
        for (transport, scheme) in [(Transport::Ws, "http"), (Transport::Wss, "https")] {
            if let Some(port) = self.name_server_port(transport) {
                writeln!(f, "  {scheme}://{host}:{port}/")?;
            }
        }
        let Some(certificate) = self.server.certificate() else { return Ok(()) };
        let summary = certificate.identity.summary();
        self.title(f, "Certificate")?;
        writeln!(f, "  {} covers {}", certificate.server_pem.display(), summary.names.join(", "))?;
        if let Some(ca) = &certificate.ca_pem {
            let ca = ca.display();
            writeln!(f, "  Clients must trust {ca} once:")?;
            writeln!(f, "    Linux     lampyris cert trust {ca}  (system, Chromium, Firefox)")?;
            writeln!(f, "    Windows   certutil -addstore -f Root ca.pem")?;
            writeln!(f, "    others    lampyris cert trust {ca} --dry-run  tells how")?;
        }
        Ok(())
    }
}

fn of_host(host: &Host) -> (Option<IpAddr>, Option<String>) {
    match host {
        Host::AsReached { public_ip, public_host: HostName::Fixed(name) } => (*public_ip, Some(name.clone())),
        Host::AsReached { public_ip, public_host: HostName::Auto } => (*public_ip, None),
        Host::Fixed { ipv4, ipv6, name } => (ipv4.map(IpAddr::V4).or_else(|| ipv6.map(IpAddr::V6)), name.clone()),
    }
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(f)?;
        writeln!(f, "Lampyris {version}, compatible with Photon Realtime, PUN 2 and Photon JavaScript clients")?;
        self.listeners(f)?;
        if self.server.addresses().iter().any(|bound| bound.roles.contains(&Role::NameServer)) {
            self.pun(f)?;
            self.javascript(f)?;
            self.browser(f)?;
        }
        writeln!(f)
    }
}

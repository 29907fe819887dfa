//! What the firewall of the machine lets in, as its tools tell it.

use std::ops::RangeInclusive;

use crate::Machine;

/// UDP or TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
}

impl Protocol {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Who keeps the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Ufw,
    Firewalld,
    Nftables,
    Iptables,
}

impl Tool {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }

    /// The command that lets a port in.
    pub(crate) fn open(self, protocol: Protocol, port: u16) -> String {
        let protocol = protocol.name();
        match self {
            Self::Ufw => format!("ufw allow {port}/{protocol}"),
            Self::Firewalld => {
                format!("firewall-cmd --permanent --add-port={port}/{protocol} && firewall-cmd --reload")
            }
            Self::Nftables => format!("nft insert rule inet filter input {protocol} dport {port} accept"),
            Self::Iptables => format!("iptables -I INPUT -p {protocol} --dport {port} -j ACCEPT"),
        }
    }
}

/// A firewall that drops what no rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) tool: Tool,
    allowed: Vec<(Protocol, RangeInclusive<u16>)>,
}

impl Closed {
    pub(crate) fn lets_in(&self, protocol: Protocol, port: u16) -> bool {
        self.allowed.iter().any(|(allowed, ports)| *allowed == protocol && ports.contains(&port))
    }
}

/// What is known of the firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Firewall {
    /// Nothing is kept out.
    Open,
    /// What no rule names is kept out.
    Closed(Closed),
    /// No tool answers, mostly for want of rights.
    Unknown,
}

/// Asks the tools, those that manage the rules of others first.
pub(crate) fn read(machine: &dyn Machine) -> Firewall {
    if let Some(text) = machine.output("ufw", &["status"])
        && text.contains("Status: active")
    {
        return Firewall::Closed(Closed { tool: Tool::Ufw, allowed: ufw(&text) });
    }
    if machine.output("firewall-cmd", &["--state"]).is_some_and(|text| text.trim() == "running") {
        let ports = machine.output("firewall-cmd", &["--list-ports"]).unwrap_or_default();
        return Firewall::Closed(Closed { tool: Tool::Firewalld, allowed: words(&ports) });
    }
    if let Some(text) = machine.output("nft", &["list", "ruleset"]) {
        return nft(&text).map_or(Firewall::Open, Firewall::Closed);
    }
    match machine.output("iptables", &["-S", "INPUT"]) {
        Some(text) => iptables(&text).map_or(Firewall::Open, Firewall::Closed),
        None => Firewall::Unknown,
    }
}

type Allowed = Vec<(Protocol, RangeInclusive<u16>)>;

/// `5055`, `27000:27002` or `27000-27002`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    match text.split_once([':', '-']) {
        Some((first, last)) => Some(first.trim().parse().ok()?..=last.trim().parse().ok()?),
        None => text.parse().ok().map(|port| port..=port),
    }
}

/// `5055/udp 27000-27002/udp`; a port without a protocol is both.
fn words(text: &str) -> Allowed {
    let mut allowed = Vec::new();
    for word in text.split_whitespace() {
        let (ports, protocol) = word.split_once('/').unwrap_or((word, ""));
        for ports in ports.split(',').filter_map(range) {
            if protocol != "udp" {
                allowed.push((Protocol::Tcp, ports.clone()));
            }
            if protocol != "tcp" {
                allowed.push((Protocol::Udp, ports));
            }
        }
    }
    allowed
}

/// Lines like `5055/udp   ALLOW   Anywhere`.
fn ufw(status: &str) -> Allowed {
    let allowing = status.lines().filter(|line| line.contains("ALLOW") || line.contains("LIMIT"));
    allowing.flat_map(|line| words(line.split_whitespace().next().unwrap_or_default())).collect()
}

/// The input chains of a ruleset; `None` if they keep nothing out.
fn nft(ruleset: &str) -> Option<Closed> {
    let mut allowed = Vec::new();
    let (mut in_input, mut is_closed) = (false, false);
    for line in ruleset.lines().map(str::trim) {
        if line.starts_with("chain ") {
            in_input = false;
        }
        if line.contains("hook input") {
            in_input = true;
            is_closed |= line.contains("policy drop");
        } else if in_input && (line == "drop" || line.starts_with("reject")) {
            is_closed = true;
        }
        if line.ends_with("accept") {
            allowed.extend(nft_rule(line));
        }
    }
    is_closed.then_some(Closed { tool: Tool::Nftables, allowed })
}

/// `udp dport { 5055, 27000-27002 } accept`.
fn nft_rule(line: &str) -> Allowed {
    let protocol = if line.contains("udp dport") { Protocol::Udp } else { Protocol::Tcp };
    let Some((_, rest)) = line.split_once(" dport ").or_else(|| line.split_once("dport ")) else { return Vec::new() };
    let ports = rest.trim_start_matches('{').split('}').next().unwrap_or_default();
    let ports = if rest.starts_with('{') { ports } else { rest.split(' ').next().unwrap_or_default() };
    ports.split(',').filter_map(|ports| range(ports.trim())).map(|ports| (protocol, ports)).collect()
}

/// `-A INPUT -p udp -m multiport --dports 5055,27000:27002 -j ACCEPT`; `None` if nothing is kept out.
fn iptables(rules: &str) -> Option<Closed> {
    let mut allowed = Vec::new();
    let mut is_closed = false;
    for line in rules.lines().map(str::trim) {
        let words: Vec<_> = line.split_whitespace().collect();
        is_closed |= line == "-P INPUT DROP" || line == "-A INPUT -j DROP" || line.starts_with("-A INPUT -j REJECT");
        let behind = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied();
        let protocol = match behind("-p") {
            Some("udp") => Protocol::Udp,
            Some("tcp") => Protocol::Tcp,
            _ => continue,
        };
        if let (Some(ports), Some("ACCEPT")) = (behind("--dport").or_else(|| behind("--dports")), behind("-j")) {
            allowed.extend(ports.split(',').filter_map(range).map(|ports| (protocol, ports)));
        }
    }
    is_closed.then_some(Closed { tool: Tool::Iptables, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(closed: &Closed) -> Vec<bool> {
        let asked = [(Protocol::Udp, 5055), (Protocol::Udp, 27001), (Protocol::Tcp, 443), (Protocol::Tcp, 5055)];
        asked.map(|(protocol, port)| closed.lets_in(protocol, port)).to_vec()
    }

    #[test]
    fn rules_of_each_tool_are_read() {
        let nft_text = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
                        \t\tct state established,related accept\n\t\tudp dport { 5055, 27000-27002 } accept\n\
                        \t\ttcp dport 443 accept\n\t}\n}\n";
        assert_eq!(ports(&nft(nft_text).unwrap()), [true, true, true, false]);
        let iptables_text = "-P INPUT DROP\n-A INPUT -p udp -m multiport --dports 5055,27000:27002 -j ACCEPT\n\
                             -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n";
        assert_eq!(ports(&iptables(iptables_text).unwrap()), [true, true, true, false]);
        let ufw_text = "Status: active\n\nTo    Action   From\n5055/udp  ALLOW  Anywhere\n27000:27002/udp ALLOW Anywhere\n\
                        443 ALLOW Anywhere\n";
        assert_eq!(ports(&Closed { tool: Tool::Ufw, allowed: ufw(ufw_text) }), [true, true, true, false]);
    }

    #[test]
    fn rules_that_keep_nothing_out_are_open() {
        assert_eq!(
            nft("table inet filter {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t}\n}"),
            None
        );
        assert_eq!(iptables("-P INPUT ACCEPT\n"), None);
    }
}

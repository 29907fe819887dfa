//! `lampyris cert cluster`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use lampyris_tls::cluster::Cluster;
use lampyris_tls::development::{LONGEST_DAYS, SUGGESTED_DAYS};

use super::{Outcome, dns_name};

const HELP: &str = "Exit codes: 0 done, 2 not done\n\n\
    Example:\n  lampyris cert cluster init --dir cluster\n  \
    lampyris cert cluster node master --dns master.example.org --dir cluster\n  \
    lampyris cert cluster node game-1 --ip 10.0.0.7 --dir cluster";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the private authority that the servers of a cluster have in common
    #[command(after_help = HELP)]
    Init(Place),
    /// Make or renew the certificate of one server
    #[command(after_help = HELP)]
    Node(Node),
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Folder of the authority and of what it issues
    #[arg(long, value_name = "DIR", default_value = "cluster")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The server's name, which is in its certificate
    #[arg(value_parser = node_name)]
    name: String,

    /// Host name by which other servers dial it; can be given several times
    #[arg(long, value_name = "NAME", value_parser = dns_name)]
    dns: Vec<String>,

    /// Address by which other servers dial it; can be given several times
    #[arg(long, value_name = "ADDR")]
    ip: Vec<IpAddr>,

    /// Days until it ends
    #[arg(long, value_name = "D", default_value_t = SUGGESTED_DAYS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(LONGEST_DAYS)))]
    days: u32,

    #[command(flatten)]
    place: Place,
}

pub(super) fn run(command: &Command, now: SystemTime) -> Outcome {
    let text = match command {
        Command::Init(place) => init(place, now),
        Command::Node(node) => make_node(node, now),
    }?;
    crate::say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn init(place: &Place, now: SystemTime) -> Result<String, super::Problem> {
    let root = Cluster::at(&place.dir).init(now)?;
    let verb = if root.is_new { "made" } else { "kept" };
    let (certificate, key, dir) = (root.certificate.display(), root.key.display(), place.dir.display());
    Ok(format!(
        "{verb} the authority {certificate}\nkeep its key secret, and away from the servers: {key}\n\n\
         Next, for each server: lampyris cert cluster node NAME --dns HOST --dir {dir}"
    ))
}

fn make_node(node: &Node, now: SystemTime) -> Result<String, super::Problem> {
    let made = Cluster::at(&node.place.dir).node(&node.name, &node.dns, &node.ip, node.days, now)?;
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = write!(
        text,
        "certificate and key  {}\nauthority            {}\nname                 {}\n\n\
         Copy both files into the folder certs of that server. Its S2S listener, on the master:\n  \
         <TCPS2SListener IPAddress=\"0.0.0.0\" Port=\"4520\" Secure=\"true\" Certificate=\"s2s.pem\" \
         RootCertificates=\"root.pem\" ClientCertificate=\"required\"/>\n\
         To renew it in {} days, run the same command again.",
        made.identity.display(),
        made.root.display(),
        made.uri,
        node.days
    );
    Ok(text)
}

/// A node's name: it is a folder, a host name and part of a URI.
fn node_name(text: &str) -> Result<String, String> {
    let name = dns_name(text)?;
    if name.starts_with('*') { Err("expected a name of one server, got a wildcard".to_owned()) } else { Ok(name) }
}

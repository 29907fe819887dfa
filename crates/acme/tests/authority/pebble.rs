//! The test authority and its DNS, each on free ports of loopback.

#[path = "ports.rs"]
mod ports;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use lampyris_tls::Wanted;
use tempfile::TempDir;

pub(crate) use self::ports::free_ports;

/// Longest that a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A folder in which a server keeps its files, and a CA for the HTTPS of test authorities.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (now, provider) = (SystemTime::now(), lampyris_tls::config::provider());
        lampyris_tls::development::ensure(folder.path(), &Wanted::default(), None, now, &provider).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Certificate and key for the HTTPS of a test authority.
    pub(crate) fn https(&self) -> PathBuf {
        self.path("certs/server.pem")
    }

    /// The CA of that certificate.
    pub(crate) fn roots(&self) -> PathBuf {
        self.path("certs/ca.pem")
    }
}

/// How the authority behaves.
pub(crate) struct Ways {
    /// Nonces in a hundred that it refuses without a reason.
    pub(crate) bad_nonces: u8,
    /// Life of certificates.
    pub(crate) life: Duration,
    /// Name and key of the only external account that may register.
    pub(crate) external: Option<(&'static str, &'static str)>,
}

impl Default for Ways {
    fn default() -> Self {
        Self { bad_nonces: 0, life: Duration::from_secs(90 * 24 * 60 * 60), external: None }
    }
}

pub(crate) struct Pebble {
    place: Place,
    ports: [u16; 6],
    _processes: [Process; 2],
}

/// A program that is stopped at the end.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pebble {
    pub(crate) fn start(ways: &Ways) -> Self {
        let place = Place::new();
        let ports = free_ports();
        let [directory, management, http, tls, dns, records] = ports;
        let names = Command::new("pebble-challtestsrv")
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{records}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let names = Process(names.expect("cannot run pebble-challtestsrv; install it with `apt-get install pebble`"));
        let (keys, required) = match ways.external {
            Some((id, key)) => (serde_json::json!({ id: key }), true),
            None => (serde_json::json!({}), false),
        };
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": place.https(),
            "privateKey": place.https(),
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": required,
            "externalAccountMACKeys": keys,
            "certificateValidityPeriod": ways.life.as_secs(),
        } });
        let file = place.path("pebble.json");
        fs::write(&file, config.to_string()).unwrap();
        let mut authority = Command::new("pebble")
            .arg("-config")
            .arg(file)
            .args(["-dnsserver", &format!("127.0.0.1:{dns}")])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", ways.bad_nonces.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot run pebble; install it with `apt-get install pebble`");
        let output = authority.stdout.take().unwrap();
        let processes = [Process(authority), names];
        wait_for_line(output, "ACME directory available");
        for port in [directory, records] {
            wait_for_port(port);
        }
        Self { place, ports, _processes: processes }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.ports[0])
    }

    pub(crate) fn http_port(&self) -> u16 {
        self.ports[2]
    }

    pub(crate) fn tls_port(&self) -> u16 {
        self.ports[3]
    }

    /// Writes a hook that tells records to the DNS of the test, and its calls to a file.
    pub(crate) fn write_hook(&self, command: &Path, calls: &Path) {
        let records = self.ports[5];
        let script = format!(
            r#"#!/bin/bash
set -eu
echo "$1 $2" >> {calls}
case $1 in
    add) path=/set-txt body="{{\"host\":\"$2.\",\"value\":\"$3\"}}" ;;
    remove) path=/clear-txt body="{{\"host\":\"$2.\"}}" ;;
esac
exec 3<>/dev/tcp/127.0.0.1/{records}
printf 'POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' "$path" "${{#body}}" "$body" >&3
read -r answer <&3
[[ $answer == *" 200 "* ]]
"#,
            calls = calls.display()
        );
        fs::write(command, script).unwrap();
        fs::set_permissions(command, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Reads a program's output on and on, and returns when the line has come.
fn wait_for_line(output: impl std::io::Read + Send + 'static, part: &'static str) {
    let (seen, line) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(part) {
                // Nobody waits for a second one.
                let _ = seen.send(());
            }
        }
    });
    line.recv_timeout(PATIENCE).expect("the test authority does not start");
}

/// The line comes just before the port is open.
fn wait_for_port(port: u16) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < end, "nothing listens on {port}");
        thread::yield_now();
    }
}

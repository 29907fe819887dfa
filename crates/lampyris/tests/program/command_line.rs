//! The real binary: usage, start errors, exit codes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

fn lampyris() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
    command.env_clear().env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> Output {
    lampyris().args(args).output().unwrap()
}

/// The one line that starts with `error:`.
fn error_of(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].to_owned()
}

fn start(state: &Path, more: &[&str]) -> Child {
    lampyris()
        .args(["--bind", "127.0.0.1", "--free-ports", "--workers", "2", "--state-dir"])
        .arg(state)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn version_is_printed_on_stdout() {
    let output = output(&["version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("lampyris {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_was_expected() {
    for (args, expected) in [
        (&["--wrokers", "2"][..], "--workers"),
        (&["--workers", "0"], "1..=1024"),
        (&["--public-ip", "example.org"], "invalid IP address"),
        (&["--public-host", "wss://example.org:1"], "without scheme and port"),
        (&["--port-offset", "40000"], "at most"),
        (&["--log", "lampyris=loud"], "expected error, warn, info"),
    ] {
        let mut command = lampyris();
        let output = command.args(args).arg("--state-dir=/proc/no-such-folder").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(expected), "{args:?}: {text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn check_config_tells_findings_with_places_and_the_worst_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("PhotonServer.config");
    let check = |more: &str, options: &[&str]| {
        let text = format!(
            "<Configuration><Instance Name=\"A\">\n<UDPListeners><UDPListener {more}/></UDPListeners>\n\
             <Applications><Application Name=\"Master\"/></Applications></Instance></Configuration>"
        );
        std::fs::write(&path, text).unwrap();
        let output = lampyris().args(["check-config", "--config"]).arg(&path).args(options).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let place = |column: usize| format!("{}:2:{column}: ", path.display());
    let (code, values, told) = check("", &[]);
    assert_eq!((code, values.as_str()), (0, ""), "{told}");
    let (code, values, _) = check("Port=\"5060\"", &["-v"]);
    assert_eq!(code, 0);
    assert!(values.contains(&format!("UDPListener 5060 Port = 5060  ({}:2:34)", path.display())), "{values}");
    assert!(values.contains("Instance MaxMessageSize = 512000  (default: as the reference product)"), "{values}");
    let (code, _, told) = check("Prot=\"5060\"", &[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(&format!("{}warning: unknown setting \"Prot\"", place(28))), "{told}");
    assert_eq!(check("Prot=\"5060\"", &["--strict-config"]).0, 2);
    let (code, _, told) = check("Port=\"x\"", &[]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains(&format!("{}error: UDPListener x Port: expected a port", place(34))), "{told}");
    assert_eq!(check("", &["--instance", "B"]).0, 2);
}

#[test]
fn an_unusable_state_folder_is_told_with_its_path() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let output = output(&["--free-ports", "--state-dir", path]);
    assert_eq!(output.status.code(), Some(2));
    let error = error_of(&output);
    assert!(error.contains(path) && error.contains("--state-dir"), "{error}");
}

#[test]
fn a_damaged_certificate_is_told_with_its_path() {
    let state = tempfile::tempdir().unwrap();
    std::fs::create_dir(state.path().join("certs")).unwrap();
    std::fs::write(state.path().join("certs/server.pem"), "nothing").unwrap();
    let output = start(state.path(), &[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error_of(&output).contains("certs/server.pem holds no certificate"));
}

#[test]
fn a_port_in_use_is_told_with_role_transport_and_remedy() {
    // Some port whose distance to the NameServer's TCP port, the first TCP port to be bound, is a legal offset.
    let (occupied, offset) = std::iter::repeat_with(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        .find_map(|listener| {
            let offset = listener.local_addr().unwrap().port().checked_sub(4533)?;
            (offset <= u16::MAX - 27002).then_some((listener, offset))
        })
        .unwrap();
    let state = tempfile::tempdir().unwrap();
    let output = lampyris()
        .args(["--bind=127.0.0.1", "--workers=2", "--port-offset", &offset.to_string(), "--state-dir"])
        .arg(state.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = error_of(&output);
    let port = occupied.local_addr().unwrap().port();
    assert!(error.contains(&format!("port {port} of the NameServer listener for tcp is in use")), "{error}");
    assert!(error.contains("--port-offset") && error.contains("--bind"), "{error}");
    assert!(output.stdout.is_empty(), "not ready");
}

#[test]
fn it_tells_where_it_listens_gets_ready_and_stops_on_sigterm() {
    let state = tempfile::tempdir().unwrap();
    let mut server = start(state.path(), &["--public-host", "play.example.org"]);
    let mut ready = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    let mut talk = String::new();
    server.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0), "{talk}");
    assert!(ready.starts_with("ready"), "{ready:?}\n{talk}");
    for expected in
        ["PhotonServerSettings", "WebSocketSecure", "wss://play.example.org:", "ca.pem", "http://play.example.org:"]
    {
        assert!(talk.contains(expected), "{expected} is missing in {talk}");
    }
    assert!(!talk.contains('\u{1b}'), "NO_COLOR is respected");
    assert!(state.path().join("secrets/token.key").exists());
}

#[test]
fn running_out_of_files_is_survived() {
    const FILES: u64 = 120;
    let state = tempfile::tempdir().unwrap();
    let mut server = start(state.path(), &[]);
    let mut talk = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    let page =
        talk.find_map(|line| Some(line.trim().strip_prefix("http://")?.trim_end_matches('/').to_owned())).unwrap();
    let limit = Rlimit { current: Some(FILES), maximum: Some(FILES) };
    prlimit(Some(Pid::from_child(&server)), Resource::Nofile, limit).unwrap();
    let crowd: Vec<_> = (0..FILES).map(|_| TcpStream::connect(&page).unwrap()).collect();
    // The log tells once that files ran out.
    assert!(talk.any(|line| line.contains("cannot accept connections") && line.contains("ulimit -n")));
    drop(crowd);
    let mut socket = TcpStream::connect(&page).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(b"GET /photon/n HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    // The log is read on, so that the server never waits for its reader.
    talk.for_each(drop);
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

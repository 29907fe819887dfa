//! Commands around configuration files, and the log of a server that runs from them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use jiff::{ToSpan as _, Zoned};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn lampyris() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
    command.env_clear().env("NO_COLOR", "1").env("ARENA_HOST", "play.example.org").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    lampyris().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A copy of the sample deployment of version 4.
fn deployment_of_version_4() -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/v4-roles"), folder.path());
    folder
}

#[test]
fn an_import_says_what_is_recognised_changed_and_ignored_and_shows_no_secret() {
    let deployment = deployment_of_version_4();
    fs::write(deployment.path().join("bin_Win64/free.license"), "").unwrap();
    let output = run(&["import", deployment.path().to_str().unwrap()]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for expected in [
        "a deployment of Photon server 4",
        "\n  Loadbalancing/GameServer/bin/Photon.LoadBalancing.dll.config: ",
        "Instance MaxMessageSize = 256000  (bin_Win64/PhotonServer.config:3)",
        "Game GameServer/Master/PublicIPAddress = \"192.0.2.10\"",
        "AuthProvider 0 Name = \"Custom\", AuthenticationType = 0",
        "UDPListener 27001 Master: not there",
        "bin_Win64/free.license: no licence is needed",
        "lampyris run --config ",
    ] {
        assert!(told.contains(expected), "{expected} is missing in {told}");
    }
    for secret in ["the-token-key", "provider-parameter", "plugin-parameter"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[test]
fn an_import_tells_of_shipped_secrets_plugins_and_certificates_of_the_windows_store() {
    let deployment = deployment_of_version_4();
    let change = |path: &str, old: &str, new: &str| {
        let path = deployment.path().join(path);
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(old), "{old}");
        fs::write(path, before.replace(old, new)).unwrap();
    };
    change("Loadbalancing/GameServer/bin/plugin.config", "Enabled=\"false\"", "Enabled=\"true\"");
    for file in [
        "NameServer/bin/Photon.NameServer.dll.config",
        "Loadbalancing/Master/bin/Photon.LoadBalancing.dll.config",
        "Loadbalancing/GameServer/bin/Photon.LoadBalancing.dll.config",
    ] {
        change(file, "the-token-key", "76B2814E-2A50-4E29-838A-20411D335FC9");
    }
    let folder = deployment.path().to_str().unwrap();
    let output = run(&["import", folder]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("Not supported") && told.contains("Own.Factory") && told.contains("--ignore-plugins\n"),
        "{told}"
    );
    assert!(told.contains("Secrets that everyone knows") && !told.contains("2A50"), "{told}");
    let secure = "Secure=\"true\" StoreName=\"MY\" CertificateName=\"Photon\" DisableNagle";
    change("bin_Win64/PhotonServer.config", "DisableNagle", secure);
    let output = run(&["import", folder]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("Certificates that are missing") && told.contains("Export-PfxCertificate"), "{told}");
    assert!(told.contains("lampyris cert import --pfx"), "{told}");
}

#[test]
fn an_import_of_something_else_says_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["import", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected a PhotonServer.config in"), "{output:?}");
}

#[test]
fn the_sample_is_written_once_and_has_nothing_to_repair() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deploy");
    let out = out.to_str().unwrap();
    let config = format!("{out}/bin/PhotonServer.config");
    assert_eq!(run(&["config", "sample", "--out", out]).status.code(), Some(0));
    let check = run(&["check-config", "--strict-config", "--config", &config]);
    assert_eq!((check.status.code(), text(&check.stderr).as_str()), (Some(0), "0 errors, 0 warnings\n"));
    fs::write(&config, "mine").unwrap();
    let again = run(&["config", "sample", "--out", out, "--secure"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("is there"), "{again:?}");
    assert_eq!(fs::read_to_string(config).unwrap(), "mine");
    let printed = text(&run(&["config", "sample", "--secure"]).stdout);
    assert!(printed.contains("==> Nameserver.json <==") && printed.contains("Port=\"19093\""), "{printed}");
}

#[test]
fn show_prints_the_values_in_effect_of_files_and_of_the_built_in_configuration() {
    let built_in = run(&["config", "show"]);
    assert_eq!(built_in.status.code(), Some(0));
    assert!(text(&built_in.stdout).contains("UDPListener 5055 OverrideApplication = \"Master\""), "{built_in:?}");
    let deployment = deployment_of_version_4();
    let config = deployment.path().join("bin_Win64/PhotonServer.config");
    let shown = text(&run(&["config", "show", "--config", config.to_str().unwrap()]).stdout);
    assert!(shown.contains("Game GameServer/S2S/ConnectRetryInterval = 7  ("), "{shown}");
    assert!(shown.contains("Game Authentication/AuthTokenKey = (secret)"), "{shown}");
}

/// A server that runs from a file, with one secure WebSocket port.
struct Server {
    folder: TempDir,
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn config(&self) -> PathBuf {
        self.folder.path().join("bin/PhotonServer.config")
    }

    /// Writes the files and a certificate into a folder.
    fn prepare(attributes: &str) -> (TempDir, u16) {
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("bin/certs");
        fs::create_dir_all(&certs).unwrap();
        let made = folder.path().join("first");
        let mut maker = lampyris();
        maker.args(["--bind=127.0.0.1", "--free-ports", "--workers=1", "--state-dir"]).arg(&made);
        let mut maker = maker.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(maker.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        kill_process(Pid::from_child(&maker), Signal::TERM).unwrap();
        maker.wait().unwrap();
        fs::copy(made.join("certs/server.pem"), certs.join("server.pem")).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = format!(
            "<Configuration><Instance Name=\"Arena\"{attributes}><HTTPListeners>\
             <HTTPListener IPAddress=\"127.0.0.1\" Port=\"{port}\" Secure=\"true\" DefaultDomain=\"localhost\"><Routing>\
             <Route Url=\"/+\" OverrideApplication=\"Master\" PeerType=\"WebSocket\"/></Routing></HTTPListener></HTTPListeners>\
             <Applications Default=\"Master\"><Application Name=\"Master\"/></Applications></Instance></Configuration>"
        );
        fs::write(folder.path().join("bin/PhotonServer.config"), config).unwrap();
        (folder, port)
    }

    /// Starts it and waits until it is ready.
    fn start(folder: TempDir, args: &[&str], stderr: Stdio) -> Self {
        let mut command = lampyris();
        command.env("TZ", "UTC").args(["run", "--workers=1", "--state-dir"]).arg(folder.path().join("state"));
        command.arg("--config").arg(folder.path().join("bin/PhotonServer.config")).args(args);
        let mut process = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let mut server = Self { folder, process, stdout };
        assert!(ready.starts_with("ready"), "{ready:?} {}", server.stop());
        server
    }

    /// Stops it and gives what it told.
    fn stop(&mut self) -> String {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let mut told = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut told).unwrap();
        }
        self.stdout.read_to_string(&mut String::new()).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "{told}");
        told
    }
}

/// The names that the log may have while the test runs.
fn names_of_today(prefix: &str) -> Vec<String> {
    let now = Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let days = [&now - 1.day(), now.clone(), &now + 1.day()];
    days.iter().map(|day| format!("{prefix}-{}.log", day.strftime("%Y%m%d"))).collect()
}

#[test]
fn t5_a_server_with_files_logs_its_secure_listeners_into_a_daily_file_that_the_logs_command_shows() {
    let (folder, port) = Server::prepare("");
    let mut server = Server::start(folder, &[], Stdio::piped());
    let told = server.stop();
    let output = run(&["logs", "--config", server.config().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let path = PathBuf::from(text(&output.stderr).trim());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(names_of_today("Photon-Arena").iter().any(|known| known == name), "{path:?}");
    assert_eq!(path.parent().unwrap(), server.folder.path().join("bin/log"));
    let log = text(&output.stdout);
    let lines: Vec<_> = log.lines().collect();
    let first = lines.iter().position(|line| line.ends_with("uses SSL")).expect(&log);
    let (thread, rest) = lines[first].split_once(": ").unwrap();
    let (time, rest) = rest.split_once(" - ").unwrap();
    assert!(thread.parse::<u32>().is_ok(), "{log}");
    assert!(time.len() == 12 && time.split([':', '.']).all(|part| part.parse::<u16>().is_ok()), "{log}");
    assert_eq!(rest, format!("Config|INFO| HTTP: (127.0.0.1:{port}::Master) - uses SSL"));
    for (line, expected) in lines[first + 1..].iter().zip([
        "Config|INFO| - Cipher list: DEFAULT",
        "Config|INFO| - Server Certificate: ",
        "Config|INFO| - Server Domain Name: localhost",
    ]) {
        assert!(line.contains(expected), "{expected}: {log}");
    }
    assert!(told.contains("uses SSL") && told.contains("stopping"), "{told}");
    assert!(lines.last().unwrap().contains("stopping"), "what was logged last is there: {log}");
}

#[test]
fn folder_and_name_of_the_log_are_those_of_the_configuration() {
    let (folder, _) = Server::prepare(" LogFileLocation=\"..\\logs\" LogFileName=\"core\"");
    let mut server = Server::start(folder, &[], Stdio::null());
    server.stop();
    let logs = server.folder.path().join("logs");
    assert!(names_of_today("core").iter().any(|name| logs.join(name).exists()), "{:?}", fs::read_dir(logs));
    let (folder, _) = Server::prepare(" LoggingEnabled=\"false\"");
    let mut server = Server::start(folder, &[], Stdio::null());
    server.stop();
    assert!(!server.folder.path().join("bin/log").exists());
    assert_eq!(run(&["logs", "--config", server.config().to_str().unwrap()]).status.code(), Some(1));
}

#[test]
fn a_full_disk_costs_the_log_and_one_warning_and_nothing_else() {
    let (folder, _) = Server::prepare("");
    let logs = folder.path().join("bin/log");
    fs::create_dir(&logs).unwrap();
    for name in names_of_today("Photon-Arena") {
        symlink("/dev/full", logs.join(name)).unwrap();
    }
    let mut server = Server::start(folder, &[], Stdio::piped());
    let told = server.stop();
    assert_eq!(told.matches("cannot write the log").count(), 1, "{told}");
    assert!(told.contains("make room on the disk") && told.contains("stopping"), "{told}");
}

#[test]
fn a_log_folder_that_cannot_be_used_and_an_error_stream_that_is_full_stop_nothing() {
    let (folder, _) = Server::prepare("");
    fs::write(folder.path().join("bin/log"), "in the way").unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut server = Server::start(folder, &["--log", "trace"], full.into());
    server.stop();
}

#[test]
fn lines_on_the_error_stream_have_the_wanted_form() {
    let told = |format: &str| {
        let (folder, _) = Server::prepare("");
        Server::start(folder, &["--log-format", format], Stdio::piped()).stop()
    };
    let json = told("json");
    let objects: Vec<serde_json::Value> =
        json.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let stopping = objects.iter().find(|one| one["msg"] == "stopping").expect(&json);
    assert_eq!((&stopping["level"], &stopping["reason"]), (&"INFO".into(), &"SIGTERM".into()));
    let vendor = told("vendor");
    assert!(vendor.lines().any(|line| line.contains(" - Config|INFO| HTTP: (127.0.0.1:")), "{vendor}");
}

#[test]
fn logs_says_when_there_is_nothing_to_show() {
    let (folder, _) = Server::prepare("");
    let config = folder.path().join("bin/PhotonServer.config");
    let output = run(&["logs", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no Photon-Arena-yyyyMMdd.log in"), "{output:?}");
}

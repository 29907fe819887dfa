//! `lampyris cert`, by the real binary.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A folder with a home and a state folder of its own, where commands run.
struct Bench {
    folder: tempfile::TempDir,
}

/// What a command said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "root/usr/local/share/ca-certificates"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("NO_COLOR", "1").env("HOME", self.path("home"));
        command.env("LAMPYRIS_STATE_DIR", self.path("state")).env("SECRET", "geheim");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, words: &str) -> Said {
        let output = self.command(program).args(words.split_whitespace()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs `lampyris cert`; `words` are separated by spaces.
    fn cert(&self, words: &str) -> Said {
        self.run(env!("CARGO_BIN_EXE_lampyris"), &format!("cert {words}"))
    }

    fn done(&self, words: &str) -> String {
        let said = self.cert(words);
        assert_eq!(said.code, 0, "{words}: {}{}", said.out, said.err);
        said.out
    }

    fn openssl(&self, words: &str) -> String {
        let said = self.run("openssl", words);
        assert_eq!(said.code, 0, "{words}: {}", said.err);
        said.out
    }

    fn mode(&self, name: &str) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

/// A server that is stopped when the test ends.
struct Server {
    child: Child,
    wss: u16,
    ws: u16,
}

impl Server {
    fn start(bench: &Bench) -> Self {
        let mut child = bench
            .command(env!("CARGO_BIN_EXE_lampyris"))
            .args(["--bind", "127.0.0.1", "--free-ports", "--workers", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("ready"), "{ready}");
        // The start message is written before that line.
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut port = |scheme: &str| {
            let line = told.by_ref().map(Result::unwrap).find(|line| line.trim().starts_with(scheme)).unwrap();
            line.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
        };
        let (ws, wss) = (port("http://"), port("https://"));
        std::thread::spawn(move || told.for_each(drop));
        Self { child, wss, ws }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.child.wait();
    }
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).unwrap().lines().count()
}

#[test]
fn g5_cert_dev_says_where_everything_is_and_what_each_client_needs() {
    let bench = Bench::new();
    let said = bench.done("dev --name play.example.org --ip 192.0.2.7 --out certs");
    for part in [
        "certs/server.pem",
        "certs/ca.pem",
        "state/ca/ca.key",
        "play.example.org",
        "192.0.2.7",
        "Nothing trusts it yet",
        "lampyris cert trust ",
        "certutil -addstore -f Root ca.pem",
        "security add-trusted-cert",
        "NODE_EXTRA_CA_CERTS=",
        "Android",
        "Unity",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((bench.mode("certs/server.pem"), bench.mode("state/ca/ca.key")), (0o600, 0o600));
    assert!(!said.contains("PRIVATE KEY"));
    bench.openssl("verify -verify_hostname play.example.org -CAfile certs/ca.pem certs/server.pem");
    let again = bench.done("dev --out certs");
    assert!(again.contains("needs nothing new") && again.contains("play.example.org"), "{again}");
}

#[test]
fn g3_a_long_life_is_warned_of_and_a_longer_one_refused() {
    let bench = Bench::new();
    assert_eq!(bench.cert("dev --days 397").code, 0);
    let said = bench.cert("dev --days 398");
    assert!(said.code == 1 && said.err.contains("398 days are many"), "{}", said.err);
    for refused in ["dev --days 826", "dev --days 0", "dev --rsa 1024", "dev --name wss://a", "dev --name 192.0.2.1"] {
        assert_eq!(bench.cert(refused).code, 2, "{refused}");
    }
}

#[test]
fn g7_the_layout_of_a_deployment_and_the_folder_beside_a_configuration_are_filled() {
    let bench = Bench::new();
    bench.done("dev --name photon.example.com --layout vendor");
    bench.openssl("verify -CAfile deploy/bin_Win64/certs/ca.pem deploy/bin_Win64/certs/server.pem");
    fs::create_dir_all(bench.path("other/bin")).unwrap();
    let missing = bench.cert("dev --config other/bin/PhotonServer.config");
    assert!(missing.code == 2 && missing.err.contains("other/bin/PhotonServer.config"), "{}", missing.err);
    fs::write(bench.path("other/bin/PhotonServer.config"), "<Configuration/>").unwrap();
    bench.done("dev --name photon.example.com --config other/bin/PhotonServer.config");
    bench.openssl("verify -CAfile deploy/bin_Win64/certs/ca.pem other/bin/certs/server.pem");
}

#[test]
fn the_server_serves_what_cert_dev_made_and_cert_show_judges_it() {
    let bench = Bench::new();
    bench.done("dev --name play.example.org --rsa 2048");
    let server = Server::start(&bench);
    let target = format!("127.0.0.1:{}", server.wss);
    let said = bench.cert(&format!("show {target} --name play.example.org --ca state/certs/ca.pem"));
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for part in
        ["to current clients  TLSv1_3, ", "to Unity and Mono   TLSv1_2, TLS_ECDHE_RSA_", "RSA 2048", "89 days left"]
    {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let said = bench.cert(&format!("show {target} --name elsewhere.test --json"));
    assert_eq!(said.code, 2);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["trust"], "untrusted");
    assert_eq!(json["handshakes"]["tls12"]["version"], "TLSv1_2");
    assert_eq!(json["findings"][0]["finding"], "name-not-covered");
    assert_eq!(json["findings"][0]["remedy"], "lampyris cert dev --name elsewhere.test");
    assert_eq!(json["clients"]["chrome"]["connects"], false);
    let said = bench.cert(&format!("show 127.0.0.1:{}", server.ws));
    assert!(said.code == 2 && said.out.contains("without TLS"), "{}", said.out);
}

#[test]
fn d10_a_certificate_of_the_old_recipe_is_told_by_show_and_at_start_with_the_command_that_mends_it() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("state/certs")).unwrap();
    bench.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 90 -subj /CN=photon.test \
         -addext subjectAltName=DNS:photon.test -addext keyUsage=keyEncipherment,dataEncipherment \
         -addext extendedKeyUsage=serverAuth",
    );
    let pem = ["cert.pem", "key.pem"].map(|name| fs::read_to_string(bench.path(name)).unwrap()).concat();
    fs::write(bench.path("state/certs/server.pem"), &pem).unwrap();
    let said = bench.cert("show state/certs/server.pem --name photon.test");
    assert_eq!(said.code, 2);
    for part in ["error no-digital-signature", "lampyris cert dev --name photon.test", "ERR_SSL_KEY_USAGE_INCOMPATIBLE"]
    {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let mut command = bench.command(env!("CARGO_BIN_EXE_lampyris"));
    command.args(["--bind", "127.0.0.1", "--free-ports"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let told = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    let warning = told.take_while(|line| !line.contains("Demo page")).find(|line| line.contains("digitalSignature"));
    let pid = Pid::from_raw(server.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    server.wait().unwrap();
    assert!(warning.unwrap().contains("lampyris cert dev --name"));

    let mended = bench.done("dev --name photon.test");
    assert!(mended.contains("server.pem.old"), "{mended}");
    assert_eq!(fs::read_to_string(bench.path("state/certs/server.pem.old")).unwrap(), pem);
    let said = bench.cert("show state/certs/server.pem --name photon.test --ca state/certs/ca.pem");
    assert_eq!(said.code, 0, "{}", said.out);
}

#[test]
fn g6_trust_shows_its_commands_first_and_is_undone() {
    let bench = Bench::new();
    bench.done("dev --name play.example.org");
    let dry = bench.cert("trust --root root --dry-run");
    assert!(dry.out.contains("would run: certutil -d sql:"), "{}", dry.out);
    assert!(!bench.path("home/.pki").exists());
    // What is left to do is to run the program of the system that lies below the folder.
    let said = bench.cert("trust --root root");
    assert!(said.code == 1 && said.err.contains("update-ca-certificates"), "{}", said.err);
    assert!(said.out.contains("Other machines") && said.out.contains("Windows"), "{}", said.out);
    // Chromium trusts it now, and that counts.
    assert_eq!(bench.cert("show state/certs/server.pem --name play.example.org").code, 0);
    let again = bench.cert("trust --root root");
    assert!(again.code == 0 && again.out.matches("done before: ").count() == 2, "{}", again.out);
    let undone = bench.cert("untrust --root root");
    assert!(undone.out.contains("run: rm ") && undone.out.contains(" -D -n "), "{}", undone.out);
    assert_eq!(fs::read_dir(bench.path("root/usr/local/share/ca-certificates")).unwrap().count(), 0);
    assert_eq!(bench.cert("show state/certs/server.pem --name play.example.org").code, 1);
    let none = bench.cert("trust nothing.pem --root root");
    assert!(none.code == 2 && none.err.contains("nothing.pem"), "{}", none.err);
}

#[test]
fn t7_a_pfx_becomes_a_file_that_the_server_reads() {
    let bench = Bench::new();
    bench.done("dev --name play.example.org --out made");
    bench.openssl("pkcs12 -export -in made/server.pem -out server.pfx -passout env:SECRET");
    bench.done("import --pfx server.pfx --password env:SECRET --out certs.pem");
    assert_eq!(bench.mode("certs.pem"), 0o600);
    for (words, part) in [
        ("import --pfx server.pfx --out other.pem", "--password"),
        ("import --pfx server.pfx --password env:SECRET --out certs.pem", "--force"),
        ("import --pfx server.pfx --password geheim", "not the password itself"),
        ("import --pfx server.pfx --password env:PATH --out other.pem", "does not open"),
        ("import", "--pfx"),
    ] {
        let said = bench.cert(words);
        assert!(said.code == 2 && said.err.contains(part), "{words}: {}", said.err);
        assert!(!said.err.contains("geheim") || words.contains("geheim"), "{}", said.err);
    }
    assert!(!bench.path("other.pem").exists());
    bench.done("import --cert certs.pem --out server.crt --out-key server.key");
    assert!(lines(&bench.path("server.crt")) > 5 && lines(&bench.path("server.key")) > 2);
    bench.done("import --cert server.crt --key server.key --out state/certs/server.pem");
    let server = Server::start(&bench);
    let said = bench.cert(&format!("show 127.0.0.1:{} --name play.example.org --ca made/ca.pem", server.wss));
    assert_eq!(said.code, 0, "{}", said.out);
}

#[test]
fn a_request_is_made_and_the_answer_put_together() {
    let bench = Bench::new();
    assert!(bench.cert("csr").err.contains("--name play.example.org"));
    bench.done("csr --name play.example.org");
    assert_eq!(bench.mode("server.key"), 0o600);
    bench.openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 90 -subj /CN=ca");
    bench.openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 60 -copy_extensions copy -out returned.pem");
    bench.done("import --cert returned.pem --key server.key --out server.pem");
    assert_eq!(bench.cert("show server.pem --name play.example.org --ca ca.pem").code, 0);
    assert!(bench.done("csr --name play.example.org --out -").contains("BEGIN CERTIFICATE REQUEST"));
}

#[test]
fn t22_a_cluster_is_made_and_says_what_to_write_where() {
    let bench = Bench::new();
    assert_eq!(bench.cert("cluster node master").code, 2);
    bench.done("cluster init");
    let said = bench.done("cluster node master --dns master.example.org --ip 10.0.0.7");
    for part in ["cluster/nodes/master/s2s.pem", "urn:lampyris:node:master", "ClientCertificate=\"required\""] {
        assert!(said.contains(part), "{part}: {said}");
    }
    bench.openssl("verify -purpose sslclient -CAfile cluster/root.pem cluster/nodes/master/s2s.pem");
    assert_eq!(bench.cert("cluster node ../x").code, 2);
}

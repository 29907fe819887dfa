//! `lampyris import`: looks at a deployment of a Photon server and says what becomes of it here. Nothing is changed.
//!
//! Exit codes: 0 it can be run as it is, 1 there is something to look at, 2 there is something to mend first.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use lampyris_config::{
    Effective, Environment, LoadOptions, Loaded, Origin, Severity, Subject, is_shipped, load, missing_listeners,
    read_file,
};

use crate::check_config::exit_code;

const NO_DEPLOYMENT: u8 = 2;

/// The file that a deployment is known by.
const MAIN_FILE: &str = "PhotonServer.config";

/// Most files that are looked at.
const MAX_FILES: usize = 20_000;

/// Most levels of folders that are looked into.
const MAX_DEPTH: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The deploy folder of the Photon server, copied to this machine
    #[arg(value_name = "DEPLOY_FOLDER")]
    folder: PathBuf,

    /// The instance [default: the only one, or LoadBalancing]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
}

pub(crate) fn run(args: &ImportArgs) -> ExitCode {
    let Some(main) = main_file(&args.folder) else {
        let folder = args.folder.display();
        let text = format!(
            "expected a {MAIN_FILE} in {folder}, or in a folder like bin_Win64 in it, got none; name the deploy folder"
        );
        let _ = writeln!(stderr(), "error: {text}");
        return ExitCode::from(NO_DEPLOYMENT);
    };
    let options = LoadOptions { instance: args.instance.as_deref(), ignore_plugins: true, ..LoadOptions::default() };
    let variable = |name: &str| std::env::var(name).ok();
    let loaded = load(&main, options, Environment { read: &read_file, variable: &variable });
    let report = Report { folder: deployment_of(&main, &args.folder), main: &main, loaded: &loaded };
    // A closed pipe is the reader's choice.
    let _ = report.write(BufWriter::new(stdout()));
    exit_code(&loaded)
}

/// The configuration in the folder itself or in a `bin...` folder of it, that of 64 bits first.
fn main_file(folder: &Path) -> Option<PathBuf> {
    let in_folder = |folder: &Path| {
        let entries = fs::read_dir(folder).ok()?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(MAIN_FILE)))
    };
    let is_bin = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_lowercase);
        name.is_some_and(|name| name == "bin" || name.starts_with("bin_"))
    };
    let entries = fs::read_dir(folder).ok()?;
    let mut bins: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_bin(path)).collect();
    let is_other = |path: &PathBuf| !path.file_name().is_some_and(|name| name.eq_ignore_ascii_case("bin_Win64"));
    bins.sort_by_key(|path| (is_other(path), path.clone()));
    in_folder(folder).or_else(|| bins.iter().find_map(|bin| in_folder(bin)))
}

/// The folder above that of the configuration, or the one named if that is not above it.
fn deployment_of<'a>(main: &'a Path, named: &'a Path) -> &'a Path {
    let above = main.parent().and_then(Path::parent).filter(|above| !above.as_os_str().is_empty());
    above.unwrap_or(named)
}

struct Report<'a> {
    folder: &'a Path,
    main: &'a Path,
    loaded: &'a Loaded,
}

impl Report<'_> {
    fn write(&self, mut out: impl Write) -> io::Result<()> {
        writeln!(out, "{}: a deployment of Photon server {}", self.folder.display(), self.version())?;
        self.recognised(&mut out)?;
        self.changed(&mut out)?;
        self.ignored(&mut out)?;
        self.findings(&mut out, "Not supported", |subject| subject == Subject::Unsupported)?;
        self.findings(&mut out, "Secrets that everyone knows", |subject| subject == Subject::Secret)?;
        self.findings(&mut out, "Certificates that are missing", |subject| subject == Subject::Certificate)?;
        self.windows_store(&mut out)?;
        self.findings(&mut out, "To look at", |subject| subject == Subject::Setting)?;
        self.next(&mut out)?;
        out.flush()
    }

    fn version(&self) -> &'static str {
        let is_old = |path: &PathBuf| path.to_string_lossy().to_lowercase().ends_with(".dll.config");
        if self.loaded.files.iter().any(is_old) { "4" } else { "5" }
    }

    /// A path from the folder of the deployment.
    fn short<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(self.folder).unwrap_or(path).display()
    }

    fn recognised(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nRecognised")?;
        for path in &self.loaded.files {
            let written = |one: &&Effective| matches!(&one.origin, Origin::File(place) if place.file == *path);
            let count = self.loaded.effective.iter().filter(written).count();
            writeln!(out, "  {}: {count} settings", self.short(path))?;
        }
        Ok(())
    }

    fn changed(&self, out: &mut impl Write) -> io::Result<()> {
        let changed: Vec<_> = self.loaded.effective.iter().filter(|one| !is_shipped(one)).collect();
        let missing = missing_listeners(&self.loaded.effective);
        if changed.is_empty() && missing.is_empty() {
            return writeln!(out, "\nChanged from what is shipped: nothing");
        }
        writeln!(out, "\nChanged from what is shipped")?;
        for settings in changed.chunk_by(|one, other| is_item(one) && one.owner() == other.owner()) {
            let Some(first) = settings.first() else { continue };
            let Origin::File(place) = &first.origin else { continue };
            let shown =
                settings.iter().map(|one| format!("{} = {}", one.key(), one.value)).collect::<Vec<_>>().join(", ");
            writeln!(out, "  {} {shown}  ({}:{})", first.owner(), self.short(&place.file), place.line)?;
        }
        for listener in missing {
            writeln!(out, "  {listener}: not there")?;
        }
        Ok(())
    }

    fn ignored(&self, out: &mut impl Write) -> io::Result<()> {
        let ignored = self.loaded.effective.iter().filter_map(|one| match &one.origin {
            Origin::Ignored(place) => Some((one, place)),
            Origin::File(_) | Origin::Default(_) => None,
        });
        let mut by_file: BTreeMap<&Path, Vec<&str>> = BTreeMap::new();
        for (one, place) in ignored {
            by_file.entry(&place.file).or_default().push(&one.setting);
        }
        let files = self.other_files();
        if by_file.is_empty() && files.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nIgnored, because it has no meaning here")?;
        for (path, settings) in by_file {
            writeln!(out, "  {}: {}", self.short(path), settings.join(", "))?;
        }
        for (path, why) in files {
            writeln!(out, "  {}: {why}", self.short(&path))?;
        }
        Ok(())
    }

    /// Files that an operator may wonder about.
    fn other_files(&self) -> Vec<(PathBuf, &'static str)> {
        let mut found = Vec::new();
        let mut folders = vec![(self.folder.to_owned(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                seen += 1;
                if seen > MAX_FILES {
                    return found;
                }
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => folders.push((path, depth + 1)),
                    Ok(kind) if kind.is_file() && !self.loaded.files.contains(&path) => {
                        found.extend(meaning_of(&path).map(|why| (path, why)));
                    }
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }

    fn findings(&self, out: &mut impl Write, title: &str, of: impl Fn(Subject) -> bool) -> io::Result<()> {
        let found: Vec<_> = self.loaded.findings.iter().filter(|one| of(one.subject)).collect();
        if found.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{title}")?;
        for one in found {
            let place = &one.place;
            let (line, column) = (place.line, place.column);
            writeln!(out, "  {}:{line}:{column}: {}: {}", self.short(&place.file), one.severity, one.text)?;
        }
        Ok(())
    }

    /// How a certificate gets out of the store that version 4 takes it from.
    fn windows_store(&self, out: &mut impl Write) -> io::Result<()> {
        let of_store =
            |one: &&Effective| ["StoreName", "CertificateName"].iter().any(|name| one.setting.ends_with(name));
        let missing = self.loaded.findings.iter().any(|one| one.subject == Subject::Certificate);
        if !missing || !self.loaded.effective.iter().any(|one| of_store(&one)) {
            return Ok(());
        }
        let pem = self.main.with_file_name("certs").join("server.pem");
        writeln!(
            out,
            "\n  The certificate is in the store of the Windows machine. There, in PowerShell as administrator:"
        )?;
        writeln!(
            out,
            "    Get-ChildItem Cert:\\LocalMachine\\My, Cert:\\CurrentUser\\My | Format-List Subject, PSPath"
        )?;
        writeln!(out, "    $password = Read-Host -AsSecureString")?;
        writeln!(out, "    Export-PfxCertificate -Cert PSPATH -FilePath photon.pfx -Password $password")?;
        writeln!(out, "  Here, with the file copied and its password in password.txt:")?;
        writeln!(out, "    lampyris cert import --pfx photon.pfx --password file:password.txt --out {}", pem.display())
    }

    fn next(&self, out: &mut impl Write) -> io::Result<()> {
        let config = self.main.display();
        let has = |subject| self.loaded.findings.iter().any(|one| one.subject == subject);
        writeln!(out, "\nNext")?;
        if has(Subject::Secret) {
            writeln!(out, "  write new token keys, the same in the files of all roles; `uuidgen` makes one")?;
        }
        if has(Subject::Certificate) {
            writeln!(out, "  put the certificates where the listeners look for them")?;
        }
        let first = if self.loaded.worst() == Some(Severity::Error) { "mend the errors above, then: " } else { "" };
        writeln!(out, "  {first}lampyris check-config --config {config}")?;
        writeln!(out, "  lampyris doctor --config {config}")?;
        let plugins = self.loaded.config.iter().filter_map(|config| config.game_server.as_ref());
        let has_code = plugins.flat_map(|game| &game.plugins).any(|plugin| !plugin.is_web_hooks());
        writeln!(out, "  lampyris run --config {config}{}", if has_code { " --ignore-plugins" } else { "" })
    }
}

/// Whether a setting belongs to something that is told as a whole.
fn is_item(one: &Effective) -> bool {
    ["AuthProvider ", "Plugin ", "region "].iter().any(|kind| one.owner().starts_with(kind))
}

/// What becomes of a file that no configuration names; `None` if nobody will wonder.
fn meaning_of(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    if name.ends_with(".license") {
        return Some("no licence is needed");
    }
    if name.starts_with("prediction") && name.ends_with(".config") {
        return Some("load is not predicted");
    }
    if name == "photonserver.config" {
        return Some("another configuration of the same deployment");
    }
    if name == "log4net.config" || name == "plugin.config" {
        return Some("no application that is run here reads it");
    }
    if name.ends_with(".exe.config") || name == "photonhive.dll.config" {
        return Some("of a program for Windows");
    }
    name.ends_with(".config").then_some("no setting leads here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_in_any_case_and_that_of_64_bits_first() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        assert_eq!(main_file(folder.path()), None);
        let old = put("bin_Win32/PhotonServer.config");
        assert_eq!(main_file(folder.path()), Some(old));
        let new = put("BIN_WIN64/photonserver.CONFIG");
        assert_eq!(main_file(folder.path()), Some(new.clone()));
        assert_eq!(main_file(new.parent().unwrap()), Some(new));
        assert_eq!(main_file(&folder.path().join("none")), None);
    }

    #[test]
    fn files_that_an_operator_may_wonder_about_are_explained() {
        let of = |name: &str| meaning_of(Path::new(name));
        assert_eq!(of("a/Company.License"), Some("no licence is needed"));
        assert_eq!(of("a/CounterPublisher.dll.config"), Some("no setting leads here"));
        assert_eq!(of("a/Photon.SocketServer.dll"), None);
    }
}

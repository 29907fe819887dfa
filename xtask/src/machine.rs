//! What the tests need from the machine; missing programs are installed as Debian's packages.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A thing that a suite needs, how to see that it is there, and the package that brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    probe: &'static [&'static str],
    package: &'static str,
}

pub(crate) const CERTUTIL: Need = Need { probe: &["sh", "-c", "command -v certutil"], package: "libnss3-tools" };
pub(crate) const CHROMIUM: Need = Need { probe: &["chromium", "--version"], package: "chromium" };
pub(crate) const NODE: Need = Need { probe: &["node", "--version"], package: "nodejs" };
pub(crate) const NPM: Need = Need { probe: &["npm", "--version"], package: "npm" };
pub(crate) const OPENSSL: Need = Need { probe: &["openssl", "version"], package: "openssl" };
pub(crate) const PEBBLE: Need = Need { probe: &["pebble", "-help"], package: "pebble" };
pub(crate) const PYTHON: Need = Need { probe: &["python3", "--version"], package: "python3" };
pub(crate) const PYTHON_VENV: Need =
    Need { probe: &["python3", "-c", "import ensurepip, venv"], package: "python3-venv" };
pub(crate) const SOCAT: Need = Need { probe: &["socat", "-V"], package: "socat" };

/// Installs those that are missing.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing = needs.iter().filter(|need| !answers(need.probe)).map(|need| need.package).collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    println!("installing {list}");
    let hint = || format!("install them by hand: apt-get install {list}");
    apt(&["update"]).with_context(hint)?;
    apt(&[&["install", "--yes", "--no-install-recommends"], missing.as_slice()].concat()).with_context(hint)
}

fn answers(probe: &[&str]) -> bool {
    let Some((program, arguments)) = probe.split_first() else { return false };
    let mut probe = Command::new(program);
    probe.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    let status = apt.status().context("cannot run apt-get")?;
    if !status.success() {
        bail!("apt-get {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

/// Installs a package.json's dependencies as its lock file has them, unless that was done before.
pub(crate) fn npm_ci(folder: &Path) -> Result<()> {
    let modified = |path: &str| folder.join(path).metadata().and_then(|metadata| metadata.modified()).ok();
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_some() && installed >= modified("package-lock.json") {
        return Ok(());
    }
    println!("npm ci in {}", folder.display());
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
    let status = npm.status().context("cannot run npm")?;
    if !status.success() {
        bail!("npm ci failed in {}: {status}", folder.display());
    }
    Ok(())
}

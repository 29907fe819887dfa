//! `lampyris config`: the built-in configuration as files, and the values in effect.
//!
//! Exit codes: 0 done, 1 (`show`) warnings, 2 errors, wrong usage or files that cannot be written.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use lampyris_config::{Environment, File, LoadOptions, SampleFile, load, read_file, sample};

use crate::check_config::{exit_code, tell_findings, tell_values};

const FAILED: u8 = 2;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write the built-in configuration as files
    #[command(after_help = "Exit codes: 0 written, 2 not written; files that are there are never overwritten\n\n\
        Example: lampyris config sample --out deploy --secure")]
    Sample(SampleArgs),
    /// Print every setting, its value and where it comes from
    #[command(after_help = "Exit codes: 0 nothing to repair, 1 warnings, 2 errors or wrong usage\n\n\
        Example: lampyris config show --config deploy/bin/PhotonServer.config")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// Folder for the files [default: they are printed]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Also open the secure WebSocket ports, which need a certificate
    #[arg(long)]
    secure: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The PhotonServer.config [default: the built-in configuration]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The instance [default: the only one, or LoadBalancing]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
}

pub(crate) fn run(command: &ConfigCommand) -> ExitCode {
    match command {
        ConfigCommand::Sample(args) => write_sample(args),
        ConfigCommand::Show(args) => show(args),
    }
}

fn write_sample(args: &SampleArgs) -> ExitCode {
    let files = sample(args.secure);
    let Some(folder) = &args.out else {
        // A closed pipe is the reader's choice.
        let _ = print(&files, BufWriter::new(stdout()));
        return ExitCode::SUCCESS;
    };
    match write(folder, &files) {
        Ok(()) => {
            let main = folder.join("bin/PhotonServer.config");
            let mut next = format!("{} files are in {}", files.len(), folder.display());
            if args.secure {
                let certs = folder.join("bin/certs");
                next += &format!("\nput certificate and key into {}", certs.join("server.pem").display());
            }
            next += &format!("\nthen: lampyris check-config --config {}", main.display());
            let _ = writeln!(stderr(), "{next}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(stderr(), "error: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn print(files: &[SampleFile], mut out: impl Write) -> io::Result<()> {
    for file in files {
        writeln!(out, "==> {} <==\n{}", file.path, file.text)?;
    }
    out.flush()
}

/// Writes all files or, if one of them is there, none.
fn write(folder: &Path, files: &[SampleFile]) -> Result<(), String> {
    let there: Vec<_> = files.iter().map(|file| folder.join(file.path)).filter(|path| path.exists()).collect();
    if let Some(path) = there.first() {
        return Err(format!("{} is there; name another folder with --out", path.display()));
    }
    for file in files {
        let path = folder.join(file.path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(file.text.as_bytes())
        });
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

fn show(args: &ShowArgs) -> ExitCode {
    let options = LoadOptions { instance: args.instance.as_deref(), ..LoadOptions::default() };
    let variable = |name: &str| std::env::var(name).ok();
    let built_in = |path: &Path| {
        let files = sample(false);
        let found = files.into_iter().find(|file| path.ends_with(file.path));
        let file = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(File { path: PathBuf::from("built-in").join(file.path), bytes: file.text.into_bytes() })
    };
    let loaded = match &args.config {
        Some(path) => load(path, options, Environment { read: &read_file, variable: &variable }),
        None => {
            let path = Path::new("built-in/bin/PhotonServer.config");
            load(path, options, Environment { read: &built_in, variable: &variable })
        }
    };
    let _ = tell_values(&loaded, BufWriter::new(stdout()));
    let _ = tell_findings(&loaded, BufWriter::new(stderr()));
    exit_code(&loaded)
}

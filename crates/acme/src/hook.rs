//! The operator's command for DNS records: `COMMAND add|remove NAME VALUE`.
//!
//! It is run directly, without a shell, and is to return when the record can be seen: the authority asks right after.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::AcmeError;

/// Most bytes of a command's messages that are kept.
const OUTPUT_BYTES: u64 = 4096;

/// The operator's command for DNS records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program.
    pub command: PathBuf,
    /// Longest time that it may run.
    pub timeout: Duration,
}

/// What the command is to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Add,
    Remove,
}

impl Hook {
    /// Runs the command for a TXT record.
    pub(crate) async fn run(&self, act: Act, name: &str, value: &str) -> Result<(), AcmeError> {
        let word = if act == Act::Add { "add" } else { "remove" };
        let command = format!("{} {word} {name} {value}", self.command.display());
        let failed = |detail: String| AcmeError::Hook { command: command.clone(), detail };
        let spawned = Command::new(&self.command)
            .args([word, name, value])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|error| failed(format!("cannot run it: {error}")))?;
        let stderr = child.stderr.take();
        let mut output = Vec::new();
        let ended = tokio::time::timeout(self.timeout, async {
            if let Some(stderr) = stderr {
                // What it says matters only if it fails, and then this much.
                let _ = stderr.take(OUTPUT_BYTES).read_to_end(&mut output).await;
            }
            child.wait().await
        });
        let said = |output: &[u8]| match String::from_utf8_lossy(output).trim() {
            "" => String::new(),
            text => format!("; it said: {}", text.replace('\n', " | ")),
        };
        match ended.await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(format!("expected exit status 0, got {status}{}", said(&output)))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => {
                let seconds = self.timeout.as_secs();
                Err(failed(format!(
                    "still running after {seconds} s, stopped; raise DnsHookTimeout if it needs longer"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn hook(folder: &Path, script: &str) -> Hook {
        let command = folder.join("hook");
        fs::write(&command, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
        Hook { command, timeout: Duration::from_secs(60) }
    }

    #[tokio::test]
    async fn t30_a_hook_gets_what_to_do_the_name_and_the_value() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let hook = hook(folder.path(), &format!("echo \"$#:$1:$2:$3\" > {}", out.display()));
        hook.run(Act::Add, "_acme-challenge.a.test", "a value; rm -rf").await.unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "3:add:_acme-challenge.a.test:a value; rm -rf\n");
        hook.run(Act::Remove, "n", "v").await.unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "3:remove:n:v\n");
    }

    #[tokio::test]
    async fn a_hook_that_fails_is_told_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let hook = hook(folder.path(), "echo 'no such zone' >&2; exit 7");
        let error = hook.run(Act::Add, "n", "v").await.unwrap_err().to_string();
        assert!(error.contains("add n v") && error.contains("no such zone") && error.contains('7'), "{error}");
    }

    #[tokio::test]
    async fn a_hook_that_is_missing_or_that_does_not_end_is_told() {
        let missing = Hook { command: "/nowhere/hook".into(), timeout: Duration::from_secs(60) };
        let error = missing.run(Act::Add, "n", "v").await.unwrap_err().to_string();
        assert!(error.contains("cannot run it"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let endless = Hook { timeout: Duration::from_millis(50), ..hook(folder.path(), "exec sleep 1000") };
        let error = endless.run(Act::Add, "n", "v").await.unwrap_err().to_string();
        assert!(error.contains("still running"), "{error}");
    }

    #[tokio::test]
    async fn a_hook_that_talks_without_end_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let hook = hook(folder.path(), "yes too much >&2; exit 1");
        let error = hook.run(Act::Add, "n", "v").await.unwrap_err().to_string();
        assert!(error.len() < 6_000, "{}", error.len());
    }
}

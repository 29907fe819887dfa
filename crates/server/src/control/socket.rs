//! The socket: one request, one answer, one connection.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::{Reloaded, Status};

/// Most bytes of a request.
const REQUEST_BYTES: u64 = 1024;
/// Most bytes of an answer.
const ANSWER_BYTES: u64 = 4 << 20;
/// Time for a request to arrive and for its answer to be read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for the server to do what it is asked: files are read and certificates checked.
const WORK_PATIENCE: Duration = Duration::from_secs(60);
/// Requests at a time; more wait at the socket.
const CONNECTIONS: usize = 8;

/// What the server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Request {
    /// Load the configuration again.
    Reload,
    /// Say how you are.
    Status,
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// To [`Request::Reload`].
    Reload(Reloaded),
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To anything else.
    Error(String),
}

/// A request and where its answer goes.
pub(crate) type Call = (Request, oneshot::Sender<Answer>);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Another server has it.
    #[error("{path} belongs to a server that runs; stop that one, or give this one another --state-dir")]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The system refused it.
    #[error("cannot make the control socket {path}: {source}")]
    System {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No server has the socket.
    #[error("no server runs with the control socket {path}; name its --config and --state-dir as at its start")]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is another user's.
    #[error("the server of {path} belongs to another user; ask as that user or as root")]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// It went wrong on the way.
    #[error("the server at {path} gave no answer: {detail}")]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        detail: String,
    },
}

/// Where the control socket of a server is: below its state folder, named after its configuration, so that whoever
/// knows both finds it.
#[must_use]
pub fn socket_path(state: &Path, configuration: Option<&Path>) -> PathBuf {
    let name = configuration.map(|path| {
        let path = fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
        format!("{:016x}.sock", fingerprint(path.as_os_str().as_encoded_bytes()))
    });
    state.join("control").join(name.unwrap_or_else(|| "server.sock".to_owned()))
}

/// FNV-1a: the same in every version of the program, and paths are no attackers.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A server's end. Dropping it removes the socket.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    calls: mpsc::Receiver<Call>,
}

impl Socket {
    /// Binds the socket and takes requests on the runtime of the caller.
    ///
    /// # Errors
    /// If a running server has it, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let system = |source| SocketError::System { path: path.to_owned(), source };
        // The folder is private, so that nobody comes in between binding and setting the mode.
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(system)?;
            fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(system)?;
        }
        if BlockingStream::connect(path).is_ok() {
            return Err(SocketError::Taken { path: path.to_owned() });
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(system(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(system)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(system)?;
        let (sender, calls) = mpsc::channel(CONNECTIONS);
        tokio::spawn(accept(listener, sender));
        Ok(Self { path: path.to_owned(), calls })
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Option<Call> {
        self.calls.recv().await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove the control socket");
        }
    }
}

async fn accept(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        tokio::select! {
            () = calls.closed() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let calls = calls.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        if let Err(error) = serve(stream, &calls).await {
                            tracing::debug!(%error, "a request at the control socket was not answered");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept at the control socket");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn serve(stream: UnixStream, calls: &mpsc::Sender<Call>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = tokio::io::BufReader::new(read.take(REQUEST_BYTES));
    timeout(PATIENCE, read.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => call(request, calls).await,
        Err(error) => Answer::Error(format!("expected {{\"command\":\"reload\"}} or \"status\" on one line: {error}")),
    };
    let mut answer = serde_json::to_string(&answer)?;
    answer.push('\n');
    timeout(PATIENCE, write.write_all(answer.as_bytes())).await?
}

async fn call(request: Request, calls: &mpsc::Sender<Call>) -> Answer {
    let (sender, receiver) = oneshot::channel();
    let stopping = || Answer::Error("the server is about to stop".to_owned());
    match calls.send((request, sender)).await {
        Ok(()) => receiver.await.unwrap_or_else(|_| stopping()),
        Err(_) => stopping(),
    }
}

/// Asks the server that has the socket.
///
/// # Errors
/// If there is none, it belongs to another user, or it gives no answer.
pub fn ask(path: &Path, request: Request) -> Result<Answer, AskError> {
    let stream = BlockingStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => AskError::Forbidden { path: path.to_owned() },
        _ => AskError::NotRunning { path: path.to_owned() },
    })?;
    let no_answer = |detail: String| AskError::NoAnswer { path: path.to_owned(), detail };
    exchange(stream, request).map_err(|error| no_answer(error.to_string()))
}

fn exchange(mut stream: BlockingStream, request: Request) -> io::Result<Answer> {
    stream.set_read_timeout(Some(WORK_PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_BYTES)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// Answers every request with the name of a version.
    async fn answer_all(mut socket: Socket) {
        while let Some((_, answer)) = socket.next().await {
            let status = Status { version: "9.9".to_owned(), ..Status::default() };
            answer.send(Answer::Status(Box::new(status))).unwrap();
        }
    }

    #[test]
    fn a_request_is_answered_and_the_socket_is_its_users_alone() {
        let state = tempfile::tempdir().unwrap();
        let path = socket_path(state.path(), None);
        runtime().block_on(async {
            let serving = tokio::spawn(answer_all(Socket::bind(&path).unwrap()));
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
            let asked = path.clone();
            let answer = tokio::task::spawn_blocking(move || ask(&asked, Request::Status)).await.unwrap().unwrap();
            assert!(matches!(answer, Answer::Status(status) if status.version == "9.9"));
            serving.abort();
            assert!(serving.await.is_err());
        });
        assert!(!path.exists(), "removed with its server");
        assert!(matches!(ask(&path, Request::Reload), Err(AskError::NotRunning { .. })));
    }

    #[test]
    fn what_is_no_request_is_told_what_was_expected() {
        let state = tempfile::tempdir().unwrap();
        let path = socket_path(state.path(), None);
        runtime().block_on(async {
            let serving = tokio::spawn(answer_all(Socket::bind(&path).unwrap()));
            for bytes in ["nonsense\n".to_owned(), "{\"command\":\"stop\"}\n".to_owned(), "x".repeat(5_000)] {
                let mut stream = UnixStream::connect(&path).await.unwrap();
                // The server may have its answer ready before it has everything.
                let _ = stream.write_all(bytes.as_bytes()).await;
                let mut answer = String::new();
                let read = tokio::io::BufReader::new(stream).read_line(&mut answer).await;
                assert!(read.is_err() || answer.contains("expected {"), "{answer}");
            }
            serving.abort();
        });
    }

    #[test]
    fn a_socket_of_a_dead_server_is_replaced_and_one_of_a_live_server_is_not() {
        let state = tempfile::tempdir().unwrap();
        let path = socket_path(state.path(), None);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        runtime().block_on(async {
            let _socket = Socket::bind(&path).unwrap();
            assert!(matches!(Socket::bind(&path), Err(SocketError::Taken { .. })));
        });
    }

    #[test]
    fn the_path_depends_on_the_configuration_however_it_is_written() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("PhotonServer.config");
        fs::write(&file, "").unwrap();
        let roundabout = state.path().join("..").join(state.path().file_name().unwrap()).join("PhotonServer.config");
        let of = |path: &Path| socket_path(state.path(), Some(path));
        assert_eq!(of(&file), of(&roundabout));
        assert_ne!(of(&file), of(&state.path().join("Other.config")));
        assert_ne!(of(&file), socket_path(state.path(), None));
    }
}

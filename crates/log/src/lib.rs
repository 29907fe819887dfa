//! The server's log: on the standard error stream, and in a file for each day.
//!
//! Whoever logs hands over a line and goes on: a thread for each output takes lines from a bounded queue and writes them.
//! When the queue is full, or the disk is, lines are lost and counted, and the operator is told once; no worker ever waits
//! and nothing stops.
//!
//! ```text
//! event -> filter -> Record -> line -> queue (4,096 lines) -> thread -> standard error stream
//!                          \-> line -> queue (4,096 lines) -> thread -> Photon-LoadBalancing-20270131.log
//! ```

mod daily;
mod follow;
mod form;
mod layer;
mod record;
mod spool;

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;

use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

pub use follow::{Follow, newest};
pub use spool::{MAX_LINE_BYTES, QUEUE_LINES};

use crate::daily::DailyFile;
use crate::layer::LineLayer;
use crate::spool::{Line, Sink, Spool};

const LOST_READER: &str = "it needs someone who reads it, or room on its disk";
const LOST_DISK: &str = "make room on the disk, or mend the rights of the folder";

/// How lines on the standard error stream look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text {
        /// Whether to color it.
        color: bool,
    },
    /// An object for each line.
    Json,
    /// As the logs of the vendor's server.
    Vendor,
}

/// Where the daily file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its folder; it is made if need be.
    pub folder: PathBuf,
    /// What names begin with; `-yyyyMMdd.log` follows.
    pub prefix: String,
}

/// A layer that sees every event that is logged.
pub type Listener = Box<dyn Layer<Registry> + Send + Sync>;

/// What to log, and where.
pub struct Options {
    /// What to log.
    pub filter: EnvFilter,
    /// How lines on the standard error stream look.
    pub format: Format,
    /// The daily file, if there is to be one.
    pub file: Option<File>,
    /// Who else wants to know.
    pub listeners: Vec<Listener>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("format", &self.format).field("file", &self.file).finish_non_exhaustive()
    }
}

/// The log of this process. What is queued is written when it is dropped.
pub struct Logs {
    stderr: Spool,
    file: Option<Spool>,
    filter: reload::Handle<EnvFilter, Layered<Vec<Listener>, Registry>>,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

/// Starts the log of this process.
///
/// # Errors
/// If it was started before, or if there is no thread for it.
pub fn start(options: Options) -> io::Result<Logs> {
    let stderr = Spool::start("log", "the standard error stream".to_owned(), LOST_READER, StandardError)?;
    let file = options.file.map(|file| {
        let what = file.folder.display().to_string();
        Spool::start("log-file", what, LOST_DISK, DailyFile::new(file.folder, file.prefix))
    });
    let file = file.transpose()?;
    let mut layers = options.listeners;
    layers.push(match options.format {
        Format::Text { color } => {
            // A log that fails is counted by its spool; the library would panic when it cannot write of it.
            tracing_subscriber::fmt::layer()
                .with_ansi(color)
                .with_writer(stderr.clone())
                .log_internal_errors(false)
                .boxed()
        }
        Format::Json => LineLayer { form: form::json, spool: stderr.clone() }.boxed(),
        Format::Vendor => LineLayer { form: form::vendor, spool: stderr.clone() }.boxed(),
    });
    layers.extend(file.clone().map(|spool| LineLayer { form: form::core, spool }.boxed()));
    let (filter, handle) = reload::Layer::new(options.filter);
    let subscriber = tracing_subscriber::registry().with(layers).with(filter);
    subscriber.try_init().map_err(io::Error::other)?;
    Ok(Logs { stderr, file, filter: handle })
}

impl Logs {
    /// Logs something else from now on.
    ///
    /// # Errors
    /// If the log is broken.
    pub fn set_filter(&self, filter: EnvFilter) -> io::Result<()> {
        self.filter.reload(filter).map_err(io::Error::other)
    }

    /// Lines that could not be written, since the start.
    pub fn lost(&self) -> u64 {
        self.stderr.lost() + self.file.as_ref().map_or(0, Spool::lost)
    }

    /// Waits until what was logged is written, a second at most.
    pub fn flush(&self) {
        self.stderr.flush();
        if let Some(file) = &self.file {
            file.flush();
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.flush();
    }
}

struct StandardError;

impl Sink for StandardError {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        io::stderr().write_all(line.text.as_bytes())
    }
}

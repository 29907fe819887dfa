//! A bounded queue of lines and the thread that writes them.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use tracing_subscriber::fmt::MakeWriter;

/// Most lines that wait for being written; further ones are lost.
pub const QUEUE_LINES: usize = 4_096;

/// Most bytes of a line; the rest of it is cut off.
pub const MAX_LINE_BYTES: usize = 16 * 1_024;

/// Longest wait for a flush, when an output does not move.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Wait for room in a full queue.
const FLUSH_PAUSE: Duration = Duration::from_millis(5);

/// How often the operator is told of lost lines at most.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A line to be written, with its end.
#[derive(Debug)]
pub(crate) struct Line {
    /// The day on which it happened.
    pub(crate) day: Date,
    pub(crate) text: String,
}

/// Where lines go in the end.
pub(crate) trait Sink: Send + 'static {
    fn write(&mut self, line: &Line) -> io::Result<()>;
}

enum Message {
    Line(Line),
    Flush(SyncSender<()>),
}

/// A queue of lines, by its sending end.
#[derive(Clone)]
pub(crate) struct Spool {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Spool {
    /// `output` is what an operator calls it, `remedy` what helps when it cannot be written.
    pub(crate) fn start(thread_name: &str, output: String, remedy: &'static str, sink: impl Sink) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE_LINES);
        let lost = Arc::<AtomicU64>::default();
        let of_writer = Arc::clone(&lost);
        let mut writer = Writer { sink, output, remedy, lost: of_writer, is_failing: false, told: 0, told_at: None };
        thread::Builder::new().name(thread_name.to_owned()).spawn(move || writer.run(&lines))?;
        Ok(Self { queue, lost })
    }

    /// Queues a line; never waits.
    pub(crate) fn send(&self, day: Date, text: String) {
        let line = Line { day, text: with_end(text) };
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn flush(&self) {
        let end = Instant::now() + FLUSH_TIMEOUT;
        let (done, is_done) = sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Flush(done.clone())) {
            if Instant::now() >= end {
                return;
            }
            thread::sleep(FLUSH_PAUSE);
        }
        // An output that does not move by then will not move any more.
        let _ = is_done.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

/// The line with one end, and not too long.
fn with_end(mut text: String) -> String {
    let end = text.trim_end_matches('\n').len();
    text.truncate(text.floor_char_boundary(end.min(MAX_LINE_BYTES)));
    text.push('\n');
    text
}

struct Writer<S> {
    sink: S,
    output: String,
    remedy: &'static str,
    lost: Arc<AtomicU64>,
    is_failing: bool,
    /// Lost lines that the operator knows of.
    told: u64,
    told_at: Option<Instant>,
}

impl<S: Sink> Writer<S> {
    fn run(&mut self, lines: &Receiver<Message>) {
        while let Ok(message) = lines.recv() {
            match message {
                Message::Line(line) => {
                    let written = self.sink.write(&line);
                    self.tell(written);
                }
                // Whoever asked may have given up.
                Message::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    /// What is told here is logged like all else; a queue that has no room for it loses it.
    fn tell(&mut self, written: io::Result<()>) {
        let output = &self.output;
        match written {
            Err(error) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                if !self.is_failing {
                    self.is_failing = true;
                    let remedy = self.remedy;
                    tracing::warn!(%output, %error, "cannot write the log; its lines are lost until this works again: {remedy}");
                }
            }
            Ok(()) => {
                self.is_failing = false;
                let lost = self.lost.load(Ordering::Relaxed);
                if lost > self.told && self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                    let lines = lost - self.told;
                    (self.told, self.told_at) = (lost, Some(Instant::now()));
                    tracing::warn!(%output, lines, "lines of the log were lost");
                }
            }
        }
    }
}

/// Takes whole lines from a formatter.
impl<'a> MakeWriter<'a> for Spool {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(self)
    }
}

/// Makes a line of each write.
#[derive(Clone, Copy)]
pub(crate) struct LineWriter<'a>(&'a Spool);

impl io::Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        };
        self.0.send(Date::default(), text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};

    use super::*;

    /// Says what it writes; each line waits for its verdict.
    struct Scripted {
        verdicts: Receiver<bool>,
        written: Sender<String>,
    }

    impl Sink for Scripted {
        fn write(&mut self, line: &Line) -> io::Result<()> {
            if self.verdicts.recv() == Ok(true) {
                self.written.send(line.text.clone()).unwrap();
                return Ok(());
            }
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
    }

    fn spool() -> (Spool, Sender<bool>, Receiver<String>) {
        let (verdict, verdicts) = mpsc::channel();
        let (written, lines) = mpsc::channel();
        (Spool::start("test", "nowhere".to_owned(), "none", Scripted { verdicts, written }).unwrap(), verdict, lines)
    }

    #[test]
    fn an_output_that_does_not_move_costs_lines_and_no_waiting() {
        let (spool, verdict, written) = spool();
        let sent = QUEUE_LINES + 100;
        for number in 0..sent {
            spool.send(Date::default(), number.to_string());
        }
        let lost = usize::try_from(spool.lost()).unwrap();
        assert!((99..=100).contains(&lost), "{lost}: one line may be with the sink already");
        for _ in 0..sent {
            verdict.send(true).unwrap();
        }
        assert_eq!(written.iter().take(sent - lost).last().unwrap(), format!("{}\n", sent - lost - 1));
    }

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted_and_later_ones_are_written() {
        let (spool, verdict, written) = spool();
        for (number, verdict_of_line) in [true, false, false, true].into_iter().enumerate() {
            verdict.send(verdict_of_line).unwrap();
            spool.send(Date::default(), number.to_string());
        }
        assert_eq!(written.iter().take(2).collect::<Vec<_>>(), ["0\n", "3\n"]);
        assert_eq!(spool.lost(), 2);
    }

    #[test]
    fn lines_end_once_and_are_cut_between_characters() {
        assert_eq!(with_end("a\n".to_owned()), "a\n");
        let long = with_end("ä".repeat(MAX_LINE_BYTES));
        assert_eq!(long.len(), MAX_LINE_BYTES + 1);
        assert!(long.ends_with("ä\n"));
    }
}

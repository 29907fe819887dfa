//! A file for each day.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::Date;

use crate::spool::{Line, Sink};

/// Wait before a file that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often it is looked whether the file was moved away or deleted.
const LOOK: Duration = Duration::from_secs(1);

/// The path of the file of a day.
pub(crate) fn path_of(folder: &Path, prefix: &str, day: Date) -> PathBuf {
    folder.join(format!("{prefix}-{}.log", day.strftime("%Y%m%d")))
}

/// A file for each day, named after it.
pub(crate) struct DailyFile {
    folder: PathBuf,
    prefix: String,
    open: Option<Open>,
    failed: Option<(Instant, io::ErrorKind)>,
    /// Whether the last line may have been written in part.
    is_torn: bool,
    retry: Duration,
    look: Duration,
}

struct Open {
    day: Date,
    path: PathBuf,
    file: File,
    seen: Instant,
}

impl DailyFile {
    pub(crate) fn new(folder: PathBuf, prefix: String) -> Self {
        Self { folder, prefix, open: None, failed: None, is_torn: false, retry: RETRY, look: LOOK }
    }

    fn try_write(&mut self, line: &Line) -> io::Result<()> {
        let look = self.look;
        let mut open = match self.open.take().filter(|open| open.day == line.day && open.is_there(look)) {
            Some(open) => open,
            None => self.open(line.day)?,
        };
        if self.is_torn {
            open.file.write_all(b"\n")?;
        }
        self.is_torn = true;
        open.file.write_all(line.text.as_bytes())?;
        self.is_torn = false;
        if open.seen.elapsed() >= look {
            open.seen = Instant::now();
        }
        self.open = Some(open);
        Ok(())
    }

    fn open(&self, day: Date) -> io::Result<Open> {
        fs::create_dir_all(&self.folder)?;
        let path = path_of(&self.folder, &self.prefix, day);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Open { day, path, file, seen: Instant::now() })
    }
}

impl Open {
    /// Whether the file still has its name; looked up now and then.
    fn is_there(&self, look: Duration) -> bool {
        let same = || {
            let (named, open) = (fs::metadata(&self.path).ok()?, self.file.metadata().ok()?);
            Some(named.ino() == open.ino() && named.dev() == open.dev())
        };
        self.seen.elapsed() < look || same().unwrap_or(false)
    }
}

impl Sink for DailyFile {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        if let Some((at, kind)) = self.failed
            && at.elapsed() < self.retry
        {
            return Err(kind.into());
        }
        let written = self.try_write(line);
        self.failed = written.as_ref().err().map(|error| (Instant::now(), error.kind()));
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(day: i8, text: &str) -> Line {
        Line { day: Date::constant(2027, 1, day), text: format!("{text}\n") }
    }

    fn file(folder: &Path) -> DailyFile {
        let mut file = DailyFile::new(folder.to_owned(), "Photon-A".to_owned());
        (file.retry, file.look) = (Duration::ZERO, Duration::ZERO);
        file
    }

    #[test]
    fn each_day_has_its_file_and_a_restart_appends() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("log");
        let mut first = file(&logs);
        first.write(&line(30, "a")).unwrap();
        first.write(&line(31, "b")).unwrap();
        file(&logs).write(&line(31, "c")).unwrap();
        let read = |name: &str| fs::read_to_string(logs.join(name)).unwrap();
        assert_eq!(read("Photon-A-20270130.log"), "a\n");
        assert_eq!(read("Photon-A-20270131.log"), "b\nc\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut daily = file(folder.path());
        daily.write(&line(1, "a")).unwrap();
        let path = folder.path().join("Photon-A-20270101.log");
        fs::rename(&path, folder.path().join("old")).unwrap();
        daily.write(&line(1, "b")).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "b\n");
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_file_is_used_again_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Photon-A-20270101.log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut daily = file(folder.path());
        assert_eq!(daily.write(&line(1, "a")).unwrap_err().kind(), io::ErrorKind::StorageFull);
        fs::remove_file(&path).unwrap();
        daily.write(&line(1, "b")).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap().trim(), "b");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_and_not_tried_for_each_line() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("log");
        fs::write(&blocked, "a file").unwrap();
        let mut daily = file(&blocked);
        assert!(daily.write(&line(1, "a")).is_err());
        daily.retry = Duration::from_secs(3600);
        assert!(daily.write(&line(1, "b")).is_err());
        fs::remove_file(&blocked).unwrap();
        assert!(daily.write(&line(1, "c")).is_err(), "the pause is not over");
        daily.retry = Duration::ZERO;
        daily.write(&line(1, "d")).unwrap();
        assert_eq!(fs::read_to_string(blocked.join("Photon-A-20270101.log")).unwrap(), "d\n");
    }
}

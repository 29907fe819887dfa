//! Reads the newest daily file, and goes on with the next one when there is one.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that are read at a time.
const BLOCK: usize = 64 * 1_024;

/// The file of the last day, if there is any.
///
/// # Errors
/// If the folder cannot be read.
pub fn newest(folder: &Path, prefix: &str) -> io::Result<Option<PathBuf>> {
    let mut last: Option<(String, PathBuf)> = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(day) = name.to_str().and_then(|name| day_of(name, prefix)) else { continue };
        if last.as_ref().is_none_or(|(known, _)| known.as_str() < day) {
            last = Some((day.to_owned(), entry.path()));
        }
    }
    Ok(last.map(|(_, path)| path))
}

/// `yyyyMMdd` of a daily file with this prefix.
fn day_of<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let day = name.strip_prefix(prefix)?.strip_prefix('-')?.strip_suffix(".log")?;
    (day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit())).then_some(day)
}

/// A reader that goes from file to file.
#[derive(Debug)]
pub struct Follow {
    folder: PathBuf,
    prefix: String,
    path: PathBuf,
    file: File,
    read: u64,
}

impl Follow {
    /// Opens the newest file at its last so many lines; `None` if there is no file.
    ///
    /// # Errors
    /// If the folder or the file cannot be read.
    pub fn open(folder: &Path, prefix: &str, lines: usize) -> io::Result<Option<Self>> {
        let Some(path) = newest(folder, prefix)? else { return Ok(None) };
        let mut file = File::open(&path)?;
        let read = last_lines(&mut file, lines)?;
        Ok(Some(Self { folder: folder.to_owned(), prefix: prefix.to_owned(), path, file, read }))
    }

    /// The file that is being read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies what has come, and says whether anything had.
    ///
    /// # Errors
    /// If reading or writing fails.
    pub fn copy(&mut self, out: &mut impl Write) -> io::Result<bool> {
        let mut copied = self.copy_file(out)?;
        let next = newest(&self.folder, &self.prefix)?.filter(|next| *next != self.path);
        if let Some(next) = next {
            // A line may have come between the last read and the first of the next day.
            copied |= self.copy_file(out)?;
            self.file = File::open(&next)?;
            (self.path, self.read) = (next, 0);
            copied |= self.copy_file(out)?;
        }
        Ok(copied)
    }

    fn copy_file(&mut self, out: &mut impl Write) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.read {
            // Someone emptied the file.
            self.read = self.file.seek(SeekFrom::Start(0))?;
        }
        let copied = io::copy(&mut self.file, out)?;
        self.read += copied;
        Ok(copied > 0)
    }
}

/// Moves to the begin of the last so many lines, and says where that is.
fn last_lines(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut block = vec![0; BLOCK];
    let mut ends = 0;
    while start > 0 {
        let length = usize::try_from(start).map_or(BLOCK, |start| start.min(BLOCK));
        let from = start - length as u64;
        file.seek(SeekFrom::Start(from))?;
        let bytes = block.get_mut(..length).unwrap_or_default();
        file.read_exact(bytes)?;
        for (at, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            // The end of the line before the first one that is wanted.
            if ends == lines {
                return file.seek(SeekFrom::Start(from + at as u64 + 1));
            }
            ends += 1;
        }
        start = from;
    }
    file.seek(SeekFrom::Start(0))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn text(follow: &mut Follow) -> String {
        let mut out = Vec::new();
        follow.copy(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn the_newest_file_is_that_of_the_last_day_and_has_the_right_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["A-20270130.log", "A-20270131.log", "A-20270201.txt", "A-2027.log", "A-B-20280101.log", "B-20280101.log"]
        {
            append(&folder.path().join(name), "");
        }
        assert_eq!(newest(folder.path(), "A").unwrap().unwrap().file_name().unwrap(), "A-20270131.log");
        assert_eq!(newest(folder.path(), "C").unwrap(), None);
        assert!(newest(&folder.path().join("none"), "A").is_err());
    }

    #[test]
    fn following_begins_with_the_last_lines_and_goes_on_into_the_next_day() {
        let folder = tempfile::tempdir().unwrap();
        let path = |day: &str| folder.path().join(format!("A-{day}.log"));
        append(&path("20270131"), "1\n2\n3\n");
        let mut follow = Follow::open(folder.path(), "A", 2).unwrap().unwrap();
        assert_eq!(text(&mut follow), "2\n3\n");
        assert_eq!(text(&mut follow), "");
        append(&path("20270131"), "4\n");
        append(&path("20270201"), "5\n");
        assert_eq!(text(&mut follow), "4\n5\n");
        assert_eq!(follow.path(), path("20270201"));
        append(&path("20270201"), "6\n");
        assert_eq!(text(&mut follow), "6\n");
    }

    #[test]
    fn an_emptied_file_is_read_from_its_begin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("A-20270131.log");
        append(&path, "long line\n");
        let mut follow = Follow::open(folder.path(), "A", 10).unwrap().unwrap();
        assert_eq!(text(&mut follow), "long line\n");
        fs::write(&path, "new\n").unwrap();
        assert_eq!(text(&mut follow), "new\n");
    }

    #[test]
    fn the_last_lines_are_found_across_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("A-20270131.log");
        let line = "x".repeat(BLOCK * 2 / 3);
        append(&path, &format!("first\n{line}\n{line}\n{line}\n"));
        let length = |lines| text(&mut Follow::open(folder.path(), "A", lines).unwrap().unwrap()).len();
        assert_eq!([length(1), length(3)], [line.len() + 1, 3 * (line.len() + 1)]);
        assert_eq!(length(4), length(99));
        assert_eq!(length(0), 0);
    }
}

//! An event as the forms of lines need it.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use jiff::Zoned;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// What an event says.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) time: Zoned,
    /// The system's number of the thread.
    pub(crate) thread: i32,
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) message: String,
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// What happens now on this thread.
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut record = Self {
            time: Zoned::now(),
            thread: thread_number(),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut record);
        record
    }

    fn keep(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.fields.push((name, value)),
        }
    }

    /// The message and the fields behind it, on one line: what comes from clients cannot begin another one.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(self.message.len() + 32);
        push_plain(&mut text, &self.message);
        for (name, value) in &self.fields {
            let _ = write!(text, " {name}=");
            match value {
                Value::String(value) => push_plain(&mut text, value),
                other => push_plain(&mut text, &other.to_string()),
            }
        }
        text
    }
}

fn push_plain(text: &mut String, value: &str) {
    for character in value.chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, Value::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }
}

fn thread_number() -> i32 {
    thread_local! {
        static NUMBER: RefCell<Option<i32>> = const { RefCell::new(None) };
    }
    let ask = || rustix::thread::gettid().as_raw_nonzero().get();
    NUMBER.with_borrow_mut(|number| *number.get_or_insert_with(ask))
}

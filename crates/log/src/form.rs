//! How lines look.
//!
//! | form | line |
//! | --- | --- |
//! | core | `1234: 18:30:05.123 - Config\|INFO\| HTTP: (*:19093::NameServer) - uses SSL` |
//! | application | `2027-01-31 18:30:05,123 [1234] INFO  lampyris_engine.master - text` |
//! | vendor | start, listeners and certificates in the core form, all else in that of applications |
//! | JSON | `{"ts":"2027-01-31T18:30:05.123+01:00","level":"INFO","target":"lampyris_engine::master","msg":"text"}` |

use serde_json::Value;

use crate::record::Record;

/// The category of start, stop, listeners and certificates.
const CONFIG: &str = "Config";

/// Parts of the program, the more special first, and the category that their lines have.
const CATEGORIES: [(&str, &str); 7] = [
    ("lampyris_server::net", "Network"),
    ("lampyris_server", CONFIG),
    ("lampyris_tls", CONFIG),
    ("lampyris_log", "Log"),
    ("lampyris_transport", "Network"),
    ("lampyris_engine", "Application"),
    ("lampyris_realtime", "Application"),
];

fn category(target: &str) -> &'static str {
    let of = |part: &str| target.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    CATEGORIES.iter().find(|(part, _)| of(part)).map_or(CONFIG, |(_, category)| category)
}

/// The form of the core log.
pub(crate) fn core(record: &Record) -> String {
    let time = record.time.strftime("%H:%M:%S.%3f");
    format!("{}: {time} - {}|{}| {}", record.thread, category(&record.target), record.level, record.text())
}

/// The forms of the vendor's two kinds of logs, each for what would be there.
pub(crate) fn vendor(record: &Record) -> String {
    if category(&record.target) == CONFIG {
        return core(record);
    }
    let time = record.time.strftime("%Y-%m-%d %H:%M:%S,%3f");
    let logger = record.target.replace("::", ".");
    format!("{time} [{}] {:<5} {logger} - {}", record.thread, record.level.as_str(), record.text())
}

/// An object. Fields of the event stand beside `ts`, `level`, `target` and `msg`.
pub(crate) fn json(record: &Record) -> String {
    let mut line = String::from("{");
    let mut add = |name: &str, value: &Value| {
        if line.len() > 1 {
            line.push(',');
        }
        line.push_str(&Value::from(name).to_string());
        line.push(':');
        line.push_str(&value.to_string());
    };
    add("ts", &record.time.strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string().into());
    add("level", &record.level.as_str().into());
    add("target", &record.target.as_str().into());
    for (name, value) in record.fields.iter().filter(|(name, _)| !["ts", "level", "target", "msg"].contains(name)) {
        add(name, value);
    }
    add("msg", &record.message.as_str().into());
    line.push('}');
    line
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::{Offset, TimeZone};
    use tracing::Level;

    use super::*;

    fn record(target: &str, message: &str) -> Record {
        let zone = TimeZone::fixed(Offset::constant(1));
        Record {
            time: date(2027, 1, 31).at(18, 30, 5, 123_456_789).to_zoned(zone).unwrap(),
            thread: 1234,
            level: Level::INFO,
            target: target.to_owned(),
            message: message.to_owned(),
            fields: vec![("room", Value::from("a\nb")), ("peers", Value::from(2))],
        }
    }

    #[test]
    fn t5_lines_of_listeners_have_the_form_that_operators_search_for() {
        let mut one = record("lampyris_server::server", "HTTP: (*:19093::NameServer) - uses SSL");
        one.fields.clear();
        let expected = "1234: 18:30:05.123 - Config|INFO| HTTP: (*:19093::NameServer) - uses SSL";
        assert_eq!((core(&one), vendor(&one)), (expected.to_owned(), expected.to_owned()));
    }

    #[test]
    fn lines_of_roles_have_the_form_of_application_logs() {
        let mut one = record("lampyris_engine::master", "text");
        one.fields.clear();
        assert_eq!(vendor(&one), "2027-01-31 18:30:05,123 [1234] INFO  lampyris_engine.master - text");
        assert!(core(&one).ends_with("Application|INFO| text"));
    }

    #[test]
    fn names_of_clients_cannot_begin_a_line() {
        let line = core(&record("lampyris_server::net::accept", "a\r\nb\u{1b}"));
        assert!(line.ends_with(r"Network|INFO| a\r\nb\u{1b} room=a\nb peers=2"), "{line}");
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_of_the_event() {
        let line = json(&record("lampyris_engine::game", "hello \"you\""));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["ts"], "2027-01-31T18:30:05.123+01:00");
        assert_eq!((&value["level"], &value["msg"]), (&Value::from("INFO"), &Value::from("hello \"you\"")));
        assert_eq!((&value["room"], &value["peers"]), (&Value::from("a\nb"), &Value::from(2)));
        assert_eq!(line.lines().count(), 1);
    }
}

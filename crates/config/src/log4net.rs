//! `log4net.config`: how much is logged. Only the levels have a meaning here; where and in which form lines are written
//! is the server's own affair.

use crate::application::Application;
use crate::check::{Check, attributes};
use crate::finding::Severity;
use crate::role_file::{open_xml, own_places};
use crate::settings::{Case, Reader, settings};
use crate::value::Value;
use crate::xml::Element;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What an operator must act upon.
    Error,
    /// What an operator should know.
    Warn,
    /// Life cycle.
    Info,
    /// Single clients.
    Debug,
    /// Single datagrams.
    Trace,
}

impl LogLevel {
    /// Its name as log filters have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Value for LogLevel {
    const EXPECTED: &'static str = "ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL or OFF";

    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "OFF" => Self::Off,
            "ERROR" | "FATAL" | "SEVERE" | "CRITICAL" | "ALERT" | "EMERGENCY" => Self::Error,
            "WARN" => Self::Warn,
            "INFO" | "NOTICE" => Self::Info,
            "DEBUG" | "FINE" => Self::Debug,
            "ALL" | "TRACE" | "VERBOSE" | "FINER" | "FINEST" => Self::Trace,
            _ => return None,
        })
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}

settings! {
    /// `level` of a logger of `log4net.config`.
    LoggerSettings {
        /// The level.
        "value" => level: Option<LogLevel> = None, "that of root", Live;
    }
}

/// The level of a part of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logger {
    /// The vendor's name of the part.
    pub name: String,
    /// How much it logs.
    pub level: LogLevel,
}

/// How much is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLevels {
    /// Where no logger says anything else; `None` if nothing is written.
    pub root: Option<LogLevel>,
    /// Parts of the server.
    pub loggers: Vec<Logger>,
}

/// Reads the file of an application. Without one nothing is said about levels.
pub(crate) fn read(check: &mut Check<'_>, application: &Application) -> LogLevels {
    let places = own_places(check, application, "log4net.config");
    let mut levels = LogLevels::default();
    let Some(root) = open_xml(check, &places).ok().flatten() else { return levels };
    let element = match root.is("configuration") {
        true => root.children("log4net").next(),
        false => Some(&root).filter(|root| root.is("log4net")),
    };
    let Some(element) = element else {
        check.fail(&root.name.span, format!("expected <log4net>, got <{}>", root.name.text));
        return levels;
    };
    check.unknown_children(element, &["appender", "root", "logger", "category", "renderer", "param"]);
    if let Some(appender) = element.children("appender").next() {
        let text = "appenders have no effect; the levels are read, and the log is written as --log-format says";
        check.find(Severity::Note, &appender.name.span, text);
    }
    let role = application.role.name();
    for node in element.children("root") {
        levels.root = level(check, node, &format!("log level of {role}")).or(levels.root);
    }
    for node in element.children("logger").chain(element.children("category")) {
        let Some(name) = node.attribute("name") else {
            let text = format!("<{}> has no name; expected one like name=\"OperationData\"", node.name.text);
            check.fail(&node.name.span, text);
            continue;
        };
        check.reveal(&name.value.span);
        let name = name.value.text.clone();
        if let Some(level) = level(check, node, &format!("log level of {role}'s {name}")) {
            levels.loggers.push(Logger { name, level });
        }
    }
    levels
}

/// `<level value="INFO"/>`, or `<priority>` as old files have it.
fn level(check: &mut Check<'_>, logger: &Element, of: &str) -> Option<LogLevel> {
    check.unknown_children(logger, &["level", "priority", "appender-ref", "param"]);
    let node = logger.children("level").chain(logger.children("priority")).next()?;
    let mut reader = Reader::new(check, of, Case::Free, attributes(node));
    let LoggerSettings { level } = LoggerSettings::read(&mut reader);
    reader.finish();
    level
}

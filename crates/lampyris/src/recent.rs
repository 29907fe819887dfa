//! Keeps the last warnings and errors of the log for whoever asks the running server.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use lampyris_server::control::Recent;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Sees every event that is logged and keeps the bad ones.
pub(crate) struct RecentLayer(pub(crate) Arc<Recent>);

impl<S: Subscriber> Layer<S> for RecentLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = *event.metadata().level();
        if level <= Level::WARN {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.push(level.as_str(), &format!("{}{}", text.message, text.fields));
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn warnings_and_errors_are_kept_with_their_fields() {
        let recent = Arc::<Recent>::default();
        let subscriber = tracing_subscriber::registry().with(RecentLayer(Arc::clone(&recent)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("all is well");
            tracing::warn!(port = 19093, "clients speak plain http");
            tracing::error!("the disk is full");
        });
        let lines: Vec<_> = recent.lines().into_iter().map(|line| (line.level, line.text)).collect();
        let expected = [("WARN", "clients speak plain http port=19093"), ("ERROR", "the disk is full")];
        assert_eq!(lines, expected.map(|(level, text)| (level.to_owned(), text.to_owned())));
    }
}

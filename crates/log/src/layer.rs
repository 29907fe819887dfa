//! From events to lines.

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::record::Record;
use crate::spool::Spool;

/// Makes a line of each event.
pub(crate) struct LineLayer {
    pub(crate) form: fn(&Record) -> String,
    pub(crate) spool: Spool,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let record = Record::of(event);
        self.spool.send(record.time.date(), (self.form)(&record));
    }
}

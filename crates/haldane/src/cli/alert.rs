//! `haldane test-alert`: one event, sent now, with each step of it and what came of it.

use std::{fmt, process::ExitCode, sync::Arc, time::SystemTime};

use clap::Args;
use haldane_core::{Event, Record, Sighting, section::nearest};
use tracing::{Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use super::{Place, complain, fail, say, wrong_configuration};
use crate::{
    config::{Config, SinkConfig},
    daemon::{kinds::TEST, operations},
};

/// Its options.
#[derive(Debug, Args)]
pub(super) struct TestAlert {
    #[command(flatten)]
    place: Place,
    /// The sink to test, by the name of its section; all if left out.
    sink: Option<String>,
}

impl TestAlert {
    pub(super) fn run(self) -> ExitCode {
        let config = match Config::load(&self.place.source(), &self.place.looking()) {
            Ok(config) => config,
            Err(problems) => return wrong_configuration(&problems),
        };
        config.warnings.iter().for_each(complain);
        let names: Vec<String> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
        let wanted = |sink: &SinkConfig| self.sink.as_ref().is_none_or(|name| *name == sink.name);
        let chosen: Vec<SinkConfig> = config.sinks.into_iter().filter(wanted).collect();
        match &self.sink {
            _ if !chosen.is_empty() => {}
            None => {
                return fail(format!("{}: no sink is configured: there is nothing to test", config.origin));
            }
            Some(name) => {
                let near = nearest(name, names.iter().map(String::as_str));
                let near = near.map(|word| format!(" (did you mean \"{word}\"?)")).unwrap_or_default();
                return fail(format!("no sink is called {name:?}{near}; there are: {}", names.join(", ")));
            }
        }
        let steps = Targets::new().with_target(haldane_sinks::step::TARGET, LevelFilter::DEBUG);
        // This process does nothing else: there is no other subscriber.
        let _ = tracing_subscriber::registry().with(steps).with(Steps).try_init();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let record = Record { seq: 0, event: Arc::new(event(&config.host.node_id)) };
        match runtime {
            Ok(runtime) => runtime.block_on(deliver(chosen, &record)),
            Err(error) => fail(format!("cannot start: {error}")),
        }
    }
}

/// Prints each step of a sink as it is told.
struct Steps;

impl<S: Subscriber> Layer<S> for Steps {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if field.name() == "message" {
                say(format!("  {value:?}"));
            }
        });
    }
}

/// Sends it through each, one after the other.
async fn deliver(sinks: Vec<SinkConfig>, record: &Record) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for mut sink in sinks {
        let name = format!("{} ({})", sink.name, sink.entry.name);
        say(format!("{name}: sending, for at most {} s …", sink.delivery.timeout.as_secs_f32()));
        let batch = std::slice::from_ref(record);
        match tokio::time::timeout(sink.delivery.timeout, sink.sink.once(batch)).await {
            Ok(Ok(())) => {
                say(format!("{name}: delivered"));
                say(format!("  otherwise it is told of {}", sink.delivery.hears()));
            }
            Ok(Err(failure)) => {
                complain(format!("{name}: failed: {failure}"));
                code = ExitCode::FAILURE;
            }
            Err(_) => {
                complain(format!("{name}: failed: no answer in time"));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn event(node: &str) -> Event {
    let message =
        format!("This is a test from {node}. Nobody touched a decoy; alerts arrive as this one did.");
    operations::event(Sighting::of(&TEST).with("msg", message))
}

#[expect(clippy::disallowed_methods, reason = "the command line has no session to be replayed")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}
